//! Deleting executions. Owns what a caller asks for; must not know which rows go.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::client::kitaru::Kitaru;
use crate::engine::{Collected, Engine};
use crate::error::Error;
use crate::id::Actor;
use crate::view::ExecutionRef;

impl Kitaru {
    /// Deletes an execution that is completed, failed or cancelled, with all its generations and records. It is unknown from
    /// then on: a call of its flow starts over in a new generation, with new idempotency keys.
    ///
    /// A child that its parent may still ask for is kept, as with [`retention`](crate::KitaruBuilder::retention). Children of
    /// the execution stay.
    ///
    /// # Errors
    ///
    /// When the execution does not exist, has not ended, is stuck, or has a parent that has not completed; when it is being
    /// called at this moment; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the execution may be deleted, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::flow};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # flow("report").run(|| async { Ok::<_, Error>(7) }).id("job-42").on(&kitaru).await?;
    /// kitaru.by("Ada").delete(("report", "job-42")).await?;
    /// assert!(kitaru.execution(("report", "job-42")).await?.is_none());
    /// let entry = &kitaru.audit().await?[0];
    /// assert_eq!((entry.by(), entry.about()), ("Ada", "report/job-42"));
    /// # Ok(()) }
    /// ```
    pub fn delete(&self, execution: impl Into<ExecutionRef>) -> impl Future<Output = Result<(), Error>> + Send {
        let (engine, by, wanted) = (self.inner.clone(), self.by.clone(), execution.into().checked());
        async move { engine.delete(wanted?, by).await }
    }

    /// Deletes executions whose [retention](crate::KitaruBuilder::retention) is over, now: those that the store deletes by itself
    /// at its next sweep. The file of the store keeps its size, and is filled again.
    ///
    /// # Errors
    ///
    /// When the store has no retention and [`older_than`](GcRequest::older_than) sets none; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Some of the executions may be deleted, each whole or not at all for those who look.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use std::time::Duration;
    /// # use kitaru::{Error, dynamic::flow};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # flow("report").run(|| async { Ok::<_, Error>(7) }).id("job-42").on(&kitaru).await?;
    /// let would = kitaru.gc().older_than(Duration::ZERO).only_count().await?;
    /// assert_eq!((would.generations(), kitaru.executions().await?.len()), (1, 1));
    /// kitaru.gc().older_than(Duration::ZERO).await?;
    /// assert!(kitaru.executions().await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn gc(&self) -> GcRequest {
        GcRequest { inner: self.inner.clone(), by: self.by.clone(), older_than: None, only_counts: false }
    }
}

/// A request to delete executions whose retention is over. Awaited, it gives `Result<Collected, Error>`. See [`Kitaru::gc`].
#[must_use = "nothing is deleted unless this is awaited"]
pub struct GcRequest {
    inner: Arc<Engine>,
    by: Option<Actor>,
    older_than: Option<Duration>,
    only_counts: bool,
}

impl GcRequest {
    /// Deletes what was finished this long ago, instead of the store's own retention.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Counts what would be deleted, and deletes nothing.
    pub fn only_count(mut self) -> Self {
        self.only_counts = true;
        self
    }
}

impl IntoFuture for GcRequest {
    type Output = Result<Collected, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let GcRequest { inner, by, older_than, only_counts } = self;
        Box::pin(async move {
            match only_counts {
                true => inner.count_expired(older_than).await,
                false => inner.collect(older_than, by).await,
            }
        })
    }
}

impl fmt::Debug for GcRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcRequest").field("older_than", &self.older_than).finish_non_exhaustive()
    }
}
