//! Times and JSON as they are recorded, for whoever looks at them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn time(unix_ms: u64) -> SystemTime {
    // One that this system cannot tell was written by a clock that was wrong.
    UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)).unwrap_or(UNIX_EPOCH)
}

pub(super) fn object(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_else(|_| serde_json::Value::Object(serde_json::Map::new()))
}
