//! Ending an execution for good. Owns who may be named; must not know how an attempt ends.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Ask;
use crate::view::ExecutionRef;

impl Kitaru {
    /// Cancels an execution, whether it runs, waits, was interrupted or has failed: its flow is dropped where it is, with
    /// the bodies that run, what it has registered with [`undo`](crate::undo()) runs, and it becomes `Cancelled` and never
    /// goes on. It is durable when this returns.
    ///
    /// One that does not run is replayed to where it stopped, so that its steps are there. That needs a `#[flow]`: what
    /// another one has done is undone only while it runs in this process. Where the replay is what the process dies of,
    /// cancelling fails from the third such death in a row on, and [`without_undo`](CancelRequest::without_undo) is the way out.
    ///
    /// Cancelling twice is an error, as is cancelling one that is completed; so is it if it completes meanwhile.
    ///
    /// # Errors
    ///
    /// When there is no such execution, when it is completed or cancelled, when what it has done cannot be undone, or when
    /// the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the execution may be cancelled, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let call = kitaru::dynamic::flow("write_report").run(|| async {
    /// #     std::future::pending::<Result<(), kitaru::Error>>().await
    /// # });
    /// let handle = call.id("job-42").on(&kitaru).start().await?;
    /// kitaru.cancel(("write_report", "job-42")).await?;
    /// assert!(handle.await.unwrap_err().is_cancelled());
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self, execution: impl Into<ExecutionRef>) -> CancelRequest {
        CancelRequest { inner: self.inner.clone(), execution: execution.into().checked(), ask: Ask::Cancel }
    }
}

/// An execution about to be cancelled; awaited, it gives `Result<(), Error>`. See [`Kitaru::cancel`].
#[must_use = "an execution is cancelled only if this is awaited"]
pub struct CancelRequest {
    inner: Arc<Engine>,
    execution: Result<ExecutionId, Error>,
    ask: Ask,
}

impl CancelRequest {
    /// Ends it without undoing what it has done: the way out where the flow's own code ends the process, so that it cannot be
    /// replayed for the steps that it has registered. [`Execution::undo_skipped`](crate::Execution::undo_skipped) says so for good. One that runs in this
    /// process is refused: it can be cancelled with its undo.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn doc(kitaru: &kitaru_core::Kitaru) -> Result<(), kitaru_core::Error> {
    /// kitaru.cancel(("order", "job-42")).without_undo().await?;
    /// let order = kitaru.execution(("order", "job-42")).await?;
    /// assert!(order.is_some_and(|order| order.undo_skipped()));
    /// # Ok(()) }
    /// ```
    pub fn without_undo(mut self) -> Self {
        self.ask = Ask::Abandon;
        self
    }
}

impl IntoFuture for CancelRequest {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.ask {
                Ask::Abandon => self.inner.abandon(self.execution?).await,
                _ => self.inner.cancel(self.execution?).await,
            }
        })
    }
}

impl fmt::Debug for CancelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRequest").field("execution", &self.execution).finish_non_exhaustive()
    }
}
