//! Answers of the API, as an assistant gets them: bounded, with names and times that are read at a glance. Owns the bounds; must
//! not know which tool was called.

use jiff::Timestamp;
use kitaru_core::ExecutionRef;
use serde_json::{Map, Value, json};

/// The longest result of a tool, in bytes.
pub(super) const MOST_BYTES: usize = 40_000;
/// How many items of a list are given.
const MOST_ITEMS: usize = 50;
/// The longest text, and the longest value as JSON, in bytes.
const MOST_TEXT: usize = 1_000;
/// The longest schema: without it a question cannot be answered.
const MOST_SCHEMA: usize = 8_000;

/// An answer of the API. Executions are named as one text, times are text, and what is long is cut.
pub(super) fn fitted(answer: Value) -> Value {
    match answer {
        Value::String(text) => Value::String(cut(text, MOST_TEXT)),
        Value::Array(items) => {
            let omitted = items.len().saturating_sub(MOST_ITEMS);
            let mut items: Vec<_> = items.into_iter().take(MOST_ITEMS).map(fitted).collect();
            if omitted > 0 {
                items.push(json!({ "omitted": omitted }));
            }
            Value::Array(items)
        }
        Value::Object(fields) => Value::Object(fitted_fields(fields)),
        other => other,
    }
}

fn fitted_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let mut fitted_fields = Map::new();
    let named = match (&fields.get("flow"), &fields.get("id")) {
        (Some(Value::String(flow)), Some(Value::String(id))) => Some(ExecutionRef::new(flow, id).to_string()),
        _ => None,
    };
    let is_named = named.is_some();
    fitted_fields.extend(named.map(|named| ("execution".to_owned(), Value::String(named))));
    for (name, value) in fields {
        match (&*name, &value) {
            (_, Value::Null) => {}
            ("flow" | "id", _) if is_named => {}
            // A program may have put anything there.
            ("json" | "metadata", _) => drop(fitted_fields.insert(name, whole_or_beginning(value, MOST_TEXT))),
            ("schema", _) => drop(fitted_fields.insert(name, whole_or_beginning(value, MOST_SCHEMA))),
            _ => match (name.strip_suffix("_ms"), value.as_i64().and_then(time)) {
                (Some(moment), Some(time)) if moment != "pause" => {
                    fitted_fields.insert(moment.to_owned(), Value::String(time));
                }
                _ => drop(fitted_fields.insert(name, fitted(value))),
            },
        }
    }
    fitted_fields
}

fn time(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}

/// A value, or the beginning of its JSON.
fn whole_or_beginning(value: Value, most: usize) -> Value {
    let text = value.to_string();
    match text.len() <= most {
        true => value,
        false => json!({ "beginning": beginning(&text, most), "bytes": text.len() }),
    }
}

/// A text, with a mark where it is cut.
pub(super) fn cut(text: String, most: usize) -> String {
    match text.len() <= most {
        true => text,
        false => format!("{}… ({} bytes in all)", beginning(&text, most), text.len()),
    }
}

/// As much of a text as has this many bytes.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_names_executions_and_times_as_people_write_them() {
        let answer = json!({ "flow": "a/b", "id": "c", "created_ms": 0, "pause_ms": 5, "parent": null, "attempts": 1 });
        let wanted = json!({ "execution": "a%2Fb/c", "created": "1970-01-01T00:00:00Z", "pause_ms": 5, "attempts": 1 });
        assert_eq!(fitted(answer), wanted);
    }

    #[test]
    fn long_texts_values_and_lists_are_cut_and_say_so() {
        let long = "ü".repeat(2_000);
        let fitted = fitted(json!({
            "error": long,
            "value": { "json": [long] },
            "schema": { "type": "string", "description": "x".repeat(2_000) },
            "children": (0..100).collect::<Vec<_>>(),
        }));
        assert!(fitted["error"].as_str().unwrap().ends_with("ü… (4000 bytes in all)"), "{fitted}");
        assert_eq!(fitted["value"]["json"]["bytes"], 4_004);
        assert_eq!(fitted["schema"]["type"], "string", "a question needs its schema");
        assert_eq!(fitted["children"].as_array().unwrap().last().unwrap(), &json!({ "omitted": 50 }));
        assert!(fitted.to_string().len() < 10_000, "{}", fitted.to_string().len());
    }
}
