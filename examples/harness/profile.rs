//! What an agent is, as data.
//!
//! Owns the profile. Must not know how an agent is built from it.

use serde::{Deserialize, Serialize};

/// What an agent is: enough to build it, and plain enough to keep in a file or to hand to a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The agent's name, after which its checkpoints are called.
    pub(crate) name: String,
    /// Who the model is and how it works.
    pub(crate) system_prompt: String,
    /// The model to ask for; `OPENAI_MODEL` takes its place.
    pub(crate) model: String,
    /// The names of the tools that the agent gets. All others do not exist for it.
    pub(crate) allowed_tools: Vec<String>,
}
