//! What a durable run can end in.

use kitaru_core::Error;
use serde::{Deserialize, Serialize};

use crate::error::{AgentError, Cause, ModelError, ModelErrorKind, ToolError};

/// Why a run of a [`KitaruAgent`](crate::KitaruAgent) gave no result.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunError {
    /// The agent failed, as it would have without durability.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Durability failed: a fault of the store, a misuse, a panic.
    #[error(transparent)]
    Kitaru(#[from] Error),
}

/// A panic or a timeout in front of a model.
impl From<Error> for ModelError {
    fn from(error: Error) -> Self {
        let kind = if error.is_timeout() { ModelErrorKind::TimedOut } else { ModelErrorKind::Other };
        ModelError::new(kind, format!("{error:#}"))
    }
}

/// A panic or a timeout in front of a tool.
impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        ToolError::Failed(Cause::of(&error))
    }
}
