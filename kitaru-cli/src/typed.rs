//! Values as they are typed. Must not know what they are for.

use serde_json::Value;

/// JSON, or the text itself: `north` is what `"north"` is.
pub(crate) fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
