//! A task that drives an execution, as its attempts see it. Must not know how it is driven.

use std::sync::Arc;

use tokio::runtime::Id;
use tokio::sync::OwnedSemaphorePermit;

use crate::context::Context;
use crate::engine::active::{Active, Ended};
use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::machine::{Cause, TaskId};

/// A task that drives an execution, from its seat to the end.
pub(crate) struct Task {
    pub(crate) engine: Arc<Engine>,
    pub(crate) execution: ExecutionId,
    pub(crate) active: Arc<Active>,
    pub(super) id: TaskId,
    /// Whether the execution resumes by itself after a fault of the store.
    pub(super) resumes: bool,
    /// The runtime that it runs on, once it does.
    pub(super) runtime: Option<Id>,
    pub(super) wakeup: Option<Wakeup>,
}

/// Why an execution resumes without a caller.
pub(crate) struct Wakeup {
    /// After an opening, an interrupted attempt may have been such a resumption, and have crashed.
    pub(crate) cause: Cause,
    /// Held while the execution is driven.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Task {
    /// The task ends with this error.
    pub(crate) fn fails(&self, error: Error) -> Ended {
        self.active.record(Err(error.clone()));
        Ended::Fault(error)
    }

    /// Sets the generation that the task drives.
    pub(crate) fn drives(&self, journal: JournalId) {
        self.active.plan(self.id, journal);
    }

    /// An attempt is in memory.
    pub(crate) fn begins(&self, attempt: &Arc<Context>) {
        if let Some(by) = self.active.canceller() {
            attempt.cancelled_by(by);
        }
        self.active.begin(self.id, attempt);
    }
}
