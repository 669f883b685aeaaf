//! The options of one run, in addition to its prompt.
//!
//! Owns the options. Must not know what a run does with them.

use serde::{Deserialize, Serialize};

use crate::message::History;
use crate::model::ModelSettings;
use crate::usage::Limits;

/// The options that may differ from run to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunOptions {
    /// The earlier messages of the conversation.
    pub history: History,
    /// Settings that override the agent's, one by one.
    pub settings: ModelSettings,
    /// Limits that replace the agent's.
    pub limits: Option<Limits>,
}

impl RunOptions {
    /// Continues from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        Self { history: history.into(), ..self }
    }

    /// Overrides the model's settings for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        Self { settings, ..self }
    }

    /// Limits what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }
}
