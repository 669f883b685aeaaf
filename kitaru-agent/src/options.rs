//! What one run of an agent is given beside its prompt.
//!
//! Owns the options. Must not know what a run does with them.

use serde::{Deserialize, Serialize};

use crate::message::History;
use crate::model::ModelSettings;
use crate::usage::Limits;

/// What may differ from one run of an agent to the next, the prompt aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunOptions {
    /// What was said before.
    pub history: History,
    /// Settings that take the place of the agent's, one by one.
    pub settings: ModelSettings,
    /// Limits in place of the agent's.
    pub limits: Option<Limits>,
}

impl RunOptions {
    /// Goes on from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        Self { history: history.into(), ..self }
    }

    /// Sets what `settings` sets, for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        Self { settings, ..self }
    }

    /// Sets what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }
}
