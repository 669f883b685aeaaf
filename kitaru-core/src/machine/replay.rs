//! What is released, and what may start. Owns the polled calls and the rule of the model's section 4: outcomes reach
//! the flow one at a time, in the order of their records. Must not know what a call does when it runs.

mod flushing;
mod gating;
mod progress;
mod recount;
mod unwinding;
mod waiting;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::mem;
use std::task::Waker;

use crate::error::Error;
use crate::id::Seq;
use crate::journal::Malformed;
use crate::machine::claims::{Asked, Claim, Claims, RecordState, Refused};
use crate::machine::exit::{Exit, Unflushed, Unwinding};
use crate::machine::journal::{Journal, RecordIx};
use crate::machine::slot::{Behind, Phase, Slot, SlotId, Step};

/// One attempt at an execution: the journal it replays, and the calls it has made.
pub(crate) struct Replay {
    journal: std::sync::Arc<Journal>,
    claims: Claims,
    slots: Vec<Slot>,
    free: Vec<SlotId>,
    /// Landed or recorded outcomes whose call has been polled, the lowest number first. An entry whose slot no longer
    /// has its number is stale.
    ready: BinaryHeap<Reverse<(Seq, SlotId)>>,
    /// Calls that must run, and wait until nothing is left to release.
    waiting: Vec<SlotId>,
    /// Bodies that were woken, and calls whose intent has landed.
    woken: Vec<SlotId>,
    /// What the flow received that is not yet durable: errors that a replay would try again, and times.
    unflushed: Unflushed,
    flushing: bool,
    /// How many bodies run or have outcomes on the way to the store.
    busy: usize,
    /// How many of those wait for another try.
    napping: usize,
    /// Bodies that begin once what the flow received is durable.
    gated: Vec<SlotId>,
    /// How many waits are open.
    open: usize,
    exit: Option<Exit>,
    unwinding: Unwinding,
    /// Nothing starts any more: running bodies finish, and then the flow is dropped.
    draining: bool,
    /// Errors that the flow received from records.
    given: Vec<RecordIx>,
    /// How many bodies this attempt has started.
    started: u64,
    /// The number from which on a record is news.
    news: Seq,
    /// The flow received something that no attempt that was cut off can have received.
    has_news: bool,
    /// The highest number of a record that the flow has received.
    reached: Seq,
}

/// What the driver does when the flow is quiescent.
#[derive(Debug)]
pub(crate) enum Quiet {
    /// Calls were woken: the flow is polled again.
    Go,
    /// These are made durable before live work starts.
    Flush(Unflushed),
    /// Nothing happens until something outside does.
    Idle,
    /// The same, and no body runs, nor is anything on its way to the store.
    Still,
    /// Nothing happens until one of the open waits ends.
    Asleep,
    /// Running bodies have finished, and nothing else may start.
    Drained,
    /// The flow has reached the point where it ends early.
    Unwind,
}

impl Replay {
    /// # Errors
    ///
    /// If a record is not valid.
    pub(crate) fn new(journal: std::sync::Arc<Journal>) -> Result<Self, Malformed> {
        let claims = Claims::index(&journal)?;
        let unwinding = claims.unwind().map_or(Unwinding::No, |at| Unwinding::At(journal.seq(at)));
        Ok(Replay {
            claims,
            unwinding,
            news: journal.next(),
            journal,
            slots: Vec::new(),
            free: Vec::new(),
            ready: BinaryHeap::new(),
            waiting: Vec::new(),
            woken: Vec::new(),
            unflushed: Unflushed::default(),
            flushing: false,
            busy: 0,
            napping: 0,
            gated: Vec::new(),
            open: 0,
            exit: None,
            draining: false,
            given: Vec::new(),
            started: 0,
            has_news: false,
            reached: Seq(0),
        })
    }

    /// The records behind those of this attempt are news: it is the last one that may have been cut off.
    pub(crate) fn follows(&mut self, attempt: u32) {
        self.news = self.journal.first_behind(attempt);
    }

    /// A call is made: it claims its record and its name.
    pub(crate) fn make(&mut self, asked: &Asked<'_>) -> Result<Claim, Refused> {
        self.claims.claim(asked, &self.journal)
    }

    pub(crate) fn rename(&mut self, claim: &mut Claim, from: &str, to: &str) {
        self.claims.rename(claim, from, to);
    }

