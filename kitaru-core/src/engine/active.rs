//! An execution that this process drives. Owns its result on the way to everybody who waits for it; must not know how
//! it comes about.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex};

use tokio::sync::SetOnce;
use tokio::task::AbortHandle;

use crate::context::Context;
use crate::engine::sleepers::Cause;
use crate::engine::steering::Steering;
use crate::error::{Error, Kind};
use crate::id::JournalId;
use crate::journal::{OwnedPayload, ParentRow};
use crate::machine::Due;
use crate::runtime::lock;
use crate::value::Key;

/// What an attempt came to, as its callers are told.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// The flow returned, and that is durable.
    Outcome(Arc<OwnedPayload>),
    /// It did not, and why. Nothing of it is in the journal.
    Fault(Error),
    /// It goes on in a new generation, of this journal. Nobody is told: whoever waits for it goes on waiting.
    Restarted { journal: JournalId, start_at_ms: Option<u64> },
    /// It waits, and is no longer in memory. Nobody is told: whoever waits for it goes on waiting.
    Parked { due: Due, journal: JournalId },
}

impl Ended {
    /// Why the flow did not return.
    pub(crate) fn fault(self) -> Option<Error> {
        match self {
            Ended::Fault(error) => Some(error),
            Ended::Outcome(_) | Ended::Parked { .. } | Ended::Restarted { .. } => None,
        }
    }
}

pub(crate) struct Active {
    /// Nothing while it is being cancelled: then its input is of no interest.
    pub(crate) input: Option<Key>,
    pub(crate) input_preview: String,
    /// It is in the store, or cannot be.
    recorded: SetOnce<Result<(), Error>>,
    ended: SetOnce<Ended>,
    task: Mutex<Option<AbortHandle>>,
    holder: Mutex<Holder>,
    /// How its attempts are reached. While it is parked it is here for those who wait for it.
    pub(crate) steering: Steering<Context>,
    /// The parents that are told when it ends: that each of them is to be is in the store.
    waiters: Mutex<Vec<ParentRow>>,
}

/// Who drives an execution, of all those who have reserved it one after another.
#[derive(Default)]
struct Holder {
    latest: Reservation,
    /// It was woken and only looks, so far, whether it is to go on: whoever asks something of it is not to wait for that,
    /// which may come to nothing.
    looks: bool,
    /// Why it was to be woken while somebody had it reserved: that is still to be done where the reservation comes to nothing.
    missed: BTreeSet<(JournalId, Cause)>,
}

/// One of those who have reserved an execution.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Reservation(u64);

/// What an execution is reserved for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Somebody asks something of it.
    Asked,
    /// It was woken, and is to go on if it is not finished.
    Woken,
}

impl Active {
    pub(crate) fn new(input: Option<Key>, input_preview: String) -> Arc<Self> {
        Arc::new(Active {
            input,
            input_preview,
            recorded: SetOnce::new(),
            ended: SetOnce::new(),
            task: Mutex::new(None),
            holder: Mutex::default(),
            steering: Steering::new(),
            waiters: Mutex::default(),
        })
    }

    /// Reserves it, whoever held it before.
    pub(crate) fn reserve(&self, purpose: Purpose) -> Reservation {
        lock(&self.holder).reserve(purpose)
    }

    /// Reserves it in the place of one who only looks; nothing if there is none.
    pub(crate) fn take_over(&self) -> Option<Reservation> {
        let mut holder = lock(&self.holder);
        holder.looks.then(|| holder.reserve(Purpose::Asked))
    }

    /// Whether this reservation still counts. If so, nobody takes it over from now on.
    pub(crate) fn settle(&self, reservation: Reservation) -> bool {
        let mut holder = lock(&self.holder);
        let holds = holder.latest == reservation;
        holder.looks &= !holds;
        holds
    }

    /// It is to be woken, and somebody has it reserved.
    pub(crate) fn miss(&self, journal: JournalId, cause: Cause) {
        lock(&self.holder).missed.insert((journal, cause));
    }

    /// Why it is to be woken, if nobody has driven it since.
    pub(crate) fn take_missed(&self) -> BTreeSet<(JournalId, Cause)> {
        mem::take(&mut lock(&self.holder).missed)
    }

    /// Which task drives it, unless another reservation counts by now.
    pub(crate) fn driven_by(&self, reservation: Reservation, task: AbortHandle) {
        let holder = lock(&self.holder);
        if holder.latest == reservation {
            *lock(&self.task) = Some(task);
        }
    }

    /// Drops its flow where it is. What it has recorded stays.
    pub(crate) fn interrupt(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    /// Has this parent told when it ends, once.
    pub(crate) fn add_waiter(&self, parent: ParentRow) {
        let mut waiters = lock(&self.waiters);
        if waiters.iter().all(|known| known.journal != parent.journal) {
            waiters.push(parent);
        }
    }

    /// Whether a parent is told when it ends.
    pub(crate) fn tells(&self, parent: JournalId) -> bool {
        lock(&self.waiters).iter().any(|known| known.journal == parent)
    }

    /// The parents that are told when it ends.
    pub(crate) fn waiters(&self) -> Vec<ParentRow> {
        lock(&self.waiters).clone()
    }

    /// Says that it is in the store, or why it cannot be. What is said first stays.
    pub(crate) fn record(&self, recorded: Result<(), Error>) {
        let _ = self.recorded.set(recorded);
    }

    /// Says what it came to. What is said first stays.
    pub(crate) fn end(&self, ended: Ended) {
        let _ = self.ended.set(ended);
    }

    /// Whether it has come to something.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.initialized()
    }

    /// Waits until it is in the store.
    pub(crate) async fn recorded(&self) -> Result<(), Error> {
        let recorded = self.recorded.wait().await.clone();
        if recorded.is_err() {
            // The next call is to begin anew, not to attach to what is ending.
            self.ended.wait().await;
        }
        recorded
    }

    /// What it comes to.
    pub(crate) async fn ended(self: Arc<Self>) -> Ended {
        self.ended.wait().await.clone()
    }
}

impl Holder {
    fn reserve(&mut self, purpose: Purpose) -> Reservation {
        self.latest.0 += 1;
        self.looks = purpose == Purpose::Woken;
        self.latest
    }
}

/// Its runtime was dropped, or the store was closed.
pub(crate) fn interrupted() -> Error {
    Error::new(
        Kind::Closed,
        "the execution was interrupted: its runtime was shut down or its store was closed. Nothing is lost; call the \
         flow again to go on",
    )
}
