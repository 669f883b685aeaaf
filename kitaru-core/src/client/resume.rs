//! Having an execution resume that has failed or is stuck. Owns which records are forgotten; must not know how an attempt is
//! driven.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::request::Forget;
use crate::view::ExecutionRef;

impl Kitaru {
    /// Has an execution resume that has failed, is stuck or was interrupted, as if its flow were called: from where it
    /// stopped, by itself. That it does is durable when this returns.
    ///
    /// What it has recorded counts, also an error that its flow went past: such a job fails on it once more. A person may
    /// have records forgotten: [`forget`](ResumeRequest::forget), [`after`](ResumeRequest::after). To resume what cannot go
    /// on is an error: what a failed execution did may have been [undone](crate::undo), and then only
    /// [`fresh`](crate::FlowCall::fresh) begins it anew. Where a step that undoes has failed, it resumes at that step.
    ///
    /// # Errors
    ///
    /// When there is no such execution; when it runs, waits, is completed or was cancelled; when its flow is no `#[flow]` of
    /// this program; when there is no such record to be forgotten; when what it did has been undone; or when the store
    /// fails.
    ///
    /// # Cancel safety
    ///
    /// Once awaited the execution may go on, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(kitaru: &kitaru::Kitaru) -> Result<(), kitaru::Error> {
    /// // The card was topped up: what the flow has seen of it is not to count.
    /// kitaru.resume(("order", "job-42")).forget("charge").await?;
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, execution: impl Into<ExecutionRef>) -> ResumeRequest {
        ResumeRequest { inner: self.inner.clone(), execution: execution.into().checked(), forget: Vec::new() }
    }
}

/// An execution that is to resume; awaited, it gives `Result<(), Error>`. See [`Kitaru::resume`].
#[must_use = "an execution resumes only if this is awaited"]
pub struct ResumeRequest {
    inner: Arc<Engine>,
    execution: Result<ExecutionId, Error>,
    forget: Vec<Forget>,
}

impl ResumeRequest {
    /// Forgets the error that a checkpoint came to, by the visible name of its record: it runs again, under that name.
    pub fn forget(mut self, record: impl Into<String>) -> Self {
        self.forget.push(Forget::Error(record.into()));
        self
    }

    /// Forgets all that was recorded after the record of this visible name, values and times included: it is done again, and
    /// paid for again. Answers of people and signals stay, and are taken once more.
    pub fn after(mut self, record: impl Into<String>) -> Self {
        self.forget.push(Forget::After(record.into()));
        self
    }
}

impl IntoFuture for ResumeRequest {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.inner.resume(self.execution?, self.forget).await })
    }
}

impl fmt::Debug for ResumeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeRequest").field("execution", &self.execution).finish_non_exhaustive()
    }
}
