//! One attempt at an execution, as its calls, its bodies and the writer see it. Owns the replay's lock and what the attempt
//! comes to. Must not know how a call runs.

mod ack;
mod admission;
mod ambient;
mod attempt;
mod beside;
mod branch;
mod driven;
mod executions;
mod flags;
mod mailbox;
mod notes;
mod presence;
mod sending;
mod spawn;
mod standing;
mod undo;
mod wakers;
#[cfg(feature = "testkit")]
mod within;

#[cfg(test)]
mod mailbox_tests;

use std::collections::BTreeSet;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::Waker;

use crate::error::Error;
use crate::journal::{EndFrame, Frame, OwnedPayload, Payload, Status, Tally, call_identity};
use crate::ledger::{Change, Listing, Tenure};
use crate::machine::{Exit, Journal, Replay};
use crate::runtime::{Runtime, lock};
use crate::value::{Encoded, Key};
use ack::Subject;
use beside::Beside;
use flags::{Flag, Flags};
use presence::Presence;

pub(crate) use admission::Admission;
pub(crate) use ambient::{Ambient, BodyScope, flow_or_body};
pub(crate) use attempt::{Attempt, Parking};
pub(crate) use branch::Branch;
pub(crate) use driven::Advance;
pub(crate) use executions::{Child, Coming, Executions};
pub(crate) use mailbox::{Mail, Mailbox};
pub(crate) use notes::Notes;
pub(crate) use presence::Progress;
pub use spawn::{BranchHandle, spawn};
pub use undo::undo;
pub(crate) use wakers::{BodyWaker, FlowWaker};
#[cfg(feature = "testkit")]
pub(crate) use within::Within;

pub(crate) struct Context {
    pub(crate) attempt: Attempt,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) numbers: Arc<Tenure>,
    pub(crate) mailbox: Mailbox,
    notes: Notes,
    /// Where a flow that this one calls is begun.
    pub(crate) executions: Weak<dyn Executions>,
    replay: Mutex<Replay>,
    flags: Flags,
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
    undo_steps: Mutex<Vec<UndoStep>>,
    /// What the generation comes to, once it is known that the flow goes no further.
    ending: OnceLock<Ending>,
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
    /// Its own tags; it keeps those of the generation before it, if there are none.
    pub(crate) tags: BTreeSet<String>,
}

/// What a generation comes to whose flow goes no further.
pub(crate) struct Ending {
    pub(crate) status: Status,
    pub(crate) payload: OwnedPayload,
}

/// A step that undoes.
pub(crate) type UndoStep = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send>;

impl Context {
    pub(crate) fn new(
        attempt: Attempt,
        executions: Weak<dyn Executions>,
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
            executions,
            replay: Mutex::new(replay),
            flags: Flags::new(Flag::Woken),
            driver: Mutex::new(None),
            presence: Presence::new(listing, tally),
            admission: Mutex::new(Some(admission)),
            branches: Mutex::default(),
            drawn: Mutex::new(0),
            undo_steps: Mutex::default(),
            ending,
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
        self.flags.raise(Flag::Left);
        self.kick();
    }

    /// The flow is not to be dropped for this reason after all.
    pub(crate) fn stay(&self) {
        let stays = self.replay().stay();
        self.flags.set(Flag::Left, !stays);
    }

    /// Has nothing start any more: bodies that run come to their end, and then the flow is parked, or dropped for this
    /// reason.
    pub(crate) fn drain(&self, why: Error) {
        let _ = self.draining.set(why);
        self.replay().drain();
        self.flags.raise(Flag::Woken);
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
        self.submit(Subject::Unwind, Some(Frame::Unwind(end).write()), changes, says);
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
        self.flags.raise(Flag::Woken);
        self.kick();
    }

    pub(crate) fn take_branches(&self) -> Vec<Branch> {
        mem::take(&mut *lock(&self.branches))
    }

    /// Takes in what was sent; gives it back if the flow is on its way out of memory.
    pub(crate) fn post(&self, mail: Mail) -> Result<(), Mail> {
        if let Err(mail) = self.mailbox.post(mail) {
            // That a child has ended is of interest only to who waits for it.
            let is_moot = matches!(mail, Mail::Ended) && !self.flags.has(Flag::AwaitsExecution);
            return if is_moot { Ok(()) } else { Err(mail) };
        }
        // Where nobody waits for it, whoever has sent it is to be told so.
        self.kick();
        Ok(())
    }
}
