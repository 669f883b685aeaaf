//! A body that may or may not have run, and a person who says. Owns what becomes of the call; must not know the words that
//! are asked.

use super::{Durable, How, Stage};
use crate::call::Checkpoint;
use crate::call::meta::{OnInterrupt, Spec};
use crate::call::outcome::Packing;
use crate::call::resolution::{self, Resolved};
use crate::call::wait::gone;
use crate::journal::{Aside, Frame, WaitRow};
use crate::log;
use crate::machine::{Due, SlotId, Standing};
use crate::store::Row;

impl<B: Checkpoint> Durable<B> {
    /// Asks a person what became of the body. That nobody knows is in the journal already.
    pub(super) fn ask(&mut self, spec: &Spec, slot: SlotId) {
        let name = self.claim.name(spec.shown());
        let question = resolution::question(&name);
        log::asks(&self.context.attempt, &name, &question.text);
        let opened_ms = self.context.runtime.clock.now_ms();
        let row = question.row(&self.context, &name, WaitRow { opened_ms, ..WaitRow::default() });
        self.context.send_aside(vec![row]);
        self.context.replay().open(slot, Due::Never);
        self.context.mailbox.listen(&name);
        self.stage = Stage::Asking(self.running(spec, slot), name);
    }

    /// What the person said, once it fits.
    pub(super) fn resolved(&self) -> Option<Resolved<B::Output>> {
        let Stage::Asking(running, name) = &self.stage else { return None };
        loop {
            let json = self.context.mailbox.answer(name, &running.waker)?;
            match resolution::resolve::<B>(name, &json) {
                Ok(resolved) => {
                    self.context.mailbox.judge(name, Ok(()));
                    return Some(resolved);
                }
                Err(why) => resolution::question(name).refuse(&self.context, name, &why, &json),
            }
        }
    }

    pub(super) fn resolve(&mut self, spec: &Spec, resolved: Resolved<B::Output>) {
        let Stage::Asking(running, name) = std::mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("a person is asked before")
        };
        self.context.mailbox.leave(&name);
        let landing = match resolved {
            Resolved::Happened(value) => {
                let packing =
                    Packing { wish: spec.meta().wish, limit: self.context.runtime.max_outcome_bytes, unsteady: None };
                B::pack(value, &packing)
            }
            Resolved::Fail(error) => B::pack_error(error),
            Resolved::RunAgain => {
                let slot = running.slot;
                if let Standing::Interrupted(at) = self.claim.standing {
                    self.claim.standing = Standing::Again(at);
                }
                self.stage = Stage::Intending(slot);
                self.context.replay().intend(slot);
                let rows = self.forget_answer(spec);
                return self.context.send_intent(slot, Frame::Intent(self.call_frame(spec)).write(), rows);
            }
        };
        self.land(spec, running, None, landing.packed, landing.value, How::Resolved);
    }

    /// A body is about to run of which a person may be asked: what was said of an earlier one does not count for it.
    pub(super) fn forget_answer(&self, spec: &Spec) -> Vec<Row> {
        if spec.meta().on_interrupt != OnInterrupt::Ask {
            return Vec::new();
        }
        let name = self.claim.name(spec.shown());
        [Aside::Answer, Aside::Wait].map(|aside| gone(&self.context, aside, &name)).into()
    }
}
