//! What there is to wait for of an execution. Must not know who waits.

use std::sync::Arc;

use crate::engine::active::{Awaited, Ended, Progress};
use crate::engine::state::Engine;
use crate::error::{Error, Kind};
use crate::id::ExecutionId;
use crate::journal::Status;
use crate::ledger::{Archive, Stored};

/// What is there of an execution.
pub(crate) enum Found {
    Ended(Ended),
    /// It is parked, or this process has taken it up meanwhile.
    Going(Awaited),
}

impl Engine {
    /// What is there to wait for. None if it has moved since it was read: it is to be read again.
    pub(crate) fn find(&self, stored: &Stored) -> Result<Option<Found>, Error> {
        let execution = &stored.header.execution;
        if let Some(ended) = came_to(&self.runtime.archive, stored)? {
            return Ok(Some(Found::Ended(ended)));
        }
        if matches!(stored.state.status, Status::Waiting | Status::Queued) {
            let active = self.registry.join_parked(execution, || Progress::of(stored));
            // Behind that: whoever drives it from now on tells the active; what has ended before is in the store.
            let now = self.runtime.archive.newest(execution)?;
            if now.is_some_and(|now| !now.state.status.is_final()) {
                return Ok(Some(Found::Going(active)));
            }
            return Ok(None);
        }
        if let Some(active) = self.registry.join(execution) {
            return Ok(Some(Found::Going(active)));
        }
        match self.status(stored)? {
            None | Some(Status::Running) => Ok(None),
            Some(_) => {
                let why = format!("execution {execution} was interrupted and nobody drives it; call its flow to go on");
                Err(Error::new(Kind::Misuse, why))
            }
        }
    }
}

/// What an execution came to, as its callers are told; nothing if that is still open.
pub(crate) fn came_to(archive: &Archive, stored: &Stored) -> Result<Option<Ended>, Error> {
    Ok(match stored.state.status {
        Status::Completed | Status::Failed => Some(Ended::Outcome(Arc::new(archive.outcome(stored)?))),
        Status::Stuck => Some(Ended::Fault(Error::new(Kind::Stuck, &stored.state.reason))),
        Status::Cancelled => Some(Ended::Fault(Error::new(Kind::Cancelled, &stored.state.reason))),
        Status::Waiting | Status::Queued | Status::Running | Status::Interrupted | Status::ContinuedAsNew => None,
    })
}

pub(crate) fn unknown(execution: &ExecutionId) -> Error {
    Error::new(Kind::Misuse, format!("there is no execution {execution}; call the flow to begin it"))
}
