//! One attempt at an execution, as its calls, its bodies and the writer see it. Owns the replay's lock and the end of
//! the attempt. Must not know how a call runs.

mod ack;
mod admission;
mod ambient;
mod attempt;
mod beside;
mod branch;
mod course;
mod driven;
mod executions;
mod forked;
mod mailbox;
mod notes;
mod sending;
mod spawn;
mod standing;
mod undo;
mod wakers;
mod wakeups;
#[cfg(feature = "testkit")]
mod within;

#[cfg(test)]
mod mailbox_tests;

use std::collections::BTreeSet;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use crate::error::Error;
use crate::id::Actor;
use crate::journal::{AuditAction, EndFrame, Frame, OwnedPayload, Payload, Status, Tally, call_identity};
use crate::ledger::{Change, Listing, Tenure};
use crate::machine::{Event, Exit, Journal, Progress, Replay};
use crate::runtime::{Runtime, lock};
use crate::value::{Encoded, Key};
use ack::Subject;
use beside::Beside;
use course::Course;
use wakeups::Wakeups;

pub(crate) use admission::Admission;
#[cfg(test)]
pub(crate) use ambient::MOST_NOTES_BYTES;
pub(crate) use ambient::{Ambient, BodyScope, flow_or_body};
pub(crate) use attempt::{Attempt, Parking};
pub(crate) use branch::Branch;
pub(crate) use driven::Advance;
pub(crate) use executions::{Child, Coming, Executions};
pub(crate) use forked::ForkOrigin;
pub(crate) use mailbox::{Mailbox, Message};
#[cfg(test)]
pub(crate) use notes::MOST_NAMES;
pub(crate) use notes::Notes;
pub use spawn::{BranchHandle, spawn};
pub use undo::undo;
pub(crate) use wakers::{BodyWaker, FlowWaker};
#[cfg(feature = "testkit")]
pub(crate) use within::Within;

pub(crate) struct Context {
    pub(crate) attempt: Attempt,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) mailbox: Mailbox,
    notes: Notes,
    /// The store's other executions, for the children of this flow.
    pub(crate) executions: Weak<dyn Executions>,
    replay: Mutex<Replay>,
    wakeups: Wakeups,
    /// What the attempt is for the store and for its driver.
    course: Course,
    /// Held until the attempt has proved itself.
    admission: Mutex<Option<Admission>>,
    /// Branches that the flow spawned since the driver last looked.
    branches: Mutex<Vec<Branch>>,
    /// How many random values were drawn.
    drawn: Mutex<u64>,
    /// The undo steps, the latest last.
    undo_steps: Mutex<Vec<UndoStep>>,
    /// The generation's result, once it is known that the flow ends here.
    ending: OnceLock<Ending>,
    /// Why no call may start any more, if that is so.
    draining: OnceLock<Error>,
    /// The input of the continuation, if the flow continues as new.
    next: Mutex<Option<NextInput>>,
    canceller: Mutex<Canceller>,
    /// Values that libraries keep with the flow, one of each type.
    pub(crate) beside: Beside,
}

/// What the store has of an attempt's generation.
pub(crate) struct Ground {
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) replay: Replay,
    pub(crate) listing: Listing,
    pub(crate) tally: Tally,
    pub(crate) admission: Admission,
    pub(crate) mail: Vec<Message>,
    pub(crate) notes: Notes,
}

/// What the next generation begins with.
pub(crate) struct NextInput {
    pub(crate) preview: String,
    pub(crate) encoded: Encoded,
    pub(crate) start_at_ms: Option<u64>,
    /// Its deadline.
    pub(crate) deadline_ms: Option<u64>,
    /// Its own tags. If empty, it keeps those of the generation before it.
    pub(crate) tags: BTreeSet<String>,
}

/// The result of a generation whose flow ends here.
pub(crate) struct Ending {
    pub(crate) status: Status,
    pub(crate) payload: OwnedPayload,
}

/// An undo step.
pub(crate) type UndoStep = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send>;

/// Who cancels an execution.
#[derive(Default)]
enum Canceller {
    #[default]
    Nobody,
    Known(Option<Actor>),
    /// The entry of the audit is on its way to the store.
    Audited,
}

impl Canceller {
    /// Who is to be in the audit, if it is to be written now.
    fn audited(&mut self) -> Option<Actor> {
        let Canceller::Known(by) = self else { return None };
        let by = by.take();
        *self = Canceller::Audited;
        by
    }
}

