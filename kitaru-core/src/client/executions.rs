//! A list of executions.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::client::kitaru::Kitaru;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::Actor;
use crate::journal::Status;
use crate::view::{Cursor, ExecutionRef, Filter, Page};

/// How many summaries a page has, unless set.
const DEFAULT_LIMIT: usize = 100;
/// The most summaries that a page may have.
pub(super) const MAX_LIMIT: usize = 1_000;

impl Kitaru {
    /// Lists the executions in pages of 100, the newest first. Every generation is listed separately. An execution whose rows
    /// are damaged, or were written by a newer version, is in [`Page::unreadable`] and hides no other.
    ///
    /// Filters are combined: an execution is listed if it matches all of them. Indexes lead to the executions of a flow, a tag, a parent
    /// and a status. A page looks at 10,000 generations at most, so with filters it may have fewer summaries than its limit, or
    /// none, and still a [next cursor](Page::next_cursor).
    ///
    /// An execution whose rows cannot be read is on a filtered list if an index leads to it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// use kitaru::Status;
    ///
    /// let mut page = kitaru.executions().flow("write_report").status(Status::Failed).await?;
    /// loop {
    ///     for summary in page.iter() {
    ///         println!("{} {}", summary.reference(), summary.status());
    ///     }
    ///     let Some(next) = page.next_cursor() else { break };
    ///     page = kitaru.executions().flow("write_report").status(Status::Failed).after(next).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn executions(&self) -> ListRequest {
        let (inner, by) = (self.inner.clone(), self.by.clone());
        ListRequest { inner, by, filter: Filter::default(), after: None, limit: DEFAULT_LIMIT }
    }
}

/// A request to list executions. Awaited, it gives a [`Page`]. See [`Kitaru::executions`].
#[must_use = "a list does nothing unless awaited"]
#[derive(Clone)]
pub struct ListRequest {
    pub(super) inner: Arc<Engine>,
    pub(super) by: Option<Actor>,
    pub(super) filter: Filter,
    pub(super) after: Option<Cursor>,
    pub(super) limit: usize,
}

impl ListRequest {
    /// Lists only executions of this flow. A second call replaces the first.
    pub fn flow(mut self, flow: impl Into<String>) -> Self {
        self.filter.flow = Some(flow.into());
        self
    }

    /// Lists only executions whose id begins with this.
    pub fn id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.filter.id_prefix = Some(prefix.into());
        self
    }

    /// Lists only executions with this status. If it is called more than once, executions with any of the given statuses.
    pub fn status(mut self, status: Status) -> Self {
        self.filter.statuses.push(status);
        self
    }

    /// Lists only executions that were created at this time or later.
    pub fn created_from(mut self, time: SystemTime) -> Self {
        self.filter.created_from = Some(time);
        self
    }

    /// Lists only executions that were created before this time.
    pub fn created_before(mut self, time: SystemTime) -> Self {
        self.filter.created_before = Some(time);
        self
    }

    /// Lists only executions that this execution's flow began, in any of its generations.
    pub fn parent(mut self, parent: impl Into<ExecutionRef>) -> Self {
        self.filter.parent = Some(parent.into());
        self
    }

    /// Lists only executions with this [tag](crate::FlowCall::tag). If it is called more than once, executions with all of the
    /// given tags.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::Error;
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let report = |_topic: &str| kitaru::dynamic::flow("report").run(|| async { Ok::<_, Error>(7) });
    /// report("tides").id("job-42").tag("customer: ACME").on(&kitaru).await?;
    /// let page = kitaru.executions().tag("customer: ACME").await?;
    /// assert_eq!(page[0].id(), "job-42");
    /// # Ok(()) }
    /// ```
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.filter.tags.push(tag.into());
        self
    }

    /// Lists only executions whose id begins with this word, or that have it as their flow or as a tag, or that failed, were
    /// cancelled or are stuck with an error that contains it, in letters of either case. A second call replaces the first.
    ///
    /// Indexes lead to the ids, the flow, the tag, and all executions with an error. A page looks at 10,000 of them at most;
    /// [`Page::looked_at`] says at how many it did, and its cursor continues there.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::Error;
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// let refuse = || kitaru::dynamic::flow("order").run(|| async { Err::<u32, _>(Error::msg("Card declined")) });
    /// refuse().id("job-42").on(&kitaru).await.unwrap_err();
    ///
    /// for word in ["job-4", "order", "declined"] {
    ///     assert_eq!(kitaru.executions().search(word).await?[0].id(), "job-42");
    /// }
    /// assert!(kitaru.executions().search("refund").await?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn search(mut self, word: impl Into<String>) -> Self {
        self.filter.search = Some(word.into());
        self
    }

    /// Continues after a page.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// How many summaries the page may have: from 1 to 1,000. Other numbers become the nearest of these.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_LIMIT);
        self
    }
}

impl IntoFuture for ListRequest {
    type Output = Result<Page, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { inner, filter, after, limit, by: _ } = self;
        Box::pin(inner.page(filter, after, limit))
    }
}

impl fmt::Debug for ListRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, after, limit, .. } = self;
        f.debug_struct("ListRequest")
            .field("filter", filter)
            .field("after", after)
            .field("limit", limit)
            .finish_non_exhaustive()
    }
}
