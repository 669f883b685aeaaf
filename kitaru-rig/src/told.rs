//! What an agent goes on with when a tool was called.
//!
//! Owns its stored form. Must not know the call.

use rig_core::error::ErrorReport;
use rig_core::tool::{ToolResult, ToolResultContext};
use serde::{Deserialize, Serialize};

/// What a tool came to that the agent goes on with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) result: Result<ToolResult, ErrorReport>,
    /// What the tool has published beside it, for hooks.
    pub(crate) published: Option<ToolResultContext>,
}

impl Told {
    pub(crate) fn of(result: ToolResult) -> Self {
        Told { result: Ok(result), published: None }
    }
}
