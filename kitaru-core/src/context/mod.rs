//! One attempt at an execution, as its calls, its bodies and the writer see it. Owns the replay's lock and the wakers
//! between the flow, the bodies and the driver. Must not know how a call runs.

mod admission;
mod ambient;
mod attempt;
mod beside;
mod branch;
mod mailbox;
mod notes;
mod presence;
mod standing;
mod undo;

#[cfg(test)]
mod mailbox_tests;

use std::any::Any;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::{Wake, Waker};

use crate::error::Error;
use crate::id::Seq;
use crate::journal::{
    EndFrame, Frame, NoteKind, NoteRow, OwnedPayload, Payload, SettledFrame, Status, Tally, call_identity,
};
use crate::ledger::{Append, Change, Listing, Owner, Tenure};
use crate::machine::{Due, Exit, Journal, Quiet, Replay, SlotId, Unflushed};
use crate::runtime::{Runtime, lock};
use crate::value::{Encoded, Key};

pub(crate) use admission::Admission;
pub(crate) use ambient::{Ambient, BodyScope, Within, flow_or_body};
pub(crate) use attempt::{Attempt, OnDivergence, Parking};
use beside::Beside;
pub(crate) use branch::Branch;
pub use branch::{BranchHandle, spawn};
pub(crate) use mailbox::{Mail, Mailbox};
pub(crate) use notes::Notes;
pub(crate) use presence::Progress;
use presence::{Presence, Says};
pub(crate) use undo::UndoStep;
pub use undo::undo;

pub(crate) struct Context {
    pub(crate) attempt: Attempt,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) numbers: Arc<Tenure>,
    pub(crate) mailbox: Mailbox,
    notes: Notes,
    /// Where a flow that this one calls is begun. That is above this floor, so nothing is known of it here.
    pub(crate) client: Weak<dyn Any + Send + Sync>,
    replay: Mutex<Replay>,
    /// The flow's own code was woken.
    woken: AtomicBool,
    /// The attempt is to end. Looked at for each release, so off the lock.
    left: AtomicBool,
    /// One of the waits with which the flow goes out of memory is for another execution.
    awaits_execution: AtomicBool,
    /// The driver is polling: it looks for itself, and needs no waking.
    polling: AtomicBool,
    /// Something has landed since it began to.
    stirred: AtomicBool,
    driver: Mutex<Option<Waker>>,
    /// What the store knows of this attempt.
    presence: Presence,
    /// Held until the attempt has proved itself.
    admission: Mutex<Option<Admission>>,
    /// Branches that the flow has split off since the driver last looked.
    branches: Mutex<Vec<Branch>>,
    /// How often chance was asked for.
    drawn: Mutex<u64>,
    /// What undoes what the flow has done, the latest last.
    undo: Mutex<Vec<UndoStep>>,
    /// What the generation comes to, once it is known that the flow goes no further.
    ending: OnceLock<Ending>,
    /// The flow is being dropped because it goes no further, not by its own code or to go on later.
    abandoning: AtomicBool,
    /// Why nothing starts any more, once that is so.
    draining: OnceLock<Error>,
    /// What the flow has asked to go on with in a new generation.
    next: Mutex<Option<NextInput>>,
    /// What libraries keep beside the flow, one value of each type.
    pub(crate) beside: Beside,
}

/// What an attempt stands on: what is in the store of its generation.
pub(crate) struct Ground {
    pub(crate) numbers: Arc<Tenure>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) replay: Replay,
    pub(crate) listing: Listing,
    pub(crate) tally: Tally,
    pub(crate) admission: Admission,
    pub(crate) mail: Vec<Mail>,
    pub(crate) notes: Notes,
}

/// What the next generation begins with.
pub(crate) struct NextInput {
    pub(crate) preview: String,
    pub(crate) encoded: Encoded,
    pub(crate) start_at_ms: Option<u64>,
    /// How long it may take.
    pub(crate) deadline_ms: Option<u64>,
}

/// What a generation comes to whose flow goes no further.
pub(crate) struct Ending {
    pub(crate) status: Status,
    pub(crate) payload: OwnedPayload,
}

