//! A test acts as a person: it cancels and resumes executions. Must not know what happens to them.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::{Testkit, own};
#[cfg(doc)]
use crate::client::Kitaru;
use crate::client::{ForkRequest, ResumeRequest};
use crate::error::Error;
use crate::testkit::post::What;
use crate::view::ExecutionRef;

impl Testkit {
    /// Cancels an execution. As [`Kitaru::cancel`].
    ///
    /// # Errors
    ///
    /// As [`Kitaru::cancel`].
    ///
    /// # Panics
    ///
    /// When an undo step waits for a time: join the call with [`advance`](Self::advance).
    ///
    /// # Cancel safety
    ///
    /// The execution may be cancelled, whether or not this is polled to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::flow, testkit::Testkit};
    /// # let order = || flow("order").run(|| async { kitaru::wait::<bool>("approval").await });
    /// let kit = Testkit::new();
    /// let job = kit.start(order()).await?;
    /// kit.cancel(&job).await?;
    /// assert!(job.await.unwrap_err().is_cancelled());
    /// # Ok(()) }
    /// ```
    pub async fn cancel(&self, execution: impl Into<ExecutionRef>) -> Result<(), Error> {
        self.vigil.ask();
        let target = own(&execution.into());
        let command = self.outbox.next(&target, What::Cancellation, "");
        let kitaru = self.process.kitaru.clone();
        self.post(command, async move { kitaru.cancel((&*target.0, &*target.1)).await }).await
    }

    /// Resumes an execution that failed, is stuck or was interrupted. As [`Kitaru::resume`]; it resumes when this is awaited.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(kit: kitaru::testkit::Testkit) -> Result<(), kitaru::Error> {
    /// kit.resume(("order", "job-42")).forget("charge").await?;
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, execution: impl Into<ExecutionRef>) -> KitResumeRequest<'_> {
        let execution = execution.into();
        KitResumeRequest { kit: self, target: own(&execution), request: self.process.kitaru.resume(&execution) }
    }

    /// Starts a fork: one of an execution of the kit, by [`Kitaru::fork`], or of a [history](crate::testkit::fork). Call its flow with its
    /// id for its result.
    ///
    /// # Errors
    ///
    /// As [`ForkRequest::start`].
    ///
    /// # Cancel safety
    ///
    /// The fork may begin, whether or not this is polled to its end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # extern crate kitaru_core as kitaru;
    /// # async fn doc(kit: kitaru::testkit::Testkit) -> Result<(), kitaru::Error> {
    /// let fork = kit.fork(kit.kitaru().fork(("order", "job-42")).from("charge")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn fork(&self, request: ForkRequest) -> Result<ExecutionRef, Error> {
        self.vigil.ask();
        let started = self.vigil.task(self.process.tasks.spawn(request.start())).await;
        self.vigil.settled().await;
        started
    }
}

/// A request to resume an execution. Awaited, it gives `Result<(), Error>`. See [`Testkit::resume`].
#[must_use = "an execution is resumed only if this is awaited"]
pub struct KitResumeRequest<'a> {
    kit: &'a Testkit,
    target: (String, String),
    request: ResumeRequest,
}

impl KitResumeRequest<'_> {
    /// As [`ResumeRequest::forget`].
    pub fn forget(mut self, record: impl Into<String>) -> Self {
        self.request = self.request.forget(record);
        self
    }

    /// As [`ResumeRequest::after`].
    pub fn after(mut self, record: impl Into<String>) -> Self {
        self.request = self.request.after(record);
        self
    }
}

impl<'a> IntoFuture for KitResumeRequest<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { kit, target, request } = self;
            kit.vigil.ask();
            let command = kit.outbox.next(&target, What::Resume, "");
            kit.post(command, request.into_future()).await
        })
    }
}

impl fmt::Debug for KitResumeRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KitResumeRequest").field("execution", &self.target).finish_non_exhaustive()
    }
}
