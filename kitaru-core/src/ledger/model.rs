//! What is known of a generation, however it is kept. Must not know how it is read or written.

use std::time::Duration;

use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Header, Lineage, Malformed, Status, Tally};
use crate::machine::{Cause, Due, Journal};

/// One generation, as it is kept.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) journal: JournalId,
    pub(crate) header: Header,
    pub(crate) state: GenerationState,
}

/// Where a generation stands: what its row says while it is unfinished, and its last record from then on.
#[derive(Debug)]
pub(crate) struct GenerationState {
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) updated_ms: u64,
    /// When a parked or queued one resumes automatically.
    pub(crate) due: Due,
    /// Why it failed, was cancelled or is stuck.
    pub(crate) reason: String,
    pub(crate) listing: Listing,
    pub(crate) tally: Tally,
}

impl GenerationState {
    /// Whether its flow is parked until another execution ends.
    pub(crate) fn awaits_execution(&self) -> bool {
        self.status == Status::Waiting && self.due == Due::Execution
    }

    /// Why it failed, is stuck or was cancelled, as lists show it.
    pub(crate) fn error(&self) -> Option<&str> {
        let has_error = matches!(self.status, Status::Failed | Status::Stuck | Status::Cancelled);
        Some(&*self.reason).filter(|_| has_error)
    }

    /// When a queued one begins, by the clock that is shown.
    pub(crate) fn starts_ms(&self) -> u64 {
        match self.due {
            Due::At(starts_ms) => starts_ms,
            Due::Execution | Due::Never => 0,
        }
    }
}

/// Whether the generation is on the store's list of unfinished ones when an attempt begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It is not: it has ended before.
    Off,
    /// An earlier attempt has put it there, and has not ended.
    Earlier,
    /// The attempt is there.
    Current,
    /// The attempt is there, and it is one of a generation that has ended: it is replayed for what is to be undone.
    AfterEnd,
}

/// One generation, with all its records.
pub(crate) struct Generation {
    pub(crate) header: Header,
    pub(crate) status: Status,
    /// Why it failed, was cancelled or is stuck.
    #[cfg(feature = "testkit")]
    pub(crate) reason: String,
    pub(crate) journal: Journal,
    /// What it has of the execution that it was forked from.
    pub(crate) fork: Option<Lineage>,
}

/// A generation that is to resume, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WokenGeneration {
    pub(crate) journal: JournalId,
    pub(crate) cause: Cause,
}

/// How long to wait until a store may have recovered from a fault.
pub(crate) const AFTER_FAULT: Duration = Duration::from_secs(10);

pub(crate) fn malformed(execution: &ExecutionId, what: &str, why: Malformed) -> Error {
    let why = why.0;
    cannot!(
        Kind::Store,
        "read the {what} of execution {execution}",
        "{why}",
        "use the version that wrote it, or restore a backup"
    )
}
