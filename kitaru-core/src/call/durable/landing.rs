//! The outcome of a body, on its way to the store. Owns what is recorded and logged of it; must not know when the flow
//! receives it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Durable;
use super::stage::{CallStage, How, Running};
use crate::call::body::Body;
use crate::call::memo::memo_key;
use crate::call::meta::{Effect, Spec};
use crate::call::options::Occasion;
use crate::call::outcome::{Packing, Whose};
use crate::call::tries::{Failure, Tries};
use crate::director::Observation;
use crate::error::Error;
use crate::journal::{Class, Frame, OutcomeFrame, Packed};
use crate::ledger::{Change, MemoEntry};
use crate::log;
use crate::machine::{Exit, Progress};
use crate::value::Sensitivity;

impl<B: Body> Durable<B> {
    /// The tries of the body have ended.
    pub(super) fn finish(&mut self, spec: &Spec, tried: Result<B::Output, Failure>) {
        let CallStage::Running(running, tries) = std::mem::replace(&mut self.stage, CallStage::Over) else {
            unreachable!("tries end while the call runs")
        };
        let took = running.started.elapsed();
        self.origin = tries.origin();
        let landing = match tried {
            Ok(value) => {
                let unsteady = AtomicBool::new(false);
                let packing = Packing {
                    whose: Whose::Checkpoint(&|| self.claim.name(spec.shown())),
                    sensitivity: spec.meta().sensitivity,
                    wish: spec.meta().wish,
                    limit: self.context.runtime.max_outcome_bytes,
                    unsteady: self.context.runtime.direction.is_some().then_some(&unsteady),
                };
                let landing = B::pack(value, &packing);
                if unsteady.load(Ordering::Relaxed) {
                    self.observe(|| Observation::Unsteady { checkpoint: spec.name() });
                }
                landing
            }
            Err(Failure::Outcome(error)) => B::pack_error(error),
            Err(Failure::Misuse(error)) => return self.leave_quietly(Exit::Fail(error)),
        };
        self.land(spec, running, Some(&tries), landing.packed, landing.value, How::Ran(took));
    }

    /// Logs the outcome, now that it is durable and the flow continues with it.
    pub(super) fn log_outcome(&self, name: &str, spec: &Spec, value: &Result<B::Output, Error>, how: How) {
        let (sensitivity, execution) = (spec.meta().sensitivity, &self.context.attempt.execution);
        match (how, value) {
            (How::Interrupted, _) => {}
            (How::Resolved, _) => log::wait_over(name),
            _ if spec.meta().effect == Effect::Wait => log::wait_over(name),
            // A child logs its own end.
            _ if spec.meta().effect == Effect::Child => {}
            (How::Recalled, _) => log::checkpoint_cached(name, Some("from a memo"), false),
            (How::Ran(took), Err(error)) => log::checkpoint_failed(execution, name, took, sensitivity, error),
            (How::Ran(took), Ok(value)) => match B::failure(value) {
                Some(error) => log::checkpoint_failed(execution, name, took, sensitivity, &error),
                None => log::checkpoint_finished(name, took, self.summary(value, Occasion::Finished).as_deref()),
            },
        }
    }

    pub(super) fn summary(&self, value: &B::Output, occasion: Occasion) -> Option<String> {
        self.summarize.map(|summarize| summarize(value, occasion))
    }

    /// Sends the outcome to the store.
    pub(super) fn land(
        &mut self,
        spec: &Spec,
        running: Box<Running>,
        tries: Option<&Tries>,
        mut packed: Packed,
        value: Result<B::Output, Error>,
        how: How,
    ) {
        let is_error = packed.class != Class::Value;
        if matches!(how, How::Ran(_)) && spec.meta().effect.is_of_a_body() {
            self.context.runtime.counters.count_run();
        }
        let sensitive = spec.meta().sensitivity == Sensitivity::Hidden;
        if sensitive {
            packed.hide();
        }
        let settled = is_error && (packed.settled || matches!(spec.meta().effect, Effect::AtMostOnce | Effect::Wait));
        let frame = Frame::Outcome(OutcomeFrame {
            call: self.call_frame(spec),
            settled,
            from_memo: how == How::Recalled,
            sensitive,
            message: self.message,
            failed: &tries.map(Tries::failed).unwrap_or_default(),
            metadata: &running.scope.metadata(),
            tries: tries.map_or(0, Tries::count),
            started_ms: running.started_ms,
            duration_us: match how {
                How::Ran(took) => u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                How::Recalled | How::Interrupted | How::Resolved => 0,
            },
            preview: &packed.preview,
            payload: packed.payload(),
        })
        .write();
        let error = is_error.then_some(&*packed.preview);
        log::call_ended(&running.span, tries.map_or(0, Tries::count), error);
        let shape = self.context.runtime.ledger.shape(packed.fingerprint, packed.text.take());
        let memo = (spec.meta().memo.is_some() && !is_error && how != How::Recalled).then(|| {
            let recorded_ms = self.context.runtime.clock.now_ms();
            Change::Memo { key: memo_key(spec, &self.claim), memo: MemoEntry { recorded_ms, payload: packed.into() } }
        });
        let changes = shape.into_iter().chain(memo).collect();
        let slot = running.slot;
        self.context.replay().land(slot, is_error && !settled);
        self.stage = CallStage::Landing(running, value, how);
        let progress = if is_error && !settled { Progress::ToBeTriedAgain } else { Progress::Made };
        self.context.send_outcome(slot, frame, changes, progress);
    }
}