/// What the writer's acknowledgement is about: a call's outcome, its intent, or what the driver flushed.
const INTENT: u64 = 1 << 32;
const FLUSH: u64 = 1 << 33;
const ANNOUNCEMENT: u64 = 1 << 34;
const UNWIND: u64 = 1 << 35;
const NOTE: u64 = 1 << 36;
const COMPANY: u64 = 1 << 37;
/// What a submission says besides: that bodies may run, that the attempt has proved itself.
const TELLS: u64 = 1 << 62;
const PROVES: u64 = 1 << 63;

impl Context {
    pub(crate) fn new(
        attempt: Attempt,
        client: Weak<dyn Any + Send + Sync>,
        runtime: Arc<Runtime>,
        ground: Ground,
    ) -> Arc<Self> {
        let Ground { numbers, journal, replay, listing, tally, admission, mail, notes } = ground;
        let mailbox = Mailbox::new(mail, replay.messages());
        let ending = replay.unwound_by().and_then(|at| journal.unwind(at)).map_or_else(OnceLock::new, |end| {
            Ending { status: end.status, payload: OwnedPayload::new(&end.payload, end.preview) }.into()
        });
        Arc::new(Context {
            attempt,
            runtime,
            journal,
            numbers,
            mailbox,
            notes,
            client,
            replay: Mutex::new(replay),
            woken: AtomicBool::new(true),
            left: AtomicBool::new(false),
            awaits_execution: AtomicBool::new(false),
            polling: AtomicBool::new(false),
            stirred: AtomicBool::new(false),
            driver: Mutex::new(None),
            presence: Presence::new(listing, tally),
            admission: Mutex::new(Some(admission)),
            branches: Mutex::default(),
            drawn: Mutex::new(0),
            undo: Mutex::default(),
            ending,
            abandoning: AtomicBool::new(false),
            draining: OnceLock::new(),
            next: Mutex::default(),
            beside: Beside::default(),
        })
    }

