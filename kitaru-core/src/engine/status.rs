//! The status of an execution. Owns how the record and the process's own state are read together; must not know who asks.

use crate::engine::state::Engine;
use crate::error::Error;
use crate::journal::Status;
use crate::ledger::{Archive, ByStatus, Stored};

impl Engine {
    /// What is read of a generation, with its status: from the record, and from whether this process drives it.
    pub(crate) fn stands(
        &self,
        read: impl Fn(&Archive) -> Result<Option<Stored>, Error>,
    ) -> Result<Option<(Stored, Status)>, Error> {
        loop {
            let Some(stored) = read(&self.runtime.archive)? else { return Ok(None) };
            if let Some(status) = self.status(&stored)? {
                return Ok(Some((stored, status)));
            }
        }
    }

    /// Its status. None if the execution has moved since it was read: read it again.
    pub(crate) fn status(&self, stored: &Stored) -> Result<Option<Status>, Error> {
        let is_driven = self.registry.driven(&stored.header.execution).is_some();
        match stored.state.status {
            // Its process died or dropped it, unless it ended or resumed between the two reads.
            Status::Running if !is_driven => {
                let now = self.runtime.archive.stored(stored.journal)?.map(|stored| stored.state);
                let stands =
                    now.is_some_and(|now| (now.status, now.attempts) == (Status::Running, stored.state.attempts));
                Ok(stands.then_some(Status::Interrupted))
            }
            // It resumes, and has not begun a body of its own yet.
            Status::Failed | Status::Interrupted | Status::Queued | Status::Waiting if is_driven => {
                Ok(Some(Status::Running))
            }
            status => Ok(Some(status)),
        }
    }

    /// Where those are found that stand at one of these; nothing if they may stand anywhere.
    pub(crate) fn by_status(&self, statuses: &[Status]) -> Option<ByStatus> {
        if statuses.is_empty() {
            return None;
        }
        let mut by_status = ByStatus::default();
        for status in statuses {
            match status {
                Status::Queued | Status::Waiting => by_status.unfinished.push(*status),
                Status::Interrupted => by_status.unfinished.extend([Status::Interrupted, Status::Running]),
                Status::Running => {
                    let driven = self.registry.all().into_iter().filter(|(_, seated)| seated.is_driven());
                    by_status.executions = driven.map(|(execution, _)| execution).collect();
                }
                Status::Completed | Status::Failed | Status::Cancelled | Status::Stuck | Status::ContinuedAsNew => {
                    by_status.ended.push(*status);
                }
            }
        }
        // Where it may be taken up between the two looks.
        if statuses.contains(&Status::Running) && !by_status.unfinished.is_empty() {
            by_status.unfinished.push(Status::Running);
        }
        Some(by_status)
    }
}
