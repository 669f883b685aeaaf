//! The result of a tool call, as the run continues with it.
//!
//! Owns its stored form. Must not know the call.

use serde::{Deserialize, Serialize};

use crate::error::ToolError;
use crate::tool::ToolOutput;

/// The output of a tool, or its request for approval. Not a failure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToolReply {
    Output(ToolOutput),
    Retry(String),
    Approval(String),
}

impl ToolReply {
    pub(super) fn of(given: Result<ToolOutput, ToolError>) -> Result<Self, ToolError> {
        match given {
            Ok(output) => Ok(ToolReply::Output(output)),
            Err(ToolError::Retry(message)) => Ok(ToolReply::Retry(message)),
            Err(ToolError::Approval(reason)) => Ok(ToolReply::Approval(reason)),
            Err(failed) => Err(failed),
        }
    }

    /// Whether the call is made. A call that needs approval counts once it is approved.
    pub(super) fn is_made(&self) -> bool {
        !matches!(self, ToolReply::Approval(_))
    }

    pub(super) fn give(self) -> Result<ToolOutput, ToolError> {
        match self {
            ToolReply::Output(output) => Ok(output),
            ToolReply::Retry(message) => Err(ToolError::Retry(message)),
            ToolReply::Approval(reason) => Err(ToolError::Approval(reason)),
        }
    }
}
