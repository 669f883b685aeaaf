//! The errors of a durable run of a rig agent.

use std::time::Duration;

use kitaru_core::Error;
use rig_agent::completion::PromptError;
use rig_core::error::ErrorReport;
use serde::{Deserialize, Serialize};

/// Why a run of a [`KitaruRig`](crate::KitaruRig) has no result.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RigError {
    /// A model, or another handler of the agent, failed: rig's own report.
    #[error(transparent)]
    Report(Box<ErrorReport>),
    /// The agent used up its model calls.
    #[error("cannot finish the run: it reached the max turns limit of {max_turns}")]
    MaxTurns {
        /// The limit.
        max_turns: usize,
    },
    /// A hook ended the run.
    #[error("cannot finish the run: it was cancelled: {reason}")]
    Cancelled {
        /// The hook's reason.
        reason: String,
    },
    /// The agent failed in another way, as it would have without durability.
    #[error("{0}")]
    Failed(String),
    /// This agent cannot run like this. No request was sent.
    #[error("cannot run agent `{agent}`: {reason}")]
    Invalid {
        /// The agent.
        agent: String,
        /// The reason, and what to do.
        reason: String,
    },
    /// Durability failed: a fault of the store, a misuse, a panic.
    #[error(transparent)]
    Kitaru(#[from] Error),
}

impl From<PromptError> for RigError {
    fn from(error: PromptError) -> Self {
        match error {
            PromptError::Report(report) => RigError::Report(Box::new(report)),
            PromptError::Provider(error) => RigError::Report(Box::new(ErrorReport::from(&error))),
            PromptError::MaxTurns { max_turns, .. } => RigError::MaxTurns { max_turns },
            PromptError::Cancelled { reason, .. } => RigError::Cancelled { reason },
            other => RigError::Failed(other.to_string()),
        }
    }
}

/// The error of a checkpoint without an outcome for the agent.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    #[error(transparent)]
    Report(Box<ErrorReport>),
    #[error(transparent)]
    Kitaru(#[from] Error),
}

impl From<ErrorReport> for Failure {
    fn from(report: ErrorReport) -> Self {
        Failure::Report(Box::new(report))
    }
}

impl Failure {
    /// Whether a retry may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Failure::Report(report) if report.retryable)
    }

    /// How long the provider asks clients to wait, in seconds; a date is not read.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let Failure::Report(report) = self else { return None };
        let headers = report.provider_response.as_ref()?.headers.as_ref()?;
        let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
