//! An execution that this process drives, as its attempts see it. Must not know how it is driven.

use std::sync::{Arc, Mutex};

use tokio::runtime::Id;
use tokio::sync::OwnedSemaphorePermit;

use crate::engine::active::{Active, Ended, Reservation};
use crate::engine::sleepers::Cause;
use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::runtime::lock;

/// An execution that this process drives: from the reservation to the end.
pub(crate) struct Place {
    pub(crate) inner: Arc<Engine>,
    pub(crate) execution: ExecutionId,
    pub(crate) active: Arc<Active>,
    pub(super) reservation: Reservation,
    /// The execution is nothing to it any more: it has ended, it is parked, or another one drives it.
    pub(super) gone: bool,
    /// Whether it goes on by itself after a fault of the store.
    pub(super) goes_on: bool,
    /// The generation that it drives, once that is known.
    pub(super) journal: Mutex<Option<JournalId>>,
    /// The runtime that it runs on, once it does.
    pub(super) runtime: Option<Id>,
    pub(super) uncalled: Option<Uncalled>,
}

/// An execution that goes on by itself.
pub(crate) struct Uncalled {
    pub(crate) journal: JournalId,
    /// Where the store was opened, a dead process may have had it go on, and died of it.
    pub(crate) cause: Cause,
    /// Held while it is driven.
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Place {
    /// It comes to nothing, for this reason.
    pub(crate) fn fails(&self, error: Error) -> Ended {
        self.active.record(Err(error.clone()));
        Ended::Fault(error)
    }

    /// Says which generation it drives.
    pub(crate) fn drives(&self, journal: JournalId) {
        *lock(&self.journal) = Some(journal);
    }

    /// What was on its way to the store has not been waited for.
    pub(crate) fn leaves_writes(&self) {
        lock(&self.inner.left).insert(self.execution.clone());
    }
}
