//! The description of an agent, as data.
//!
//! Owns the profile. Must not know how an agent is built from it.

use serde::{Deserialize, Serialize};

/// The description of an agent: enough to build it, and simple enough for a file or for the input of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The agent's name, with which its checkpoints' names begin.
    pub(crate) name: String,
    /// The role of the model, and how it works.
    pub(crate) system_prompt: String,
    /// The name of the model; `OPENAI_MODEL` overrides it.
    pub(crate) model: String,
    /// The names of the agent's tools. It has no others.
    pub(crate) allowed_tools: Vec<String>,
}
