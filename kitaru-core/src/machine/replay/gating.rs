//! Bodies of calls that began already and begin once more: after a pause, a search or an intent. Owns that none begins
//! before what the flow received is durable.

use std::mem;
use std::task::Waker;

use super::Replay;
use crate::machine::slot::{Behind, Due, Phase, SlotId};

impl Replay {
    /// The body of a call failed, and its next try is far away: until then it only waits.
    pub(crate) fn pause(&mut self, id: SlotId, due: Due) {
        self.slot(id).due = Some(due);
        self.busy -= 1;
        self.open += 1;
    }

    /// The body of a call that waited is tried again. False if it must wait until what the flow received is durable: it
    /// is woken when it is.
    pub(crate) fn unpause(&mut self, id: SlotId) -> bool {
        if self.slot(id).due.take().is_some() {
            self.open -= 1;
            self.busy += 1;
            self.started += 1;
        }
        self.rise(id);
        !self.gate(id)
    }

    /// Another body of the same call follows: the next poll polls that.
    pub(crate) fn begin_next(&mut self, id: SlotId) {
        if !self.gate(id) {
            self.slot(id).phase = Phase::Woken;
        }
    }

    /// Holds a call back that was woken to begin because its intent landed, if another call received an outcome in the
    /// same poll: the flow's reaction to that comes first.
    pub(super) fn hold_back(&mut self, id: SlotId) {
        if self.slot(id).phase == Phase::Begin && (self.flushing || !self.unflushed.is_empty()) {
            self.slot(id).phase = Phase::Gated(Behind::Intent);
            self.gated.push(id);
        }
    }

    /// Holds a body back while the flow received something that is not durable, or while nothing may begin.
    fn gate(&mut self, id: SlotId) -> bool {
        let holds = self.draining || self.flushing || !self.unflushed.is_empty();
        if holds {
            self.slot(id).phase = Phase::Gated(Behind::Try);
            self.gated.push(id);
            self.nap(id);
        }
        holds
    }

    /// The body of a call failed, and its next try is near: until then nothing of it runs.
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

    /// Lets bodies begin that were held back. If nothing may begin, only those whose intent is durable.
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
