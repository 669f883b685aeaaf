//! A checkpoint's call in a flow's own code: answered from its record, or run, recorded and then answered. Owns what
//! happens between the call's polls; must not know in which order the driver releases calls.

mod asking;
mod directed;
mod diverging;
mod forked;
mod landing;
mod pausing;
mod stage;

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use crate::call::body::{self, Body, Site, WaitBody};
use crate::call::memo::{memoized, recall};
use crate::call::meta::{Effect, OnCodeChange, OnInterrupt, Spec};
use crate::call::options::{Occasion, Options, Summarize};
use crate::call::origin::Origin;
use crate::call::outcome::Unpack;
use crate::call::refusals::{astray, interrupted, refuse, retried_at_most_once, unreadable};
use crate::call::tries::Tries;
use crate::context::{Ambient, BodyScope};
use crate::context::{BodyWaker, Context};
use crate::director::{CueStage, Observation};
use crate::error::Error;
use crate::journal::{CallFrame, Frame, OpenFrame};
use crate::log;
use crate::machine::{Asked, Claim, Due, Exit, RecordIx, RecordState, SlotId, Step};
use crate::shown::short;
use crate::value::Key;
use stage::{CallStage, How, Running};

pub(crate) struct Durable<B: Body> {
    context: Arc<Context>,
    claim: Claim,
    /// The arguments as a record keeps them. Empty for a call that has a record.
    args: Vec<u8>,
    /// The record that the wait has begun is durable.
    opened: bool,
    /// The call was polled before the flow had received anything that no attempt that was cut off can have received.
    caught_up: bool,
    /// The signal that it holds until it is released to the flow.
    message: Option<u64>,
    /// Where its outcome comes from, as far as it has one.
    origin: Origin,
    stage: CallStage<B::Output>,
    /// The identity of its body, if it differs from that of the call.
    stands_for: Option<Key>,
    pub(crate) summarize: Option<Summarize<B::Output>>,
}

impl<B: Body> Durable<B> {
    pub(crate) fn make(context: &Arc<Context>, spec: &Spec, body: &B) -> Result<Self, Error> {
        spec.key(body, |key, canon| {
            let only_source = match spec.meta().on_code_change {
                OnCodeChange::Reuse => None,
                OnCodeChange::Rerun => Some(spec.meta().source),
            };
            let most_bytes = context.runtime.max_outcome_bytes as u64;
            let asked = Asked { checkpoint: spec.name(), item: spec.item(), key, only_source, most_bytes };
            let claim = context.replay().make(&asked).map_err(|refused| refuse(refused, spec, context))?;
            // A call that has a record is not described again.
            let args = match claim.standing {
                RecordState::Recorded(_) => Vec::new(),
                RecordState::New | RecordState::Open(_) | RecordState::Again(_) | RecordState::Interrupted(_) => {
                    spec.args(body, canon)
                }
            };
            let opened = matches!(claim.standing, RecordState::Open(_));
            let message = match claim.standing {
                RecordState::Recorded(at) if spec.meta().effect == Effect::Wait => {
                    context.journal.outcome(at).and_then(|outcome| outcome.message)
                }
                _ => None,
            };
            message.into_iter().for_each(|number| context.mailbox.hold_signal(number));
            Ok(Durable {
                context: context.clone(),
                claim,
                args,
                opened,
                caught_up: false,
                message,
                origin: Origin::Replayed,
                stage: CallStage::Made,
                stands_for: None,
                summarize: None,
            })
        })?
    }

    /// What identifies the call, the same on every attempt.
    pub(crate) fn identity(&self) -> Key {
        self.context.call_identity(self.claim.key, self.claim.occurrence)
    }

    /// What identifies the call towards services outside.
    pub(crate) fn body_identity(&self) -> Key {
        self.stands_for.unwrap_or_else(|| self.identity())
    }

    pub(crate) fn stand_for(&mut self, earlier: Key) {
        self.stands_for = Some(earlier);
    }

    pub(crate) fn key(&self) -> Key {
        self.claim.key
    }

    /// Where the outcome comes from with which the call answered.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether its wait has begun, in this attempt or an earlier one, and it has not answered.
    pub(crate) fn is_open(&self) -> bool {
        self.opened && !matches!(self.stage, CallStage::Over)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.context.replay().rename(&mut self.claim, from, to);
    }

