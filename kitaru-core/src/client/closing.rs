//! The request to close a store. Must not know what happens to running executions.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;

/// How long running bodies have to finish, unless set.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

impl Kitaru {
    /// Closes the store for this process and every handle of it. From now on nothing starts. Running bodies have a [grace
    /// time](CloseRequest::grace) to finish, 10 s unless set, and are recorded. A flow that waits is parked, a flow that
    /// returns has completed, and any other flow is interrupted. After the grace time, running attempts are interrupted
    /// immediately. Then pending writes are made durable, and other processes can open the store.
    ///
    /// The grace time is a bound. A body on the blocking pool, or one that blocks its thread, cannot be stopped: it keeps
    /// running in this process, and its outcome is not recorded. A warning names each execution whose thread is blocked.
    ///
    /// No record is lost: an interrupted execution resumes when the store is opened again, or when its flow is called. It is
    /// not an error to close a store twice.
    ///
    /// # Errors
    ///
    /// When the last commit fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the store is closed, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// kitaru.close().grace(std::time::Duration::from_secs(30)).await
    /// # }
    /// ```
    pub fn close(&self) -> CloseRequest {
        CloseRequest { inner: self.inner.clone(), grace: DEFAULT_GRACE }
    }
}

/// A request to close a store. Awaited, it gives `Result<(), Error>`. See [`Kitaru::close`].
#[must_use = "a store is closed only if this is awaited"]
pub struct CloseRequest {
    inner: Arc<Engine>,
    grace: Duration,
}

impl CloseRequest {
    /// How long running bodies have to finish. With zero, they are interrupted immediately.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl IntoFuture for CloseRequest {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let CloseRequest { inner, grace } = self;
            inner.shut_down(grace).await
        })
    }
}

impl fmt::Debug for CloseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseRequest").field("grace", &self.grace).finish_non_exhaustive()
    }
}
