//! Claims of executions. Owns how the attempt before a claim ended, and what the attempts of this process have left; must not
//! know what an attempt does.

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::Status;
use crate::ledger::{ClaimedGeneration, Earlier, GenerationState, Listing, Stored, Tenure};
use crate::sync::{Mutex, lock};

/// The generations that an attempt of this process left without a last word that has landed. This process lives, so none of
/// those attempts crashed, and what they have written may be on its way.
#[derive(Default)]
pub(super) struct LeftGenerations(Mutex<HashMap<ExecutionId, JournalId>>);

impl LeftGenerations {
    pub(super) fn leave(&self, execution: &ExecutionId, journal: JournalId) {
        lock(&self.0).insert(execution.clone(), journal);
    }

    /// The last word of an attempt has landed.
    pub(super) fn done(&self, execution: &ExecutionId) {
        lock(&self.0).remove(execution);
    }

    /// The generation of an execution that was left.
    pub(super) fn left(&self, execution: &ExecutionId) -> Option<JournalId> {
        lock(&self.0).get(execution).copied()
    }

    /// Claims the newest generation of an execution. No other process writes to the store, and in this one each execution is
    /// claimed by one task at a time.
    pub(super) fn claim(&self, mut stored: Stored) -> ClaimedGeneration {
        let lives = self.left(&stored.header.execution) == Some(stored.journal);
        let GenerationState { status: recorded, attempts, listing, .. } = stored.state;
        let earlier = match recorded {
            // The generation after a `.continue_as_new()` exists before its first attempt.
            Status::Running if attempts == 0 => Earlier::Ended,
            Status::Running if !lives => Earlier::Crashed,
            // The process crashed while the execution was being cancelled.
            Status::Failed | Status::Stuck if listing == Listing::Earlier && !lives => Earlier::Crashed,
            Status::Running | Status::Interrupted => Earlier::CutOff,
            _ => Earlier::Ended,
        };
        if recorded == Status::Running {
            stored.state.status = Status::Interrupted;
        }
        // The number of the next record is known when the journal is loaded.
        let tenure = Arc::new(Tenure::new(stored.journal, Seq(0)));
        ClaimedGeneration { stored, earlier, tenure, recorded }
    }
}
