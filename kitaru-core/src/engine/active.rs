//! What callers learn of an execution that this process drives, or that they wait for. Owns the result on its way to all
//! callers; must not know how the flow produces it.

use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::SetOnce;

use crate::context::Context;
use crate::engine::registry::{SeatEntry, Waiter};
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId, JournalId};
use crate::journal::{OwnedPayload, ParentCall};
use crate::ledger::Stored;
use crate::machine::Due;
use crate::runtime::lock;
use crate::value::Key;

/// An execution in this process.
pub(crate) type Active = SeatEntry<Context, CallerView>;

/// An execution with callers that wait for it.
pub(crate) type Awaited = Waiter<Context, CallerView>;

/// How an attempt ended, as its callers learn it.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// The flow returned, and its result is durable.
    Outcome(Arc<OwnedPayload>),
    /// The flow did not return, for this reason. The journal has no trace of it.
    Fault(Error),
    /// The execution resumes in a new generation, of this journal. Callers keep waiting and learn nothing.
    ContinuedAsNew { journal: JournalId, start_at_ms: Option<u64> },
    /// The flow is parked. Callers keep waiting and learn nothing.
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
pub(crate) struct CallerView {
    /// None while the execution is being cancelled: its input does not matter then.
    pub(crate) input: Option<Key>,
    pub(crate) input_preview: String,
    /// Whether the request of the task that has the seat is refused, once that is known.
    refused: SetOnce<bool>,
    /// The execution is in the store, or cannot be.
    recorded: SetOnce<Result<(), Error>>,
    ended: SetOnce<Ended>,
    /// The parents to notify when the execution ends. The store has each of them.
    parents: Mutex<Vec<ParentCall>>,
    /// Who cancels it: the first one, who may have no name.
    canceller: OnceLock<Option<Actor>>,
}

impl CallerView {
    pub(crate) fn new(input: Option<Key>, input_preview: String) -> Self {
        let (refused, recorded, ended, parents) = (SetOnce::new(), SetOnce::new(), SetOnce::new(), Mutex::default());
        CallerView { input, input_preview, refused, recorded, ended, parents, canceller: OnceLock::new() }
    }

    /// Of a recorded execution.
    pub(crate) fn of(stored: &Stored) -> Self {
        let progress = Self::new(Some(stored.header.input_digest), stored.header.input_preview.clone());
        progress.record(Ok(()));
        progress
    }

    /// Remembers who cancels the execution. The first one stays.
    pub(crate) fn cancelled_by(&self, by: Option<Actor>) {
        let _ = self.canceller.set(by);
    }

    /// Who cancels the execution, if it is being cancelled.
    pub(crate) fn canceller(&self) -> Option<Option<Actor>> {
        self.canceller.get().cloned()
    }

    /// Registers a parent to notify when the execution ends, once.
    pub(crate) fn add_parent(&self, parent: ParentCall) {
        let mut parents = lock(&self.parents);
        if parents.iter().all(|known| known.journal != parent.journal) {
            parents.push(parent);
        }
    }

    /// Whether this parent is notified when the execution ends.
    pub(crate) fn notifies(&self, parent: JournalId) -> bool {
        lock(&self.parents).iter().any(|known| known.journal == parent)
    }

    /// The parents to notify when the execution ends.
    pub(crate) fn parents(&self) -> Vec<ParentCall> {
        lock(&self.parents).clone()
    }

    /// Publishes that the execution is in the store, or why it cannot be. The first message stays.
    pub(crate) fn record(&self, recorded: Result<(), Error>) {
        let _ = self.recorded.set(recorded);
    }

    /// Publishes whether the request of the task that has the seat is refused. The first message stays.
    pub(crate) fn decide(&self, is_refused: bool) {
        let _ = self.refused.set(is_refused);
    }

    /// Whether the request is known not to be refused, so that others may join it.
    pub(crate) fn is_under_way(&self) -> bool {
        self.refused.get() == Some(&false)
    }

    /// Whether the input is known to be the recorded one.
    pub(crate) fn knows_input(&self) -> bool {
        self.is_under_way() || matches!(self.recorded.get(), Some(Ok(())))
    }

    /// Waits until it is known whether the request is refused: other requests need not be. Its task has ended then.
    pub(crate) async fn is_refused(&self) -> bool {
        let is_refused = *self.refused.wait().await;
        if is_refused {
            self.ended.wait().await;
        }
        is_refused
    }

    /// Publishes how the execution ended. The first message stays.
    pub(crate) fn end(&self, ended: Ended) {
        // It may end before its task has decided.
        self.decide(false);
        let _ = self.ended.set(ended);
    }

    /// Whether the execution has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.initialized()
    }

    /// Waits until the execution is in the store.
    pub(crate) async fn recorded(&self) -> Result<(), Error> {
        let recorded = self.recorded.wait().await.clone();
        if recorded.is_err() {
            // The next call must begin again, not attach to an execution that is ending.
            self.ended.wait().await;
        }
        recorded
    }

    /// How the execution ends.
    pub(crate) async fn ended(&self) -> Ended {
        self.ended.wait().await.clone()
    }
}

/// How an execution ends, for a caller that waits for it until then.
pub(crate) async fn ended(awaited: Awaited) -> Ended {
    awaited.ended().await
}

/// The execution's runtime was dropped, or the store was closed.
pub(crate) fn interrupted(execution: &ExecutionId) -> Error {
    cannot!(
        Kind::Closed,
        "finish execution {execution}",
        "its runtime was shut down or its store was closed",
        "call the flow again to resume it"
    )
}
