//! What a durable run of a rig agent can end in.

use std::time::Duration;

use kitaru_core::Error;
use rig_agent::completion::PromptError;
use rig_core::error::ErrorReport;
use serde::{Deserialize, Serialize};

/// Why a run of a [`KitaruRig`](crate::KitaruRig) gave no result.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RigError {
    /// A model, or what else the agent asks, failed: rig's own report.
    #[error(transparent)]
    Report(Box<ErrorReport>),
    /// The agent used up the model calls that it may make.
    #[error("reached the max turns limit of {max_turns}")]
    MaxTurns {
        /// The limit.
        max_turns: usize,
    },
    /// A hook ended the run.
    #[error("the run was cancelled: {reason}")]
    Cancelled {
        /// What the hook said.
        reason: String,
    },
    /// The agent failed in another way, as it would have without durability.
    #[error("{0}")]
    Failed(String),
    /// This agent cannot be run like this. Nothing was asked.
    #[error("agent `{agent}` cannot be run: {reason}")]
    Invalid {
        /// Which agent.
        agent: String,
        /// Why not, and what to do.
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

/// What a checkpoint of a run ends in when it gives nothing that the agent could go on with.
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
    /// Whether asking again may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Failure::Report(report) if report.retryable)
    }

    /// How long the provider asks to be left alone, in seconds; a date is not read.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let Failure::Report(report) = self else { return None };
        let headers = report.provider_response.as_ref()?.headers.as_ref()?;
        let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}
