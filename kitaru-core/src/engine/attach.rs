//! What a caller of an execution can wait for. Must not know who waits.

use std::sync::Arc;

use crate::engine::active::{Awaited, CallerView, Ended};
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::Status;
use crate::ledger::{Archive, Stored, blocking};

/// What exists of an execution.
pub(crate) enum Attached {
    Ended(Ended),
    /// The execution is parked, or a task of this process now drives it.
    Going(Awaited),
}

impl Engine {
    /// What there is to wait for of an execution.
    pub(crate) async fn attach(self: &Arc<Self>, execution: &ExecutionId) -> Result<Attached, Error> {
        if let Some(active) = self.registry.join(execution) {
            return Ok(Attached::Going(active));
        }
        let (engine, execution) = (self.clone(), execution.clone());
        blocking(move || {
            loop {
                let stored = engine.runtime.archive.newest(&execution)?.ok_or_else(|| unknown(&execution))?;
                if let Some(attached) = engine.attached(&stored)? {
                    return Ok(attached);
                }
            }
        })
        .await?
    }

    /// What there is to wait for. None if the execution has moved since it was read: read it again.
    fn attached(&self, stored: &Stored) -> Result<Option<Attached>, Error> {
        let execution = &stored.header.execution;
        if let Some(ended) = recorded_end(&self.runtime.archive, stored)? {
            return Ok(Some(Attached::Ended(ended)));
        }
        if matches!(stored.state.status, Status::Waiting | Status::Queued) {
            let active = self.registry.join_parked(execution, || CallerView::of(stored));
            // After the look at the seat: a task that drives it from now on tells its callers, and an end before that is in the
            // store.
            let now = self.runtime.archive.newest(execution)?;
            if now.is_some_and(|now| !now.state.status.is_final()) {
                return Ok(Some(Attached::Going(active)));
            }
            return Ok(None);
        }
        if let Some(active) = self.registry.join(execution) {
            return Ok(Some(Attached::Going(active)));
        }
        match self.status(stored)? {
            None | Some(Status::Running) => Ok(None),
            Some(_) => Err(cannot!(
                Kind::Misuse,
                "wait for execution {execution}",
                "it was interrupted and nothing drives it",
                "call its flow to resume it"
            )),
        }
    }
}

/// How an execution ended, as its callers learn it. None if it has not ended.
pub(super) fn recorded_end(archive: &Archive, stored: &Stored) -> Result<Option<Ended>, Error> {
    Ok(match stored.state.status {
        Status::Completed | Status::Failed => Some(Ended::Outcome(Arc::new(archive.outcome(stored)?))),
        Status::Stuck => Some(Ended::Fault(Error::new(Kind::Stuck, &stored.state.reason))),
        Status::Cancelled => Some(Ended::Fault(Error::new(Kind::Cancelled, &stored.state.reason))),
        Status::Waiting | Status::Queued | Status::Running | Status::Interrupted | Status::ContinuedAsNew => None,
    })
}

pub(super) fn unknown(execution: &ExecutionId) -> Error {
    cannot!(
        Kind::Misuse,
        "wait for execution {execution}",
        "the store has no execution of this flow and id",
        "call the flow, or look at Kitaru::executions"
    )
}
