//! Ending an execution for good. Owns who may be named; must not know how an attempt ends.

use std::future::Future;
use std::sync::Arc;

use crate::client::execution::Relative;
use crate::client::executions::Summary;
use crate::client::handle::Handle;
use crate::client::launch::ended_meanwhile;
use crate::client::request::Request;
use crate::client::{Execution, Inner, Kitaru};
use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Ask;

/// What stands for an execution: an [`Execution`], a [`Summary`], a [`Relative`], a [`Handle`], or a flow's name and an id.
pub trait Target {
    /// The flow's name and the id.
    fn target(&self) -> (&str, &str);
}

impl Target for Execution {
    fn target(&self) -> (&str, &str) {
        (self.flow(), self.id())
    }
}

impl Target for Summary {
    fn target(&self) -> (&str, &str) {
        (self.flow(), self.id())
    }
}

impl Target for Relative {
    fn target(&self) -> (&str, &str) {
        (self.flow(), self.id())
    }
}

impl<R> Target for Handle<R> {
    fn target(&self) -> (&str, &str) {
        (self.flow(), self.id())
    }
}

impl Target for (&str, &str) {
    fn target(&self) -> (&str, &str) {
        *self
    }
}

impl Kitaru {
    /// Cancels an execution, whether it runs, waits, was interrupted or has failed: its flow is dropped where it is, with
    /// the bodies that run, what it has registered with [`undo`](crate::undo()) runs, and it becomes `Cancelled` and never
    /// goes on. It is durable when this returns.
    ///
    /// One that does not run is replayed to where it stopped, so that its steps are there. That needs a `#[flow]`: what
    /// another one has done is undone only while it runs in this process.
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
    /// kitaru.cancel(&("write_report", "job-42")).await?;
    /// assert!(handle.await.unwrap_err().is_cancelled());
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self, execution: &(impl Target + ?Sized)) -> impl Future<Output = Result<(), Error>> + Send {
        let (flow, id) = execution.target();
        let execution = ExecutionId::new(flow, id);
        async move { self.inner.cancel(execution?).await }
    }
}

impl Inner {
    pub(crate) async fn cancel(self: &Arc<Self>, execution: ExecutionId) -> Result<(), Error> {
        loop {
            let (_, active) = self.launch(Request::steering(&execution, Ask::Cancel), None)?;
            // Nothing to an attempt that is there only to cancel it.
            if !active.steering.cancel() {
                // It went out of memory meanwhile.
                continue;
            }
            return match active.ended().await.fault() {
                Some(error) if error.is_cancelled() => Ok(()),
                Some(error) => Err(error),
                None => Err(ended_meanwhile(&execution)),
            };
        }
    }
}
