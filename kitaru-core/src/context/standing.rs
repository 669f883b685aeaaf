//! What an attempt says of itself to the store: it runs, may run bodies, is parked, was interrupted. Owns what is
//! written for that; must not know why they are written.

use std::sync::Arc;

use super::ack::Subject;
use super::{Admission, Context};
use crate::journal::Status;
use crate::ledger::{AttemptEnd, Change};
use crate::machine::{AttemptReport, Due, Event};
use crate::runtime::lock;

impl Context {
    /// Whether the store knows that bodies of this attempt may run.
    pub(crate) fn is_known(&self) -> bool {
        self.course.state().is_known()
    }

    /// Tells the store, once, that bodies of this attempt may run. Does not wait.
    pub(crate) fn announce(self: &Arc<Self>) {
        let says = self.course.see(Event::BodiesBegin);
        if says != AttemptReport::Nothing {
            self.submit(Subject::Ahead, None, Vec::new(), says);
        }
    }

    /// The earlier attempt left a lasting record. What was presumed of it before that could be read does not count.
    pub(crate) fn clear_tally(self: &Arc<Self>) {
        self.course.clear();
        self.send_aside(vec![self.running()]);
    }

    /// Lets others begin: this attempt has proved itself, or has been alone for long enough. Returns whether it held
    /// them up.
    pub(crate) fn admit_others(self: &Arc<Self>) -> bool {
        let holds = lock(&self.admission).as_ref().map(Admission::is_alone);
        match holds {
            None => return false,
            // Others begin after this row: from now on another attempt may cause a crash.
            Some(_) if self.course.has_company() => self.send(Subject::Company, None, vec![self.running()]),
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

    /// That this attempt runs.
    pub(super) fn running(&self) -> Change {
        self.course.running(self.attempt.number, self.runtime.clock.now_ms(), || self.journal.ended_with())
    }

    /// That it was interrupted in a process that lives, if the store knows of it.
    pub(crate) fn cut_off(&self) -> Option<Change> {
        self.course.cut_off(self.attempts(), self.runtime.clock.now_ms())
    }

    /// That the flow is parked, and until when.
    pub(crate) fn parked(&self, due: Due) -> Change {
        let due = if self.mailbox.awaits_execution() { Due::Execution } else { due };
        Change::Parked { attempts: self.attempts(), at_ms: self.runtime.clock.now_ms(), due }
    }

    /// How the attempt ends its generation, with a last record that says so.
    pub(crate) fn ended(&self, status: Status, frame: Vec<u8>) -> AttemptEnd {
        let (earlier, is_listed) = (self.journal.ended_with(), self.course.state().is_listed());
        AttemptEnd { frame, status, earlier, is_listed }
    }

    /// The number of attempts so far. An attempt that only replayed does not count: it neither recorded anything nor
    /// crashed.
    fn attempts(&self) -> u32 {
        self.attempt.number - u32::from(!self.course.state().is_announced())
    }
}
