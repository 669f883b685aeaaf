//! A long pause between two tries, which survives the process. Owns what is recorded of it.

use super::Durable;
use super::stage::Stage;
use crate::call::body::Body;
use crate::call::meta::Spec;
use crate::call::options::Options;
use crate::call::tries::Tries;
use crate::journal::{Frame, OpenFrame};
use crate::machine::{Due, Standing};

impl<B: Body> Durable<B> {
    /// The tries that an earlier attempt has left in a pause.
    pub(super) fn paused(&self) -> Option<Tries> {
        let Standing::Open(at) = self.claim.standing else { return None };
        Tries::paused(self.context.journal.opening(at)?, &self.context.runtime.clock)
    }

    /// A try has failed, and if the next one is far away that is recorded: the flow may go out of memory meanwhile.
    pub(super) fn pause(&mut self, spec: &Spec, options: &Options<B::Output>) {
        let Stage::Running(running, tries) = &self.stage else { return };
        let runtime = &self.context.runtime;
        let soon_ms = runtime.clock.steady_ms().saturating_add(runtime.park_after_ms);
        let slot = running.slot;
        let (Some(due_ms), Some(opening)) = (tries.paused_until(), tries.opening(options)) else { return };
        if due_ms <= soon_ms {
            return self.context.replay().nap(slot);
        }
        // Whatever says that the flow is out of memory lands behind it.
        self.context.send_ahead(Frame::Open(OpenFrame { call: self.call_frame(spec), opening }).write());
        self.context.replay().pause(slot, Due::At(due_ms));
    }
}
