//! What an attempt says of itself to the store: it runs, may run bodies, is parked, was interrupted. Owns the rows for
//! that; must not know why they are written.

use std::sync::Arc;

use super::ack::Subject;
use super::flags::Flag;
use super::{Admission, Context};
use crate::journal::{Status, Tally, UnfinishedRow};
use crate::ledger::{AT_ONCE_MS, Change};
use crate::machine::Due;
use crate::runtime::lock;

impl Context {
    /// Whether the store knows that bodies of this attempt may run.
    pub(crate) fn is_known(&self) -> bool {
        self.presence.is_known()
    }

    /// Tells the store, once, that bodies of this attempt may run. Does not wait.
    pub(crate) fn announce(self: &Arc<Self>) {
        let says = self.presence.bodies_begin();
        if says.row {
            self.submit(Subject::Ahead, None, Vec::new(), says);
        }
    }

    /// The earlier attempt left a lasting record. What was presumed of it before that could be read does not count.
    pub(crate) fn clear_tally(self: &Arc<Self>) {
        self.presence.clear();
        self.send_aside(vec![self.running()]);
    }

    /// Whether the generation is on the store's list of unfinished ones.
    pub(crate) fn is_listed(&self) -> bool {
        self.presence.is_listed()
    }

    /// Lets others begin: this attempt has proved itself, or has been alone for long enough. Returns whether it held
    /// them up.
    pub(crate) fn admit_others(self: &Arc<Self>) -> bool {
        let holds = lock(&self.admission).as_ref().map(Admission::is_alone);
        match holds {
            None => return false,
            // Others begin after this row: from now on another attempt may cause a crash.
            Some(_) if self.presence.has_company() => self.send(Subject::Company, None, vec![self.running()]),
            // The row that says so may be on its way.
            Some(true) => {}
            Some(false) => self.release(),
        }
        holds == Some(true)
    }

    /// Lets others begin.
    pub(crate) fn release(&self) {
        let admission = lock(&self.admission).take();
        drop(admission);
    }

    /// Whether it still holds its leave to begin, and so has not proved itself.
    pub(crate) fn is_admitted(&self) -> bool {
        lock(&self.admission).is_some()
    }

    /// The row that says that this attempt runs.
    pub(crate) fn running(&self) -> Change {
        Change::State(self.running_state())
    }

    pub(crate) fn running_state(&self) -> UnfinishedRow {
        self.presence.running(self.attempt.number, self.runtime.clock.now_ms())
    }

    /// The row that says that it was interrupted in a process that lives, if the store knows of it.
    pub(crate) fn cut_off(&self) -> Option<Change> {
        let state = self.presence.cut_off(self.attempts(), self.runtime.clock.now_ms());
        self.presence.is_counted().then_some(Change::State(state))
    }

    /// The row that says that the flow is parked, and until when.
    pub(crate) fn parked(&self, due: Due) -> Change {
        Change::State(UnfinishedRow {
            status: Status::Waiting,
            attempts: self.attempts(),
            updated_ms: self.runtime.clock.now_ms(),
            tally: Tally::default(),
            // A flow that waits for another execution checks for itself when the store is opened again: the other's
            // result may land without a notification.
            wake_ms: if self.flags.has(Flag::AwaitsExecution) { AT_ONCE_MS } else { due.unix_ms() },
        })
    }

    /// The number of attempts so far. An attempt that only replayed does not count: it neither recorded anything nor
    /// crashed.
    fn attempts(&self) -> u32 {
        self.attempt.number - u32::from(!self.presence.is_told())
    }
}
