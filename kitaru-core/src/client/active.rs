//! An execution that this process drives. Owns its result on the way to everybody who waits for it; must not know how
//! it comes about.

use std::sync::{Arc, Mutex};

use tokio::sync::SetOnce;
use tokio::task::AbortHandle;

use crate::client::attempt::cancel_running;
use crate::client::steering::{Steered, Steering};
use crate::context::{Context, Mail};
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
    /// How its attempts are reached. While it is parked it is here for those who wait for it.
    pub(crate) steering: Steering<Context>,
    /// The parents that are told when it ends: that each of them is to be is in the store.
    waiters: Mutex<Vec<ParentRow>>,
}

impl Steered for Context {
    fn journal(&self) -> JournalId {
        self.numbers.journal()
    }

    fn post(&self, mail: Mail) -> Result<(), Mail> {
        Context::post(self, mail)
    }

    fn cancel(self: &Arc<Self>) {
        cancel_running(self);
    }

    fn drain(self: &Arc<Self>) {
        Context::drain(self, interrupted());
    }
}

impl Active {
    pub(crate) fn new(input: Option<Key>, input_preview: String) -> Arc<Self> {
        Arc::new(Active {
            input,
            input_preview,
            recorded: SetOnce::new(),
            ended: SetOnce::new(),
            task: Mutex::new(None),
            steering: Steering::new(),
            waiters: Mutex::default(),
        })
    }

    pub(crate) fn driven_by(&self, task: AbortHandle) {
        *lock(&self.task) = Some(task);
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

/// Its runtime was dropped, or the store was closed.
pub(crate) fn interrupted() -> Error {
    Error::new(
        Kind::Closed,
        "the execution was interrupted: its runtime was shut down or its store was closed. Nothing is lost; call the \
         flow again to go on",
    )
}
