//! Bodies of calls that have begun already, and are to begin once more: behind a pause, behind a search, behind an intent. Owns
//! that none does before what the flow has seen is durable.

use std::mem;
use std::task::Waker;

use super::Replay;
use crate::machine::slot::{Behind, Due, Phase, SlotId};

impl Replay {
    /// The body of a call has failed, and is tried again at a time that is far away: until then it only waits.
    pub(crate) fn pause(&mut self, id: SlotId, due: Due) {
        self.slot(id).due = Some(due);
        self.busy -= 1;
        self.open += 1;
    }

    /// The body of a call that waited is tried again.
    /// False if it has to wait until what the flow has seen is durable: then it is woken for that.
    pub(crate) fn unpause(&mut self, id: SlotId) -> bool {
        if self.slot(id).due.take().is_some() {
            self.open -= 1;
            self.busy += 1;
            self.started += 1;
        }
        self.rise(id);
        !self.gate(id)
    }

    /// A body gives way to another one of the same call: the next poll polls that.
    pub(crate) fn begin_next(&mut self, id: SlotId) {
        if !self.gate(id) {
            self.slot(id).phase = Phase::Woken;
        }
    }

    /// Holds a call back that was woken to begin, because its intent has landed, together with another one that was given
    /// something: what the flow has made of that comes first.
    pub(super) fn hold_back(&mut self, id: SlotId) {
        if self.slot(id).phase == Phase::Begin && (self.flushing || !self.unflushed.is_empty()) {
            self.slot(id).phase = Phase::Gated(Behind::Intent);
            self.gated.push(id);
        }
    }

    /// Holds a body back that is to begin while the flow has seen something that is not durable, or nothing is to begin.
    fn gate(&mut self, id: SlotId) -> bool {
        let holds = self.draining || self.flushing || !self.unflushed.is_empty();
        if holds {
            self.slot(id).phase = Phase::Gated(Behind::Try);
            self.gated.push(id);
            self.nap(id);
        }
        holds
    }

    /// The body of a call has failed, and is tried again soon: until then nothing of it runs.
    pub(crate) fn nap(&mut self, id: SlotId) {
        if !mem::replace(&mut self.slot(id).napping, true) {
            self.napping += 1;
        }
    }

    pub(super) fn rise(&mut self, id: SlotId) {
        if mem::replace(&mut self.slot(id).napping, false) {
            self.napping -= 1;
        }
    }

    /// Lets bodies begin that were held back; where nothing is to begin, only those whose intent is durable.
    pub(super) fn open_gate(&mut self, wake: &mut Vec<Waker>) {
        for id in mem::take(&mut self.gated) {
            let draining = self.draining;
            let slot = self.slot(id);
            slot.phase = match slot.phase {
                Phase::Gated(Behind::Try) if draining => {
                    self.gated.push(id);
                    continue;
                }
                Phase::Gated(Behind::Try) => Phase::Woken,
                Phase::Gated(Behind::Intent) => Phase::Begin,
                // It was dropped.
                _ => continue,
            };
            wake.extend(slot.waker.take());
            self.rise(id);
        }
    }
}