impl Context {
    pub(crate) fn new(
        attempt: Attempt,
        executions: Weak<dyn Executions>,
        runtime: Arc<Runtime>,
        ground: Ground,
    ) -> Arc<Self> {
        let Ground { tenure, journal, replay, listing, tally, admission, mail, notes } = ground;
        let mailbox = Mailbox::new(mail, replay.messages());
        let ending = replay.unwound_by().and_then(|at| journal.unwind(at)).map_or_else(OnceLock::new, |end| {
            Ending { status: end.status, payload: OwnedPayload::new(&end.payload, end.preview) }.into()
        });
        Arc::new(Context {
            attempt,
            runtime,
            journal,
            tenure,
            mailbox,
            notes,
            executions,
            replay: Mutex::new(replay),
            wakeups: Wakeups::new(),
            course: Course::new(listing, tally),
            admission: Mutex::new(Some(admission)),
            branches: Mutex::default(),
            drawn: Mutex::new(0),
            undo_steps: Mutex::default(),
            ending,
            draining: OnceLock::new(),
            next: Mutex::default(),
            canceller: Mutex::default(),
            beside: Beside::default(),
        })
    }

    /// Never held while another future or waker is dropped, polled or woken: those lock it again.
    pub(crate) fn replay(&self) -> MutexGuard<'_, Replay> {
        lock(&self.replay)
    }

    /// Ends the attempt as soon as the flow's poll returns.
    pub(crate) fn leave_with(&self, exit: Exit) {
        {
            let mut replay = self.replay();
            replay.leave_with(exit);
            // Under the lock: the state says what the replay says.
            self.course.see(Event::Leaves);
        }
        self.wakeups.kick();
    }

    /// Withdraws the reason to drop the flow.
    pub(crate) fn stay(&self) {
        let mut replay = self.replay();
        if replay.stay() {
            self.course.see(Event::Stays);
        }
    }

    /// Lets no call start any more. Running bodies finish, and then the flow is parked, or dropped for this reason.
    pub(crate) fn drain(&self, why: Error) {
        let _ = self.draining.set(why);
        self.replay().drain();
        self.wakeups.wake_flow();
        self.wakeups.kick();
    }

    /// Lets the flow continue only with what lands before this frame. Then its work is undone, and this becomes the
    /// result of the generation, with these changes. Nothing if that has already begun.
    pub(crate) fn unwind(
        self: &Arc<Self>,
        status: Status,
        payload: &Payload<'_>,
        preview: &str,
        changes: impl FnOnce() -> Vec<Change>,
    ) {
        if !self.replay().ask_unwind() {
            return;
        }
        let _ = self.ending.set(Ending { status, payload: OwnedPayload::new(payload, preview) });
        let ended_ms = self.runtime.clock.now_ms();
        let attempt = self.attempt.number;
        let end = EndFrame { status, attempt, ended_ms, duration_us: 0, preview, payload: *payload };
        let says = self.course.see(Event::Records(Progress::Unwinds));
        self.submit(Subject::Unwind, Some(Frame::Unwind(end).write()), changes(), says);
    }

    /// Remembers who cancels the execution. The first one stays.
    pub(crate) fn cancelled_by(&self, by: Option<Actor>) {
        let mut canceller = lock(&self.canceller);
        if let Canceller::Nobody = *canceller {
            *canceller = Canceller::Known(by);
        }
    }

    /// The entry of the audit that says who cancelled the execution, once.
    pub(crate) fn cancellation_audit(&self) -> Option<Change> {
        let by = lock(&self.canceller).audited()?;
        Some(Change::Audit(by.did(AuditAction::Cancelled, "", self.runtime.clock.now_ms())))
    }

    /// The result of the generation, if its flow ends here.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }

    pub(crate) fn set_next(&self, next: NextInput) {
        *lock(&self.next) = Some(next);
    }

    pub(crate) fn take_next(&self) -> Option<NextInput> {
        lock(&self.next).take()
    }

    /// The identity of a call of this execution, the same on every attempt.
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
        let reached = self.attempt.fork.as_ref().map(|fork| (fork, self.replay().reached()));
        let seed = reached.and_then(|(fork, reached)| fork.seed(reached)).unwrap_or(&self.attempt.seed);
        *blake3::keyed_hash(seed, &nth.to_le_bytes()).as_bytes()
    }

    pub(crate) fn add_branch(&self, branch: Branch) {
        lock(&self.branches).push(branch);
        self.wakeups.wake_flow();
        self.wakeups.kick();
    }

    pub(crate) fn take_branches(&self) -> Vec<Branch> {
        mem::take(&mut *lock(&self.branches))
    }

    /// Takes in mail, or gives it back if the flow is being parked.
    pub(crate) fn post(&self, mail: Message) -> Result<(), Message> {
        self.mailbox.post(mail)?;
        // If no call waits for it, the sender must learn that.
        self.wakeups.stir();
        Ok(())
    }
}
