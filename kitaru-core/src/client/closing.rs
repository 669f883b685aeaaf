//! The request to close a store. Must not know what happens to the executions that run.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;

/// How long what runs has to come to its end, unless set.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

impl Kitaru {
    /// Closes the store for this process and every handle of it. From now on nothing starts: bodies that run come to their
    /// end within a [grace time](CloseRequest::grace), 10 s unless set, and are recorded; a flow that waits is parked, one that
    /// then returns has returned, and any other is interrupted. What still runs when the time is over is interrupted where
    /// it is. Then what is on its way to the store is made durable, and the store is released for other processes.
    ///
    /// The grace time is a bound. A body on the blocking pool, or one that blocks its thread, cannot be stopped: it runs on in
    /// this process, and what it gives is not recorded. A warning names each execution whose thread is blocked.
    ///
    /// Nothing that was recorded is lost: an interrupted execution goes on when the store is opened again, or when its flow
    /// is called. Closing twice is no error.
    ///
    /// # Errors
    ///
    /// When the last commit fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the store is closed, whether or not the future is polled to its end.
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

/// A store about to be closed; awaited, it gives `Result<(), Error>`. See [`Kitaru::close`].
#[must_use = "a store is closed only if this is awaited"]
pub struct CloseRequest {
    inner: Arc<Engine>,
    grace: Duration,
}

impl CloseRequest {
    /// How long bodies that run have to come to their end. With none, what runs is interrupted where it is.
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
