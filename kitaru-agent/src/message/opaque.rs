//! Content that belongs to a provider and is sent back to it.
//!
//! Owns the form in which it is kept. Must not know its meaning: only the provider does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A provider's own content, which it wants back with the conversation: a signature, reasoning, a block of an unknown kind. It
/// is kept as the received JSON text, and sent back byte for byte.
///
/// It is sent back only to a model of the same dialect. Other models do not receive it.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Opaque, Place};
///
/// let thought = Opaque::new("anthropic", Place::Part, r#"{"type":"thinking","thinking":"hm","signature":"s"}"#);
/// assert_eq!(thought.text().as_deref(), Some("hm"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Opaque {
    /// Its dialect: `openai`, `openai_responses` or `anthropic`, for the models of this crate. `tagged` is reasoning that a model
    /// wrote between tags of a text; it is sent back to no server.
    pub dialect: String,
    /// Its place, to which it is sent back.
    pub place: Place,
    /// The JSON text, byte for byte.
    pub json: String,
}

/// A place in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// A part of the content.
    Part,
    /// The field of this name of the message.
    Message(String),
    /// The field of this name of the tool call before it; `function.x` is the field `x` of the call's function.
    Call(String),
    /// The field of this name of the text before it. From format 3 on.
    Text(String),
}

impl Opaque {
    /// The JSON text `json` from `place` in an answer of this dialect.
    pub fn new(dialect: impl Into<String>, place: Place, json: impl Into<String>) -> Self {
        Self { dialect: dialect.into(), place, json: json.into() }
    }

    /// The readable text in it, if there is one: a JSON string itself, or the `thinking`, `summary`, `content` or `text` of an
    /// object, or of the objects in a list.
    pub fn text(&self) -> Option<String> {
        read(&serde_json::from_str(&self.json).ok()?).filter(|text| !text.is_empty())
    }
}

fn read(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => {
            let mut texts =
                ["thinking", "text", "summary", "content"].iter().filter_map(|name| read(fields.get(*name)?));
            texts.find(|text| !text.is_empty())
        }
        Value::Array(list) => Some(list.iter().filter_map(read).collect()),
        _ => None,
    }
}
