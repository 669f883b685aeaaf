//! Ending an execution for good. Owns which execution a caller may name; must not know how an attempt ends.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::{Actor, ExecutionId};
use crate::machine::Ask;
use crate::view::ExecutionRef;

impl Kitaru {
    /// Cancels an execution that is running, waiting, interrupted or failed. Its flow and its running bodies are dropped, and
    /// the steps that it registered with [`undo`](crate::undo()) run. It becomes `Cancelled` and never resumes. The
    /// cancellation is durable when this returns.
    ///
    /// An execution that is not running is replayed up to where it stopped, to find its undo steps. That needs a `#[flow]`: the
    /// work of any other flow is undone only while it runs in this process. If the replay crashes the process three times in a
    /// row, cancelling fails, and [`without_undo`](CancelRequest::without_undo) is the way out.
    ///
    /// It is an error to cancel an execution that is cancelled or completed, or that completes before the cancellation.
    ///
    /// # Errors
    ///
    /// When the execution does not exist, is completed or cancelled, when its work cannot be undone, or when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the execution may be cancelled, whether or not the future is polled to its end.
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
        let (inner, by) = (self.inner.clone(), self.by.clone());
        CancelRequest { inner, execution: execution.into().checked(), ask: Ask::Cancel, by }
    }
}

/// A request to cancel an execution. Awaited, it gives `Result<(), Error>`. See [`Kitaru::cancel`].
#[must_use = "an execution is cancelled only if this is awaited"]
pub struct CancelRequest {
    inner: Arc<Engine>,
    execution: Result<ExecutionId, Error>,
    ask: Ask,
    by: Option<Actor>,
}

impl CancelRequest {
    /// Ends the execution without undoing its work. It is the way out if the flow's own code crashes the process, or this program
    /// lacks the flow, so that a replay cannot find the undo steps. [`Execution::undo_skipped`](crate::Execution::undo_skipped) records that permanently.
    /// Refused for an execution that is running in this process, which can be cancelled with its undo.
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
            let CancelRequest { inner, execution, ask, by } = self;
            let execution = execution?;
            match ask {
                Ask::Abandon => inner.abandon(execution.clone(), by.clone()).await?,
                _ => inner.cancel_with_undo(execution.clone(), by.clone()).await?,
            }
            inner.trim_audit(&execution, by.as_ref()).await;
            Ok(())
        })
    }
}

impl fmt::Debug for CancelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRequest").field("execution", &self.execution).finish_non_exhaustive()
    }
}
