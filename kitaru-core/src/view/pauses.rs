//! The pauses of an execution before its next tries. Owns what is shown of them; must not know why a body is tried again.

use std::fmt;
use std::time::SystemTime;

use crate::clock::At;
use crate::view::execution::Execution;
use crate::view::record::{Record, RecordStatus};
use crate::view::time::time;

impl Execution {
    /// The pauses of failed bodies before their next tries, such as requests to an unavailable service. Pauses shorter than
    /// [`KitaruBuilder::park_after`](crate::KitaruBuilder::park_after) are not recorded and not shown.
    pub fn pauses(&self) -> impl Iterator<Item = Pause<'_>> {
        let is_unfinished = !self.stored.state.status.is_final();
        let paused = self.records().iter().filter(move |record| is_unfinished && record.is_paused());
        paused.map(Pause)
    }
}

impl Record {
    fn is_paused(&self) -> bool {
        self.status == RecordStatus::Waiting && self.due_ms > 0 && !self.forgotten
    }
}

/// A pause before the next try of a body that failed. Its `Display` is a line for people: ``waits for model `x`: status 503,
/// next try 14:02:30 UTC``.
#[derive(Clone, Copy, Debug)]
pub struct Pause<'a>(&'a Record);

impl<'a> Pause<'a> {
    /// The record of the waiting call.
    pub fn record(&self) -> &'a Record {
        self.0
    }

    /// What the call waits for, if it has set that.
    pub fn awaited(&self) -> Option<&'a str> {
        Some(&*self.0.awaited).filter(|awaited| !awaited.is_empty())
    }

    /// The error of the last try, shortened for people to read.
    pub fn error(&self) -> &'a str {
        self.0.failed.last().map_or("", |failed| &failed.error)
    }

    /// When the next try begins.
    pub fn next_try(&self) -> SystemTime {
        time(self.0.due_ms)
    }
}

impl fmt::Display for Pause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = At(self.0.due_ms);
        match self.awaited() {
            Some(awaited) => write!(f, "waits for {awaited}: {}, next try {next}", self.error()),
            None => write!(f, "`{}` is tried again: {}, next try {next}", self.0.name, self.error()),
        }
    }
}