    pub(crate) fn poll(
        &mut self,
        body: &mut B,
        spec: &Spec,
        options: &Options<B::Output>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<B::Output> {
        if !self.is_at_home() {
            let error = astray(spec.name());
            self.context.leave_with(Exit::Fail(error.clone()));
            return Poll::Ready(body::hold::<B>(error));
        }
        loop {
            match &mut self.stage {
                CallStage::Made => {
                    let (slot, step) = {
                        let mut replay = self.context.replay();
                        self.caught_up = replay.is_catching_up();
                        replay.enter(self.claim.standing, cx.waker())
                    };
                    self.stage = CallStage::Entered(slot);
                    match step {
                        Step::Begin => self.begin(body, spec, options, slot),
                        _ => return Poll::Pending,
                    }
                }
                CallStage::Entered(slot) | CallStage::Intending(slot) => {
                    let slot = *slot;
                    let step = self.context.replay().poll(slot, cx.waker());
                    match step {
                        Step::Answer => return self.replayed(spec),
                        Step::Begin => self.begin(body, spec, options, slot),
                        Step::Poll | Step::Pending => return Poll::Pending,
                    }
                }
                CallStage::Recalling(running, recall) => {
                    if self.context.replay().poll(running.slot, cx.waker()) != Step::Poll {
                        return Poll::Pending;
                    }
                    let Poll::Ready(found) = recall.as_mut().poll(&mut TaskContext::from_waker(&running.waker)) else {
                        return Poll::Pending;
                    };
                    let CallStage::Recalling(running, _) = std::mem::replace(&mut self.stage, CallStage::Over) else {
                        unreachable!("the stage was matched above")
                    };
                    match found.and_then(memoized::<B>) {
                        Some((packed, value)) => self.land(spec, running, None, packed, Ok(value), How::Recalled),
                        None => {
                            let slot = running.slot;
                            self.run(running);
                            self.context.replay().begin_next(slot);
                        }
                    }
                }
                CallStage::Running(running, tries) => {
                    if self.context.replay().poll(running.slot, cx.waker()) != Step::Poll {
                        return Poll::Pending;
                    }
                    let mut body_cx = TaskContext::from_waker(&running.waker);
                    let entered = running.span.enter();
                    if tries.paused_until().is_some() {
                        if tries.poll_pause(&mut body_cx).is_pending() {
                            return Poll::Pending;
                        }
                        let slot = running.slot;
                        if !self.context.is_known() {
                            drop(entered);
                            self.announce(slot);
                            return Poll::Pending;
                        }
                        if !self.context.replay().unpause(slot) {
                            return Poll::Pending;
                        }
                    }
                    let Poll::Ready(tried) = tries.poll(body, spec, options, &running.scope, &mut body_cx) else {
                        drop(entered);
                        self.pause(spec, options);
                        return Poll::Pending;
                    };
                    drop(entered);
                    self.message = body.as_wait().and_then(|wait| wait.message());
                    self.finish(spec, tried);
                }
                CallStage::Asking(running, _) => {
                    if self.context.replay().poll(running.slot, cx.waker()) != Step::Poll {
                        return Poll::Pending;
                    }
                    match self.resolved(options) {
                        Some(resolved) => self.resolve(spec, resolved),
                        None => return Poll::Pending,
                    }
                }
                CallStage::Landing(running, ..) => {
                    if self.context.replay().poll(running.slot, cx.waker()) != Step::Answer {
                        return Poll::Pending;
                    }
                    let CallStage::Landing(running, value, how) = std::mem::replace(&mut self.stage, CallStage::Over)
                    else {
                        unreachable!("the stage was matched above")
                    };
                    self.release_message();
                    let (execution, checkpoint) = (&self.context.attempt.execution, spec.name());
                    self.observe(|| Observation::Given { execution, checkpoint, identity: self.identity() });
                    if let Some(name) = &running.name {
                        self.log_outcome(name, spec, &value, how);
                    }
                    return match value {
                        Ok(value) => Poll::Ready(value),
                        Err(error) => self.leave(Exit::Fail(error)),
                    };
                }
                CallStage::Over => return Poll::Pending,
            }
        }
    }

    /// Whether it is polled in the own code of the flow that made it.
    fn is_at_home(&self) -> bool {
        Ambient::with(|ambient| matches!(ambient, Ambient::Flow(context) if Arc::ptr_eq(context, &self.context)))
    }

    /// The call may run.
    fn begin(&mut self, body: &mut B, spec: &Spec, options: &Options<B::Output>, slot: SlotId) {
        let intended = matches!(self.stage, CallStage::Intending(_));
        let paused = self.paused();
        let paused_until = paused.as_ref().and_then(Tries::paused_until);
        // Nothing of its body starts before that time.
        let pause = paused_until.filter(|due_ms| *due_ms > self.context.runtime.clock.steady_ms());
        if spec.meta().effect == Effect::AtLeastOnce && pause.is_none() {
            if intended && !self.context.replay().resumes(slot) {
                self.stage = CallStage::Entered(slot);
                return;
            }
            if !self.context.is_known() {
                return self.announce(slot);
            }
        }
        let stage = if pause.is_some() { CueStage::Wait } else { self.cue_stage(spec, intended) };
        if self.is_stopped(spec, stage) {
            self.stage = CallStage::Over;
            return;
        }
        self.stage = CallStage::Entered(slot);
        if let Some(exit) = self.lacks_a_record(spec) {
            self.leave_quietly(exit);
            return;
        }
        if let RecordState::Interrupted(_) = self.claim.standing {
            self.observe(|| Observation::Interrupted { checkpoint: spec.name() });
            if spec.meta().on_interrupt == OnInterrupt::Ask {
                return self.ask(spec, options, slot);
            }
            let error = interrupted(&self.claim.name(spec.shown()), &self.context);
            let running = self.running(spec, slot);
            let mut landing = B::pack_error(error);
            landing.packed.settled = true;
            self.land(spec, running, None, landing.packed, landing.value, How::Interrupted);
            return;
        }
        if let Some(at) = self.divergent(spec)
            && let Some(exit) = self.diverge(spec, at)
        {
            self.leave_quietly(exit);
            return;
        }
        if let Some(wait) = body.as_wait() {
            return self.open(wait, spec, slot);
        }
        if let Some(due_ms) = pause {
            if !self.may_wait(spec) {
                return;
            }
            self.context.replay().open(slot, Due::At(due_ms));
            let tries = paused.unwrap_or_else(Tries::new);
            let running = self.running(spec, slot);
            if self.may_have_run(spec) {
                running.scope.set_may_have_run();
            }
            self.stage = CallStage::Running(running, tries);
            return;
        }
        if spec.meta().effect == Effect::AtMostOnce {
            if options.retries > 0 {
                self.leave_quietly(Exit::Fail(retried_at_most_once(spec.name())));
                return;
            }
            if !intended {
                self.stage = CallStage::Intending(slot);
                self.context.replay().intend(slot);
                let changes = self.forget_answer(spec);
                self.context.send_intent(slot, Frame::Intent(self.call_frame(spec)).write(), changes);
                return;
            }
        }
        self.context.replay().begin(slot);
        let running = self.running(spec, slot);
        if self.may_have_run(spec) {
            running.scope.set_may_have_run();
        }
        if let Some(tries) = paused {
            self.stage = CallStage::Running(running, tries);
            return;
        }
        if let Some(memo) = spec.meta().memo.filter(|_| self.context.attempt.reads_memos()) {
            let recall = recall(&self.context, spec, &self.claim, memo.max_age);
            self.stage = CallStage::Recalling(running, recall);
            return;
        }
        self.run(running);
    }

    /// Tells the store that bodies of this attempt may run, before this one does.
    fn announce(&mut self, slot: SlotId) {
        self.stage = CallStage::Intending(slot);
        self.context.replay().intend(slot);
        self.context.send_announcement(slot);
    }

    /// Whether an earlier attempt may have begun this body without recording its outcome.
    fn may_have_run(&self, spec: &Spec) -> bool {
        match spec.meta().effect {
            // The intent says so.
            Effect::AtMostOnce => matches!(self.claim.standing, RecordState::Again(_)),
            _ => self.caught_up && self.context.attempt.after_cut,
        }
    }

    /// Whether time passes in this test. If not, the flow is dropped for that reason.
    fn may_wait(&mut self, spec: &Spec) -> bool {
        if !self.context.runtime.clock.is_paused_here() {
            return true;
        }
        let error = Error::time_is_paused(format_args!("`{}`", short(&self.claim.name(spec.shown()))));
        self.leave_quietly(Exit::Fail(error));
        false
    }

    /// The wait begins, or continues from where an earlier attempt began it.
    fn open(&mut self, wait: &mut dyn WaitBody, spec: &Spec, slot: SlotId) {
        let (name, identity) = (self.claim.name(spec.shown()), self.identity());
        let site = Site { context: &self.context, name: &name, identity, slot };
        let outdated = self.is_outdated(spec);
        if (!std::mem::replace(&mut self.opened, true) || outdated)
            && let Some((opening, changes)) = wait.opening(&site)
        {
            let frame = Frame::Open(OpenFrame { call: self.call_frame(spec), opening }).write();
            if spec.meta().effect == Effect::Wait {
                self.stage = CallStage::Intending(slot);
                self.context.replay().intend(slot);
                return self.context.send_intent(slot, frame, changes);
            }
            // Everything that the other execution records is written after this frame.
            self.context.send_ahead(frame);
        }
        let recorded = match self.claim.standing {
            RecordState::Open(at) if !outdated => self.context.journal.opening(at),
            _ => None,
        };
        let due = wait.open(&site, recorded);
        if matches!(due, Due::At(due_ms) if due_ms > self.context.runtime.clock.steady_ms()) && !self.may_wait(spec) {
            return;
        }
        self.context.replay().open(slot, due);
        self.stage = CallStage::Running(self.running(spec, slot), Tries::new());
    }

    /// Whether a child was first awaited before the parent failed, or before a caller had the parent forget a record.
    /// Such a child is called again.
    fn is_outdated(&self, spec: &Spec) -> bool {
        match self.claim.standing {
            RecordState::Open(at) if spec.meta().effect == Effect::Child => self.context.replay().has_ended_since(at),
            _ => false,
        }
    }

    /// Whether no attempt ended or failed, and no caller resumed the execution, since the call was first made.
    pub(crate) fn is_of_this_run(&self) -> bool {
        match self.claim.standing {
            RecordState::Recorded(at) => !self.context.replay().has_ended_since(at),
            _ => true,
        }
    }

    fn run(&mut self, running: Box<Running>) {
        if let Some(name) = &running.name {
            log::checkpoint_started(name);
        }
        self.stage = CallStage::Running(running, Tries::new());
    }

    fn running(&self, spec: &Spec, slot: SlotId) -> Box<Running> {
        let clock = &self.context.runtime.clock;
        Box::new(Running {
            slot,
            waker: Waker::from(Arc::new(BodyWaker { context: Arc::downgrade(&self.context), slot })),
            scope: BodyScope::of_call(&self.context, self.body_identity()),
            started_ms: clock.now_ms(),
            started: Instant::now(),
            name: log::warns().then(|| self.claim.name(spec.shown())),
            span: log::call_span(spec.meta().effect.kind(), spec.shown(), || self.claim.name(spec.shown())),
        })
    }

    /// The record was released, and answers the call.
    fn replayed(&mut self, spec: &Spec) -> Poll<B::Output> {
        self.stage = CallStage::Over;
        self.release_message();
        let RecordState::Recorded(at) = self.claim.standing else { unreachable!("only a record is released unrun") };
        if spec.meta().effect.is_of_a_body() {
            self.context.runtime.counters.count_replay();
        }
        self.observe(|| Observation::Replayed { checkpoint: spec.name(), identity: self.identity() });
        let payload = self.context.journal.payload(at).expect("the index holds outcomes that were read");
        if payload.is_error() {
            self.context.replay().gave(at);
        }
        let shape = payload.shape;
        match B::unpack(&payload) {
            Ok(value) => {
                if log::informs() {
                    self.log_cached(spec, at, &value);
                }
                Poll::Ready(value)
            }
            Err(Unpack::CannotHold(error)) => self.leave(Exit::Fail(error)),
            Err(Unpack::Unreadable(why)) => {
                let name = self.claim.name(spec.shown());
                let of_set_value = self.unfit(spec, &name, at, &why);
                let error = of_set_value.unwrap_or_else(|| unreadable(&name, &self.context, &why));
                self.leave(Exit::Stuck { error, shape })
            }
        }
    }

    /// Gives the flow the signal that the call holds, permanently.
    fn release_message(&mut self) {
        self.message.take().into_iter().for_each(|number| self.context.mailbox.release_signal(number));
    }

    fn log_cached(&self, spec: &Spec, at: RecordIx, value: &B::Output) {
        let Some(call) = self.context.journal.call(at) else { return };
        let other_code = call.source != spec.meta().source;
        log::checkpoint_cached(&call.name(), self.summary(value, Occasion::Cached).as_deref(), other_code);
    }

    /// Ends the attempt. The flow's code does not notice.
    fn leave(&mut self, exit: Exit) -> Poll<B::Output> {
        self.leave_quietly(exit);
        Poll::Pending
    }

    fn leave_quietly(&mut self, exit: Exit) {
        self.stage = CallStage::Over;
        self.context.leave_with(exit);
    }

    fn call_frame<'a>(&'a self, spec: &'a Spec) -> CallFrame<'a> {
        let Claim { key, occurrence, place, number, .. } = self.claim;
        CallFrame {
            key,
            occurrence,
            place,
            number,
            attempt: self.context.attempt.number,
            source: spec.meta().source,
            checkpoint: spec.name(),
            label: spec.label(),
            args: &self.args,
        }
    }
}

impl<B: Body> Drop for Durable<B> {
    fn drop(&mut self) {
        // The flow did not receive it, so the next call does.
        self.message.take().into_iter().for_each(|number| self.context.mailbox.return_signal(number));
        let slot = match &self.stage {
            CallStage::Made | CallStage::Over => return,
            CallStage::Entered(slot) | CallStage::Intending(slot) => *slot,
            CallStage::Running(running, _) => {
                running.scope.cancel();
                self.context.mailbox.forget(&running.waker);
                running.slot
            }
            CallStage::Asking(running, asked) => {
                self.context.mailbox.leave(asked.wait());
                self.context.mailbox.forget(&running.waker);
                running.slot
            }
            CallStage::Recalling(running, _) | CallStage::Landing(running, ..) => running.slot,
        };
        let waker = self.context.replay().leave(slot);
        drop(waker);
    }
}
