//! How many generations of each flow have which status. Must not know how they are counted.

use crate::id::JournalId;
use crate::journal::Status;

/// How many generations of each flow have which status.
pub(crate) struct Census {
    /// In the order of their names.
    pub(crate) flows: Vec<FlowCensus>,
    /// Generations of which no row says where they stand: a row cannot be read, or is not there yet.
    pub(crate) uncounted: u64,
    /// Some that wait, those that have waited the longest first.
    pub(crate) waiting: Vec<JournalId>,
}

/// The generations of a flow.
pub(crate) struct FlowCensus {
    pub(crate) flow: String,
    pub(crate) statuses: StatusCounts,
    /// The newest of them, the last one first.
    pub(crate) newest: Vec<JournalId>,
    /// Whether there are others.
    pub(crate) has_older: bool,
}

/// How many there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusCounts([u64; Status::ALL.len()]);

impl StatusCounts {
    pub(crate) fn of(&self, status: Status) -> u64 {
        self.0[usize::from(status.code())]
    }

    pub(crate) fn add(&mut self, status: Status) {
        self.0[usize::from(status.code())] += 1;
    }
}
