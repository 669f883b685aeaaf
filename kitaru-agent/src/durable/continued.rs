//! The broken run that a run continues, and the entry that a run leaves if it breaks.
//!
//! Owns which run continues which: the oldest broken run of the flow with the same subject, and each one once. Must not know
//! the outcomes of a run.

use std::sync::Arc;

use kitaru_core::dynamic::{self, CallIdentity};

use super::error::RunError;
use super::progress::{BrokenRun, BrokenRuns, Progress, Subject};
use crate::budget::Budget;

/// Where a run begins.
pub(super) struct Continued {
    /// None outside a flow's own code, where a replay would not find the same runs.
    runs: Option<Arc<BrokenRuns>>,
    wrong: u32,
    turn: Option<CallIdentity>,
    progress: Progress,
}

impl Continued {
    /// At its beginning.
    pub(super) fn nothing() -> Self {
        Continued { runs: dynamic::beside_the_flow(), wrong: 0, turn: None, progress: Progress::default() }
    }

    /// Where the oldest broken run with the same subject stopped, if there is one.
    pub(super) fn find(subject: impl FnOnce() -> Subject, budget: Option<&Budget>) -> Self {
        let continued = Continued::nothing();
        let runs = continued.runs.as_deref().filter(|runs| !runs.is_empty());
        match runs.and_then(|runs| runs.take(&subject())) {
            Some(broken) => {
                let (wrong, turn) = (broken.wrong(), broken.turn());
                Continued { wrong, turn, progress: Progress::after(broken, budget), ..continued }
            }
            None => continued,
        }
    }

    /// The outcomes of the run so far.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// How often earlier runs broke because the model made too many mistakes.
    pub(super) fn wrong(&self) -> u32 {
        self.wrong
    }

    /// The call of the broken turn, if turns are checkpoints.
    pub(super) fn turn(&self) -> Option<CallIdentity> {
        self.turn
    }

    /// The run ends in an error, which the flow is about to receive.
    pub(super) fn broke(self, subject: Subject, broken: BrokenRun, error: &RunError) {
        if let Some(runs) = self.runs {
            runs.push(subject, broken.ended_in(error, self.wrong));
        }
    }
}
