//! A body that may or may not have run, and the person who decides. Owns the fate of the call; must not know the words
//! of the question.

use super::Durable;
use super::stage::{AskedQuestion, CallStage, How};
use crate::call::body::Body;
use crate::call::meta::{OnInterrupt, Spec};
use crate::call::options::Options;
use crate::call::outcome::{Packing, Whose};
use crate::call::resolution::{self, Resolved};
use crate::journal::{About, Asks, Frame};
use crate::ledger::Change;
use crate::log;
use crate::machine::{Due, RecordState, SlotId};

impl<B: Body> Durable<B> {
    /// Asks a person about the body. The journal already says that its outcome is unknown.
    pub(super) fn ask(&mut self, spec: &Spec, options: &Options<B::Output>, slot: SlotId) {
        let context = self.context.clone();
        let asked = AskedQuestion {
            name: self.claim.name(spec.shown()),
            asks: Asks { wait: self.identity(), about: About::Body },
            metadata: resolution::metadata(&self.args, spec.meta().sensitivity, self.identity()),
            sensitivity: spec.meta().sensitivity,
        };
        let question = asked.question(options);
        log::asks(&context.attempt, &asked.name, &question.text);
        context.send_aside(vec![asked.asking(&context).asks(question)]);
        context.replay().open(slot, Due::Never);
        // An early answer does not count: before the question is open, the outcome cannot be known.
        context.mailbox.listen(asked.wait(), None);
        self.stage = CallStage::Asking(self.running(spec, slot), asked);
    }

    /// The decision of the person, once it fits.
    pub(super) fn resolved(&self, options: &Options<B::Output>) -> Option<Resolved<B::Output>> {
        let CallStage::Asking(running, asked) = &self.stage else { return None };
        let mailbox = &self.context.mailbox;
        loop {
            let json = mailbox.answer(asked.wait(), &running.waker)?;
            match resolution::resolve::<B>(&asked.name, &json, &options.happened) {
                Ok(resolved) => {
                    mailbox.judge(asked.wait(), Ok(()));
                    return Some(resolved);
                }
                Err(why) => asked.asking(&self.context).refuse(asked.question(options), &why, &json),
            }
        }
    }

    pub(super) fn resolve(&mut self, spec: &Spec, resolved: Resolved<B::Output>) {
        let CallStage::Asking(running, asked) = std::mem::replace(&mut self.stage, CallStage::Over) else {
            unreachable!("a person is asked before")
        };
        self.context.mailbox.leave(asked.wait());
        let landing = match resolved {
            Resolved::Happened(value) => {
                let packing = Packing {
                    whose: Whose::Checkpoint(&|| self.claim.name(spec.shown())),
                    sensitivity: spec.meta().sensitivity,
                    wish: spec.meta().wish,
                    limit: self.context.runtime.max_outcome_bytes,
                    unsteady: None,
                };
                B::pack(value, &packing)
            }
            Resolved::Fail(error) => B::pack_error(error),
            Resolved::RunAgain => {
                let slot = running.slot;
                if let RecordState::Interrupted(at) = self.claim.standing {
                    self.claim.standing = RecordState::Again(at);
                }
                self.stage = CallStage::Intending(slot);
                self.context.replay().intend(slot);
                let changes = self.forget_answer(spec);
                return self.context.send_intent(slot, Frame::Intent(self.call_frame(spec)).write(), changes);
            }
        };
        self.land(spec, running, None, landing.packed, landing.value, How::Resolved);
    }

    /// A body is about to run about which a person may be asked. An answer about an earlier body does not count for it.
    pub(super) fn forget_answer(&self, spec: &Spec) -> Vec<Change> {
        if spec.meta().on_interrupt != OnInterrupt::Ask {
            return Vec::new();
        }
        let name = self.claim.name(spec.shown());
        vec![Change::TakenBack { name: name.clone() }, Change::Unasked { name }]
    }
}
