//! What an attempt says of itself to the store: that it runs, may run bodies, is parked, was cut off. Owns the rows for that; must
//! not know why they are written.

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

    /// Tells the store, once, that bodies of this attempt may run. Nobody waits for that here.
    pub(crate) fn announce(self: &Arc<Self>) {
        let says = self.presence.bodies_begin();
        if says.row {
            self.submit(Subject::Ahead, None, Vec::new(), says);
        }
    }

    /// The attempt before this one has left a lasting record: what was presumed of it before that could be read does not
    /// count.
    pub(crate) fn clear_tally(self: &Arc<Self>) {
        self.presence.clear();
        self.send_aside(vec![self.running()]);
    }

    /// Whether the generation is on the store's list of unfinished ones.
    pub(crate) fn is_listed(&self) -> bool {
        self.presence.is_listed()
    }

    /// Lets others begin beside this attempt: it has proved itself, or has been alone for long enough. Whether it held them
    /// up.
    pub(crate) fn admit_others(self: &Arc<Self>) -> bool {
        let holds = lock(&self.admission).as_ref().map(Admission::is_alone);
        match holds {
            None => return false,
            // Whoever begins does so behind that: from now on a death may be another one's.
            Some(_) if self.presence.has_company() => self.send(Subject::Company, None, vec![self.running()]),
            // What says so may be on its way.
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

    /// Whether it holds its leave to begin, as until it has proved itself.
    pub(crate) fn is_admitted(&self) -> bool {
        lock(&self.admission).is_some()
    }

    /// That this attempt runs.
    pub(crate) fn running(&self) -> Change {
        Change::State(self.running_state())
    }

    pub(crate) fn running_state(&self) -> UnfinishedRow {
        self.presence.running(self.attempt.number, self.runtime.clock.now_ms())
    }

    /// That it was cut off by a process that lives, if the store knows of it.
    pub(crate) fn cut_off(&self) -> Option<Change> {
        let state = self.presence.cut_off(self.attempts(), self.runtime.clock.now_ms());
        self.presence.is_counted().then_some(Change::State(state))
    }

    /// That the flow is parked, and until when.
    pub(crate) fn parked(&self, due: Due) -> Change {
        Change::State(UnfinishedRow {
            status: Status::Waiting,
            attempts: self.attempts(),
            updated_ms: self.runtime.clock.now_ms(),
            tally: Tally::default(),
            // One that waits for another execution looks for itself when the store is opened again: what that comes to
            // may land without anybody being left to tell.
            wake_ms: if self.flags.has(Flag::AwaitsExecution) { AT_ONCE_MS } else { due.unix_ms() },
        })
    }

    /// How many attempts there were by now. One that has only been replayed is none: it neither came to something nor died.
    fn attempts(&self) -> u32 {
        self.attempt.number - u32::from(!self.presence.is_told())
    }
}
