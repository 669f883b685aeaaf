//! What belongs to a provider and goes back to it.
//!
//! Owns the form in which it is kept. Must not know what it means: only the provider does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something of a provider's own that it wants back with the conversation: a signature, reasoning, a block of a kind
/// that this crate has no word for. It is kept as the JSON text that came, and goes back byte for byte.
///
/// It goes back only to a model that speaks the same dialect; another one is not told.
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
    /// The dialect that it is a word of: `openai` or `anthropic`, for the models of this crate.
    pub dialect: String,
    /// Where it stood, and where it goes back to.
    pub place: Place,
    /// The JSON text, byte for byte.
    pub json: String,
}

/// Where in an answer something stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// It is a part of the content of its own.
    Part,
    /// It is the field of this name of the message.
    Message(String),
    /// It is the field of this name of the tool call before it; `function.x` is the field `x` of the call's function.
    Call(String),
}

impl Opaque {
    /// The JSON text `json` that stood at `place` in an answer of this dialect.
    pub fn new(dialect: impl Into<String>, place: Place, json: impl Into<String>) -> Self {
        Self { dialect: dialect.into(), place, json: json.into() }
    }

    /// The text in it that a person can read, if there is one: of a JSON string the string itself, of an object its
    /// `thinking` or `text`.
    pub fn text(&self) -> Option<String> {
        match serde_json::from_str(&self.json).ok()? {
            Value::String(text) => Some(text),
            Value::Object(fields) => {
                let text = fields.get("thinking").or_else(|| fields.get("text"))?;
                text.as_str().map(str::to_owned)
            }
            _ => None,
        }
    }
}
