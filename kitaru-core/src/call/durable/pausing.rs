//! A long pause between two tries, which survives the process. Owns what is recorded of it.

use super::Durable;
use super::stage::CallStage;
use crate::call::body::Body;
use crate::call::meta::Spec;
use crate::call::options::Options;
use crate::call::tries::Tries;
use crate::journal::{Frame, OpenFrame};
use crate::machine::{Due, RecordState};

impl<B: Body> Durable<B> {
    /// The tries that an earlier attempt left in a pause.
    pub(super) fn paused(&self) -> Option<Tries> {
        let RecordState::Open(at) = self.claim.standing else { return None };
        Tries::paused(self.context.journal.opening(at)?, &self.context.runtime.clock)
    }

    /// A try has failed. Records a long pause before the next one, because the flow may be parked meanwhile.
    pub(super) fn pause(&mut self, spec: &Spec, options: &Options<B::Output>) {
        let CallStage::Running(running, tries) = &self.stage else { return };
        let runtime = &self.context.runtime;
        let soon_ms = runtime.clock.steady_ms().saturating_add(runtime.park_after_ms);
        let slot = running.slot;
        let (Some(due_ms), Some(opening)) = (tries.paused_until(), tries.opening(options)) else { return };
        if due_ms <= soon_ms {
            return self.context.replay().nap(slot);
        }
        // The row that says that the flow is parked is written after this frame.
        self.context.send_ahead(Frame::Open(OpenFrame { call: self.call_frame(spec), opening }).write());
        self.context.replay().pause(slot, Due::At(due_ms));
    }
}
