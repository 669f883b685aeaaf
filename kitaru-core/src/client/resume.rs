//! Resuming an execution that failed or is stuck. Owns which records a caller names; must not know how an attempt is driven.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::{Actor, ExecutionId};
use crate::request::Forget;
use crate::view::ExecutionRef;

impl Kitaru {
    /// Resumes an execution that failed, is stuck or was interrupted, as a call of its flow would: from where it stopped, in
    /// the background. The request is durable when this returns.
    ///
    /// All records still count, including an error that the flow went past: such an execution fails with it again. A person can
    /// have records forgotten: [`forget`](ResumeRequest::forget), [`after`](ResumeRequest::after). It is an error to resume an
    /// execution whose work was [undone](crate::undo) when it failed; only [`fresh`](crate::FlowCall::fresh) begins it again.
    /// If an undo step failed, the execution resumes at that step.
    ///
    /// # Errors
    ///
    /// When the execution does not exist, is running, waiting, completed or cancelled; when its flow is not a `#[flow]` of this
    /// program; when a record to forget does not exist; when its work was undone; or when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once awaited, the execution may resume, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(kitaru: &kitaru::Kitaru) -> Result<(), kitaru::Error> {
    /// // The card was topped up: the error that the flow saw must not count.
    /// kitaru.resume(("order", "job-42")).forget("charge").await?;
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, execution: impl Into<ExecutionRef>) -> ResumeRequest {
        let (inner, by) = (self.inner.clone(), self.by.clone());
        ResumeRequest { inner, execution: execution.into().checked(), forget: Vec::new(), by }
    }
}

/// A request to resume an execution. Awaited, it gives `Result<(), Error>`. See [`Kitaru::resume`].
#[must_use = "an execution resumes only if this is awaited"]
pub struct ResumeRequest {
    inner: Arc<Engine>,
    execution: Result<ExecutionId, Error>,
    forget: Vec<Forget>,
    by: Option<Actor>,
}

impl ResumeRequest {
    /// Forgets the error of a checkpoint, by the visible name of its record. The checkpoint runs again, under that name.
    pub fn forget(mut self, record: impl Into<String>) -> Self {
        self.forget.push(Forget::Error(record.into()));
        self
    }

    /// Forgets all records after the record of this visible name, including values and times. The checkpoints run again, and
    /// cost again. Answers and signals stay, and the flow takes them again.
    pub fn after(mut self, record: impl Into<String>) -> Self {
        self.forget.push(Forget::After(record.into()));
        self
    }
}

impl IntoFuture for ResumeRequest {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let ResumeRequest { inner, execution, forget, by } = self;
            let execution = execution?;
            inner.resume(execution.clone(), forget, by.clone()).await?;
            inner.trim_audit(&execution, by.as_ref()).await;
            Ok(())
        })
    }
}

impl fmt::Debug for ResumeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeRequest").field("execution", &self.execution).finish_non_exhaustive()
    }
}
