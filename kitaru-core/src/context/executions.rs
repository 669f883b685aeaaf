//! The other executions of a store, as a flow's own code reaches them: its children. The engine keeps them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{OwnedPayload, ParentCall};
use crate::request::Request;
use crate::value::Key;

/// A future of another execution, behind a trait object.
pub(crate) type Coming<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The executions of a store.
pub(crate) trait Executions: Send + Sync {
    /// Joins the execution that a request identifies, or starts a task for it, before this is polled.
    fn launch(self: Arc<Self>, request: Request) -> Coming<Result<Arc<dyn Child>, Error>>;

    /// Cancels an execution.
    fn cancel(self: Arc<Self>, execution: ExecutionId) -> Coming<Result<(), Error>>;

    /// Cancels an execution if this call began its newest generation, and it has not ended.
    fn cancel_child(self: Arc<Self>, execution: ExecutionId, call: Key) -> Coming<Result<(), Error>>;
}

/// An execution that a flow waits for.
pub(crate) trait Child: Send + Sync {
    /// Resolves when it is in the store, or cannot be.
    fn recorded(self: Arc<Self>) -> Coming<Result<(), Error>>;

    /// Its result.
    fn ended(self: Arc<Self>) -> Coming<Result<Arc<OwnedPayload>, Error>>;

    /// Reports when its flow parks, and when it resumes.
    fn parks(&self) -> watch::Receiver<bool>;

    /// Whether a parent is notified when it ends.
    fn notifies(&self, parent: JournalId) -> bool;

    /// Registers a parent to be notified when it ends. Has no effect if it has ended or the row cannot be written.
    fn notify_when_ended(self: Arc<Self>, parent: ParentCall) -> Coming<()>;
}