    /// Never held while a future or a waker of somebody else's is dropped, polled or woken: those lock it again.
    pub(crate) fn replay(&self) -> MutexGuard<'_, Replay> {
        lock(&self.replay)
    }

    /// Ends the attempt as soon as the flow's poll returns.
    pub(crate) fn leave_with(&self, exit: Exit) {
        self.replay().leave_with(exit);
        self.left.store(true, Ordering::SeqCst);
        self.kick();
    }

    /// The flow is not to be dropped for this reason after all.
    pub(crate) fn stay(&self) {
        let stays = self.replay().stay();
        self.left.store(!stays, Ordering::SeqCst);
    }

    /// Has nothing start any more: bodies that run come to their end, and then the flow is parked, or dropped for this
    /// reason.
    pub(crate) fn drain(&self, why: Error) {
        let _ = self.draining.set(why);
        self.replay().drain();
        self.woken.store(true, Ordering::SeqCst);
        self.kick();
    }

    /// Has the flow go no further than to what lands before this does; then it is undone what it has done, and this is
    /// what the generation comes to. Nothing, if that is under way.
    pub(crate) fn unwind(self: &Arc<Self>, status: Status, payload: &Payload<'_>, preview: &str, changes: Vec<Change>) {
        if !self.replay().ask_unwind() {
            return;
        }
        let _ = self.ending.set(Ending { status, payload: OwnedPayload::new(payload, preview) });
        let ended_ms = self.runtime.clock.now_ms();
        let attempt = self.attempt.number;
        let end = EndFrame { status, attempt, ended_ms, duration_us: 0, preview, payload: *payload };
        let says = self.presence.records(Progress::Unwinds);
        self.submit(UNWIND, Some(Frame::Unwind(end).write()), changes, says);
    }

    /// What the generation comes to, where its flow goes no further.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }

    pub(crate) fn set_next(&self, next: NextInput) {
        *lock(&self.next) = Some(next);
    }

    pub(crate) fn take_next(&self) -> Option<NextInput> {
        lock(&self.next).take()
    }

    /// What identifies a call of this execution's, the same on every attempt.
    pub(crate) fn call_identity(&self, key: Key, occurrence: u32) -> Key {
        let Attempt { execution, generation, .. } = &self.attempt;
        call_identity(execution, *generation, key, occurrence)
    }

    /// The next 32 bytes of this execution's own randomness.
    pub(crate) fn chance(&self) -> [u8; 32] {
        let nth = {
            let mut drawn = lock(&self.drawn);
            *drawn += 1;
            *drawn
        };
        *blake3::keyed_hash(&self.attempt.seed, &nth.to_le_bytes()).as_bytes()
    }

    pub(crate) fn add_branch(&self, branch: Branch) {
        lock(&self.branches).push(branch);
        self.woken.store(true, Ordering::Release);
        self.kick();
    }

    pub(crate) fn take_branches(&self) -> Vec<Branch> {
        mem::take(&mut *lock(&self.branches))
    }

    // ---- the way to the store ----

    /// Sends a call's outcome to the store.
    pub(crate) fn send_outcome(
        self: &Arc<Self>,
        slot: SlotId,
        frame: Vec<u8>,
        changes: Vec<Change>,
        progress: Progress,
    ) {
        let says = self.presence.records(progress);
        self.submit(u64::from(slot.0), Some(frame), changes, says);
    }

    /// Tells the store, before the body of a call begins, that bodies of this attempt may run; the call hears of it as of an
    /// intent.
    pub(crate) fn send_announcement(self: &Arc<Self>, slot: SlotId) {
        let says = self.presence.bodies_begin();
        self.submit(INTENT | u64::from(slot.0), None, Vec::new(), says);
    }

    pub(crate) fn send_intent(self: &Arc<Self>, slot: SlotId, frame: Vec<u8>, changes: Vec<Change>) {
        self.send(INTENT | u64::from(slot.0), Some(frame), changes);
    }

    /// Sends changes for which nobody waits.
    pub(crate) fn send_aside(self: &Arc<Self>, changes: Vec<Change>) {
        self.send(ANNOUNCEMENT, None, changes);
    }

    /// Sends a record for which nobody waits: whatever is sent later, by whomever, lands behind it.
    pub(crate) fn send_ahead(self: &Arc<Self>, frame: Vec<u8>) {
        self.send(ANNOUNCEMENT, Some(frame), Vec::new());
    }

    pub(crate) fn send_unflushed(self: &Arc<Self>, unflushed: Unflushed) {
        let nows = unflushed.nows.into_iter().map(Frame::Now);
        let patches = unflushed.patches.iter().map(|name| Frame::Patched(name));
        let errors = unflushed.errors;
        let settled = (!errors.is_empty()).then_some(Frame::Settled(SettledFrame { errors }));
        let mut frames: Vec<Vec<u8>> = nows.chain(patches).chain(settled).map(|frame| frame.write()).collect();
        // What lands last has all before it durable: the writer keeps the order of one owner's submissions.
        let last = frames.pop();
        for frame in frames {
            self.send(ANNOUNCEMENT, Some(frame), Vec::new());
        }
        self.send(FLUSH, last, self.notes());
    }

    /// The flow shows something, once what it has seen is durable.
    pub(crate) fn note(&self, kind: NoteKind, name: &str, json: String) -> Result<(), Error> {
        let row = NoteRow { nth: 0, updated_ms: self.runtime.clock.now_ms(), json };
        if self.notes.say(kind, name, row)? {
            self.replay().noted();
        }
        Ok(())
    }

    /// A body shows something.
    pub(crate) fn note_at_once(self: &Arc<Self>, kind: NoteKind, name: &str, json: String) -> Result<(), Error> {
        let row = NoteRow { nth: 0, updated_ms: self.runtime.clock.now_ms(), json };
        let note = self.notes.say_at_once(kind, name, row)?;
        self.send(NOTE, None, vec![Change::Note { kind, name: name.to_owned(), note }]);
        Ok(())
    }

    /// What the flow has shown and what is not on its way yet.
    pub(crate) fn notes(&self) -> Vec<Change> {
        self.notes.take().map(|(kind, name, note)| Change::Note { kind, name, note }).collect()
    }

    /// The same for a flow that failed: the next attempt may come to something else, and say that.
    pub(crate) fn last_notes(&self) -> Vec<Change> {
        self.notes.take_back().map(|(kind, name, note)| Change::Note { kind, name, note }).collect()
    }

    fn send(self: &Arc<Self>, token: u64, frame: Option<Vec<u8>>, changes: Vec<Change>) {
        let says = if frame.is_some() { self.presence.records(Progress::Made) } else { Says::default() };
        self.submit(token, frame, changes, says);
    }

    fn submit(self: &Arc<Self>, mut token: u64, frame: Option<Vec<u8>>, mut changes: Vec<Change>, says: Says) {
        if says.row {
            changes.push(self.running());
        }
        if says.tells {
            token |= TELLS;
        }
        if says.proves {
            token |= PROVES;
        }
        let append = Append { owner: self.clone(), token, changes, frame };
        if let Err(fault) = self.runtime.ledger.append(append) {
            self.numbers.cut();
            self.leave_with(Exit::Fault(fault));
        }
    }

    /// Takes in what was sent; gives it back if the flow is on its way out of memory.
    pub(crate) fn post(&self, mail: Mail) -> Result<(), Mail> {
        if let Err(mail) = self.mailbox.post(mail) {
            // That a child has ended is of interest only to who waits for it.
            let is_moot = matches!(mail, Mail::Ended) && !self.awaits_execution.load(Ordering::SeqCst);
            return if is_moot { Ok(()) } else { Err(mail) };
        }
        // Where nobody waits for it, whoever has sent it is to be told so.
        self.kick();
        Ok(())
    }

    // ---- the driver's side ----

    pub(crate) fn flow_waker(self: &Arc<Self>) -> Arc<FlowWaker> {
        Arc::new(FlowWaker(self.clone()))
    }

    /// Begins a poll of the driver's: until [`rest`](Self::rest), nothing has to wake it.
    pub(crate) fn attend(&self, waker: &Waker) {
        {
            let mut driver = lock(&self.driver);
            match &mut *driver {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        self.stirred.store(false, Ordering::SeqCst);
        self.polling.store(true, Ordering::SeqCst);
    }

    /// Ends a poll of the driver's. Whether something came up meanwhile, so that it has to poll on.
    pub(crate) fn rest(&self) -> bool {
        self.polling.store(false, Ordering::SeqCst);
        // What has landed meanwhile may be what the flow waited for to go out of memory.
        self.stirred.swap(false, Ordering::SeqCst) || self.woken.load(Ordering::SeqCst) || self.replay().has_work()
    }

    /// Why the attempt is to end, if it is.
    pub(crate) fn exit(&self) -> Option<Exit> {
        if self.left.load(Ordering::SeqCst) { self.replay().exit() } else { None }
    }

    pub(crate) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// The flow's code is to be polled once more, in a later poll of the driver's.
    pub(crate) fn wake_flow(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    /// The driver is gone; its task holds this context no longer, nor the other way round.
    pub(crate) fn forget_driver(&self) {
        lock(&self.driver).take();
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// The flow is quiescent: lets the next thing happen.
    pub(crate) fn advance(self: &Arc<Self>, wake: &mut Vec<Waker>) -> Advance {
        let quiet = self.replay().quiet(wake);
        if let Some(director) = &self.runtime.director {
            director.order(wake);
        }
        wake.drain(..).for_each(Waker::wake);
        if let Quiet::Asleep | Quiet::Still | Quiet::Idle = quiet {
            self.mailbox.dismiss();
        }
        match quiet {
            Quiet::Go => Advance::GoesOn,
            Quiet::Unwind => Advance::Unwinds,
            Quiet::Flush(unflushed) => {
                self.send_unflushed(unflushed);
                Advance::Rests
            }
            Quiet::Asleep => {
                self.park();
                Advance::Rests
            }
            Quiet::Drained => {
                self.leave_drained();
                Advance::Rests
            }
            Quiet::Still => {
                // It has nothing to do of which it could die, and may wait for one that waits behind it.
                self.admit_others();
                Advance::Rests
            }
            Quiet::Idle => Advance::Rests,
        }
    }

    /// Every call that is awaited is a wait. Where the first of them is far enough away the flow is dropped, once what it
    /// has seen is durable.
    fn park(self: &Arc<Self>) {
        // It has nothing to do of which it could die.
        self.admit_others();
        if self.attempt.parking == Parking::Never {
            return self.leave_drained();
        }
        let is_draining = self.draining.get().is_some();
        let (due, unflushed) = {
            let mut replay = self.replay();
            // The deadline is kept by whoever drives it.
            let due = self.attempt.deadline_ms.map_or(replay.due(), |ms| replay.due().min(Due::At(ms)));
            let soon_ms = self.runtime.clock.steady_ms().saturating_add(self.runtime.park_after_ms);
            if !is_draining && matches!(due, Due::At(due_ms) if due_ms <= soon_ms) {
                return;
            }
            (due, replay.flush())
        };
        if let Some(unflushed) = unflushed {
            return self.send_unflushed(unflushed);
        }
        // Looked at while the waits are there: the flow is dropped before it is recorded that it is parked.
        self.awaits_execution.store(self.replay().awaits_execution(), Ordering::SeqCst);
        // What is sent from now on is for the attempt that goes on.
        if !self.mailbox.close_unless(|| self.replay().has_woken()) {
            return;
        }
        self.leave_with(Exit::Park(due));
    }

    /// The flow is dropped, if nothing is to start any more.
    fn leave_drained(&self) {
        if let Some(why) = self.draining.get() {
            self.leave_with(Exit::Fault(why.clone()));
        }
    }

    fn kick(&self) {
        if !self.polling.load(Ordering::SeqCst) {
            let waker = lock(&self.driver).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// What becomes of a flow that was quiescent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Advance {
    /// It is polled again.
    GoesOn,
    /// Nothing moves until something outside does.
    Rests,
    /// It is dropped, and what it has done is undone.
    Unwinds,
}

impl Owner for Context {
    fn journal(&self) -> u64 {
        self.numbers.journal().0
    }

    fn number(&self) -> u64 {
        self.numbers.take()
    }

    fn is_cut(&self) -> bool {
        self.numbers.is_cut()
    }

    fn landed(&self, token: u64, result: Result<u64, Error>) {
        let slot = SlotId(token as u32);
        if result.is_ok() && token & (TELLS | PROVES) != 0 {
            self.presence.set_known();
            if token & PROVES != 0 {
                self.release();
            }
        }
        match (result, token & !(TELLS | PROVES | u64::from(u32::MAX))) {
            (Err(fault), _) => {
                self.numbers.cut();
                self.runtime.ledger.forget_shapes();
                return self.leave_with(Exit::Fault(fault));
            }
            (Ok(_), ANNOUNCEMENT) => return,
            (Ok(_), COMPANY) => return self.release(),
            (Ok(_), NOTE) => return self.runtime.watchers.notify(&self.attempt.execution),
            (Ok(_), FLUSH) => {
                self.replay().flushed();
                self.runtime.watchers.notify(&self.attempt.execution);
            }
            (Ok(seq), UNWIND) => self.replay().unwind_at(Seq(seq)),
            (Ok(_), INTENT) => self.replay().intended(slot),
            (Ok(seq), _) => self.replay().landed(slot, Seq(seq)),
        }
        self.stirred.store(true, Ordering::SeqCst);
        self.kick();
    }
}

/// Wakes the flow's own code.
pub(crate) struct FlowWaker(Arc<Context>);

impl Wake for FlowWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.woken.store(true, Ordering::SeqCst);
        self.0.kick();
    }
}

/// Wakes one body. It does not wake the flow: the driver fires the call's own waker just before its next poll, so that
/// a body that streams does not look like the flow's own code being busy.
pub(crate) struct BodyWaker {
    /// Not held: what a body waits for may be a part of the context, or outlive it.
    pub(crate) context: Weak<Context>,
    pub(crate) slot: SlotId,
}

impl Wake for BodyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(context) = self.context.upgrade() else { return };
        let woken = context.replay().wake_body(self.slot);
        if woken {
            context.kick();
        }
    }
}
