//! The tool call that a part of a message is about.
//!
//! Owns the reference and its stored form. Must not know the parts.

use serde::{Deserialize, Serialize};

/// The tool call that a part answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallRef {
    /// The id that the model gave the call.
    pub id: String,
    /// The name of the tool, as the model wrote it.
    pub tool: String,
}

impl CallRef {
    /// The call `id` of `tool`.
    pub fn new(id: impl Into<String>, tool: impl Into<String>) -> Self {
        Self { id: id.into(), tool: tool.into() }
    }
}
