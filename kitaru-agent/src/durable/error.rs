//! The errors of a durable run.

use kitaru_core::Error;
use serde::{Deserialize, Serialize};

use crate::error::{AgentError, Cause, ModelError, ModelErrorKind, ToolError};

/// Why a run of a [`KitaruAgent`](crate::KitaruAgent) has no result.
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

/// A panic or a timeout of a model's checkpoint.
impl From<Error> for ModelError {
    fn from(error: Error) -> Self {
        let kind = if error.is_timeout() { ModelErrorKind::TimedOut } else { ModelErrorKind::Other };
        ModelError::new(kind, format!("{error:#}"))
    }
}

/// A panic or a timeout of a tool's checkpoint.
impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        ToolError::Failed(Cause::of(&error))
    }
}
