//! The output of a tool call, as the agent receives it.
//!
//! Owns its stored form. Must not know the call.

use rig_core::error::ErrorReport;
use rig_core::tool::{ToolResult, ToolResultContext};
use serde::{Deserialize, Serialize};

/// The output of a tool.
#[derive(Serialize, Deserialize)]
pub(crate) struct ToolReply {
    pub(crate) result: Result<ToolResult, ErrorReport>,
    /// What the tool has published with it, for hooks.
    pub(crate) published: Option<ToolResultContext>,
}

impl ToolReply {
    pub(crate) fn of(result: ToolResult) -> Self {
        ToolReply { result: Ok(result), published: None }
    }
}
