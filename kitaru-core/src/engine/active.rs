//! What callers learn of an execution that this process drives, or that they wait for. Owns its result on the way to all of
//! them; must not know how it comes about.

use std::sync::{Arc, Mutex};

use tokio::sync::SetOnce;

use crate::context::Context;
use crate::engine::registry::{Joined, Seated};
use crate::error::{Error, Kind};
use crate::id::JournalId;
use crate::journal::{OwnedPayload, ParentRow};
use crate::ledger::Stored;
use crate::machine::Due;
use crate::runtime::lock;
use crate::value::Key;

/// An execution in this process.
pub(crate) type Active = Seated<Context, Progress>;

/// An execution that somebody waits for.
pub(crate) type Awaited = Joined<Context, Progress>;

/// What an attempt came to, as its callers are told.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// The flow returned, and that is durable.
    Outcome(Arc<OwnedPayload>),
    /// It did not, and why. Nothing of it is in the journal.
    Fault(Error),
    /// It resumes in a new generation, of this journal. Nobody is told: callers wait on.
    ContinuedAsNew { journal: JournalId, start_at_ms: Option<u64> },
    /// It waits, and is parked. Nobody is told: callers wait on.
    Parked { due: Due, journal: JournalId },
}

impl Ended {
    /// Why the flow did not return.
    pub(crate) fn fault(self) -> Option<Error> {
        match self {
            Ended::Fault(error) => Some(error),
            Ended::Outcome(_) | Ended::Parked { .. } | Ended::ContinuedAsNew { .. } => None,
        }
    }
}

/// What callers learn of an execution.
pub(crate) struct Progress {
    /// None while it is being cancelled: then its input is of no interest.
    pub(crate) input: Option<Key>,
    pub(crate) input_preview: String,
    /// It is in the store, or cannot be.
    recorded: SetOnce<Result<(), Error>>,
    ended: SetOnce<Ended>,
    /// The parents that are told when it ends: that each of them is to be is in the store.
    parents: Mutex<Vec<ParentRow>>,
}

impl Progress {
    pub(crate) fn new(input: Option<Key>, input_preview: String) -> Self {
        let (recorded, ended, parents) = (SetOnce::new(), SetOnce::new(), Mutex::default());
        Progress { input, input_preview, recorded, ended, parents }
    }

    /// Of an execution that is recorded.
    pub(crate) fn of(stored: &Stored) -> Self {
        let progress = Self::new(Some(stored.header.input_digest), stored.header.input_preview.clone());
        progress.record(Ok(()));
        progress
    }

    /// Has this parent told when it ends, once.
    pub(crate) fn add_parent(&self, parent: ParentRow) {
        let mut parents = lock(&self.parents);
        if parents.iter().all(|known| known.journal != parent.journal) {
            parents.push(parent);
        }
    }

    /// Whether a parent is told when it ends.
    pub(crate) fn tells(&self, parent: JournalId) -> bool {
        lock(&self.parents).iter().any(|known| known.journal == parent)
    }

    /// The parents that are told when it ends.
    pub(crate) fn parents(&self) -> Vec<ParentRow> {
        lock(&self.parents).clone()
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
    pub(crate) async fn ended(&self) -> Ended {
        self.ended.wait().await.clone()
    }
}

/// What an execution comes to, for one who waits for it until then.
pub(crate) async fn ended(awaited: Awaited) -> Ended {
    awaited.ended().await
}

/// Its runtime was dropped, or the store was closed.
pub(crate) fn interrupted() -> Error {
    Error::new(
        Kind::Closed,
        "the execution was interrupted: its runtime was shut down or its store was closed. Nothing is lost; call the \
         flow again to go on",
    )
}
