//! Recorded times and JSON, as they are shown.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn time(unix_ms: u64) -> SystemTime {
    // A time that this system cannot represent was written by a wrong clock.
    UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)).unwrap_or(UNIX_EPOCH)
}

pub(super) fn object(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_else(|_| serde_json::Value::Object(serde_json::Map::new()))
}