    /// The record that a call about to start contradicts, if there is one.
    pub(crate) fn divergent(&mut self, checkpoint: &str, claim: &Claim) -> Option<RecordIx> {
        self.claims.divergent(checkpoint, claim, &self.journal)
    }

    /// Whether an attempt ended since a record was made, or a person had something forgotten.
    pub(crate) fn has_ended_since(&self, at: RecordIx) -> bool {
        self.claims.has_ended_since(at)
    }

    /// A call is polled for the first time.
    pub(crate) fn enter(&mut self, standing: RecordState, waker: &Waker) -> (SlotId, Step) {
        self.recount();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                phase: Phase::Free,
                waker: None,
                seq: Seq(0),
                unsettled: false,
                due: None,
                napping: false,
            });
            SlotId(self.slots.len() as u32 - 1)
        });
        let step = match standing {
            // Never answered here, even if its number is next: another branch may first continue with what was released
            // last.
            RecordState::Recorded(at) => {
                let seq = self.journal.seq(at);
                self.claims.awaited();
                self.set(slot, Phase::Ready, seq, false);
                self.ready.push(Reverse((seq, slot)));
                Step::Pending
            }
            RecordState::New | RecordState::Open(_) | RecordState::Again(_) | RecordState::Interrupted(_)
                if self.may_start_at_once() =>
            {
                self.set(slot, Phase::Begin, Seq(0), false);
                Step::Begin
            }
            RecordState::New | RecordState::Open(_) | RecordState::Again(_) | RecordState::Interrupted(_) => {
                self.set(slot, Phase::Waiting, Seq(0), false);
                self.waiting.push(slot);
                Step::Pending
            }
        };
        self.slot(slot).waker = Some(waker.clone());
        (slot, step)
    }

    /// A call is polled again.
    pub(crate) fn poll(&mut self, id: SlotId, waker: &Waker) -> Step {
        self.hold_back(id);
        self.recount();
        let slot = self.slot(id);
        let step = match slot.phase {
            Phase::Released => Step::Answer,
            Phase::Begin => Step::Begin,
            Phase::Woken => Step::Poll,
            Phase::Ready | Phase::Waiting | Phase::Running | Phase::Gated(_) | Phase::Intending | Phase::Landing => {
                Step::Pending
            }
            Phase::Free | Phase::Orphan => unreachable!("a call that was dropped is polled"),
        };
        if step == Step::Answer {
            self.vacate(id);
            return step;
        }
        match &mut slot.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        if step == Step::Poll {
            slot.phase = Phase::Running;
        }
        step
    }

    /// A call that may begin starts its body: its next poll polls that.
    pub(crate) fn begin(&mut self, id: SlotId) {
        self.slot(id).phase = Phase::Woken;
        self.busy += 1;
        self.started += 1;
    }

    /// A call that may begin, but whose intent must be durable first.
    pub(crate) fn intend(&mut self, id: SlotId) {
        let slot = self.slot(id);
        slot.phase = Phase::Intending;
        if slot.due.take().is_some() {
            self.open -= 1;
        }
        self.busy += 1;
    }

    /// The intent is durable. The call may begin once the flow is quiescent. If it were woken while the flow is polled,
    /// the flow could take another path than in a replay, which waits for no intent.
    pub(crate) fn intended(&mut self, id: SlotId) {
        self.recount();
        self.busy -= 1;
        let holds = self.flushing || !self.unflushed.is_empty();
        let slot = self.slot(id);
        match slot.phase {
            Phase::Intending if holds => {
                slot.phase = Phase::Gated(Behind::Intent);
                self.gated.push(id);
            }
            Phase::Intending => {
                slot.phase = Phase::Begin;
                self.woken.push(id);
            }
            Phase::Orphan => self.vacate(id),
            phase => unreachable!("an intent landed for a call that is {phase:?}"),
        }
    }

    /// A call that waited until the store knew of its attempt begins. False if nothing may begin now: then it waits
    /// like any other.
    pub(crate) fn resumes(&mut self, id: SlotId) -> bool {
        let may_start = self.may_start();
        if !may_start {
            self.slot(id).phase = Phase::Waiting;
            self.waiting.push(id);
        }
        may_start
    }

    /// A body was woken. Returns whether the driver must be notified.
    pub(crate) fn wake_body(&mut self, id: SlotId) -> bool {
        let slot = self.slot(id);
        let running = slot.phase == Phase::Running;
        if running {
            slot.phase = Phase::Woken;
            self.woken.push(id);
        }
        running
    }

    /// A body ended and its outcome goes to the store, or a call that did not run one sends an outcome there.
    pub(crate) fn land(&mut self, id: SlotId, unsettled: bool) {
        let slot = self.slot(id);
        slot.unsettled = unsettled;
        let was_open = slot.due.take().is_some();
        // A body counts as busy from its start.
        if mem::replace(&mut slot.phase, Phase::Landing) == Phase::Begin || was_open {
            self.busy += 1;
        }
        if was_open {
            self.open -= 1;
        }
    }

    /// An outcome is durable, under this number.
    pub(crate) fn landed(&mut self, id: SlotId, seq: Seq) {
        self.recount();
        self.busy -= 1;
        let slot = self.slot(id);
        match slot.phase {
            Phase::Landing => {
                slot.phase = Phase::Ready;
                slot.seq = seq;
                self.ready.push(Reverse((seq, id)));
            }
            Phase::Orphan => self.vacate(id),
            phase => unreachable!("an outcome landed for a call that is {phase:?}"),
        }
    }

    /// A call is dropped in any phase. Its number stays taken.
    pub(crate) fn leave(&mut self, id: SlotId) -> Option<Waker> {
        self.recount();
        let slot = self.slot(id);
        let waker = slot.waker.take();
        match slot.phase {
            // Its record may still land; the slot becomes free then.
            Phase::Landing | Phase::Intending => slot.phase = Phase::Orphan,
            Phase::Running | Phase::Woken => {
                match slot.due {
                    Some(_) => self.open -= 1,
                    None => self.busy -= 1,
                }
                self.vacate(id);
            }
            Phase::Gated(Behind::Try) => {
                self.busy -= 1;
                self.vacate(id);
            }
            Phase::Ready | Phase::Released | Phase::Waiting | Phase::Begin | Phase::Gated(Behind::Intent) => {
                self.vacate(id);
            }
            Phase::Free | Phase::Orphan => {}
        }
        // The caller drops it outside the lock: it may hold more than a number.
        waker
    }

    /// The flow is quiescent: decides what happens next. The wakers of the calls that may continue are put in `wake`.
    pub(crate) fn quiet(&mut self, wake: &mut Vec<Waker>) -> Quiet {
        self.recount();
        for id in mem::take(&mut self.woken) {
            let slot = self.slot(id);
            if matches!(slot.phase, Phase::Woken | Phase::Begin) {
                wake.extend(slot.waker.take());
            }
        }
        if let Some((seq, id)) = self.next_ready().filter(|(seq, _)| self.unwinding.lets_pass(*seq)) {
            self.ready.pop();
            let slot = self.slot(id);
            slot.phase = Phase::Released;
            wake.extend(slot.waker.take());
            if slot.unsettled {
                self.unflushed.errors.push(seq);
            }
            self.has_news |= seq >= self.news;
            self.reached = self.reached.max(seq);
            return Quiet::Go;
        }
        if let Unwinding::At(_) = self.unwinding {
            if self.flushing {
                return Quiet::Idle;
            }
            // What the flow received is fixed for every attempt that undoes it.
            return match self.flush() {
                Some(unflushed) => Quiet::Flush(unflushed),
                None => {
                    self.unwinding = Unwinding::Done;
                    Quiet::Unwind
                }
            };
        }
        // A watcher must not wait until the flow does something else.
        if self.unflushed.notes
            && !self.flushing
            && self.unwinding != Unwinding::Asked
            && let Some(unflushed) = self.flush()
        {
            return Quiet::Flush(unflushed);
        }
        if !self.gated.is_empty() && !self.flushing && matches!(self.unwinding, Unwinding::No | Unwinding::Done) {
            if let Some(unflushed) = self.flush() {
                return Quiet::Flush(unflushed);
            }
            self.open_gate(wake);
        }
        if !self.waiting.is_empty() && self.may_start() {
            if let Some(unflushed) = self.flush() {
                return Quiet::Flush(unflushed);
            }
            for id in mem::take(&mut self.waiting) {
                let slot = self.slot(id);
                if slot.phase == Phase::Waiting {
                    slot.phase = Phase::Begin;
                    wake.extend(slot.waker.take());
                }
            }
        }
        if !wake.is_empty() {
            return Quiet::Go;
        }
        // Draining does not wait for a try that begins later.
        let busy = if self.draining { self.busy - self.napping } else { self.busy };
        if busy > 0 || self.flushing || self.unwinding == Unwinding::Asked {
            return Quiet::Idle;
        }
        match (self.open, self.waiting.is_empty() && self.napping == 0) {
            (1.., true) => Quiet::Asleep,
            _ if self.draining => Quiet::Drained,
            _ => Quiet::Still,
        }
    }

    /// The signals that records of earlier attempts have taken.
    pub(crate) fn messages(&self) -> &HashSet<u64> {
        self.claims.messages()
    }

    /// Lets nothing start any more.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether waiting calls may start.
    fn may_start(&self) -> bool {
        !self.flushing && !self.draining && matches!(self.unwinding, Unwinding::No | Unwinding::Done)
    }

    /// Whether a body was woken that the driver has not polled yet.
    pub(crate) fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Whether there is work that does not need the flow's code.
    pub(crate) fn has_work(&self) -> bool {
        let may_start = !self.waiting.is_empty() && self.may_start();
        let may_release = self.ready.peek().is_some_and(|Reverse((seq, _))| self.unwinding.lets_pass(*seq));
        let may_end = matches!(self.unwinding, Unwinding::At(_)) && !self.flushing;
        !self.woken.is_empty() || may_release || may_start || may_end || self.exit.is_some()
    }

    /// How many calls hold this waker. `None` if there are too many calls to count.
    pub(crate) fn count_wakers(&self, waker: &Waker) -> Option<usize> {
        const FEW: usize = 8;
        let held = |slot: &&Slot| slot.waker.as_ref().is_some_and(|held| held.will_wake(waker));
        (self.slots.len() <= FEW).then(|| self.slots.iter().filter(held).count())
    }

    /// Whether an earlier attempt may have begun a body that begins now. Outcomes and times are durable before any body
    /// starts after them, so a body that begins after something new of this attempt has never begun before.
    pub(crate) fn is_catching_up(&self) -> bool {
        !self.has_news
    }

    /// A record has given the flow an error.
    pub(crate) fn gave(&mut self, error: RecordIx) {
        self.given.push(error);
    }

    /// Whether the flow failed on an error that was settled before, without a body of this attempt: then every further
    /// attempt has the same result.
    pub(crate) fn gave_again(&self, failure: &Error) -> bool {
        let is_it = |at: &RecordIx| {
            let message = self.journal.outcome(*at).map(|outcome| outcome.preview);
            message.is_some_and(|message| failure.messages().any(|said| message.contains(said)))
        };
        self.started == 0 && self.given.iter().any(is_it)
    }

    /// Whether the journal is used up and the flow received nothing that must first be durable. Outcomes that landed in
    /// this attempt and wait to be released do not count: the flow has not received them.
    fn may_start_at_once(&mut self) -> bool {
        let first_of_own = self.journal.next();
        let used_up = self.claims.all_awaited() && self.next_ready().is_none_or(|(seq, _)| seq >= first_of_own);
        used_up && self.unflushed.is_empty() && self.may_start()
    }

    /// The lowest number that can be released.
    fn next_ready(&mut self) -> Option<(Seq, SlotId)> {
        while let Some(Reverse((seq, id))) = self.ready.peek().copied() {
            let slot = self.slot(id);
            if slot.phase == Phase::Ready && slot.seq == seq {
                return Some((seq, id));
            }
            self.ready.pop();
        }
        None
    }

    fn vacate(&mut self, id: SlotId) {
        self.rise(id);
        self.set(id, Phase::Free, Seq(0), false);
        self.free.push(id);
    }

    fn set(&mut self, id: SlotId, phase: Phase, seq: Seq, unsettled: bool) {
        let slot = self.slot(id);
        slot.phase = phase;
        slot.seq = seq;
        slot.unsettled = unsettled;
        slot.due = None;
    }

    fn slot(&mut self, id: SlotId) -> &mut Slot {
        &mut self.slots[id.0 as usize]
    }
}
