//! The list of executions, in pages.

use std::future::{Future, IntoFuture};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::client::Kitaru;
use crate::client::execution::time;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::Status;
use crate::ledger::blocking;
use crate::ledger::{Listed, Stored, Unread};
use crate::program;

/// How many summaries a page has, unless asked for.
const DEFAULT_LIMIT: usize = 100;
/// The most summaries that a page may have.
pub(super) const MAX_LIMIT: usize = 1_000;

impl Kitaru {
    /// Lists the executions, the newest first, every generation on its own, in pages of 100. One whose rows are damaged, or
    /// were written by a newer version, is in [`Page::unreadable`] and hides no other.
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
    /// let mut page = kitaru.executions().await?;
    /// loop {
    ///     for summary in page.iter() {
    ///         println!("{} {} {}", summary.flow(), summary.id(), summary.status());
    ///     }
    ///     let Some(next) = page.next() else { break };
    ///     page = kitaru.executions().after(next).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn executions(&self) -> Executions {
        Executions { inner: self.inner.clone(), after: None, limit: DEFAULT_LIMIT }
    }
}

/// A list of executions; awaited, it gives a [`Page`]. See [`Kitaru::executions`].
#[must_use = "a list does nothing unless awaited"]
pub struct Executions {
    inner: Arc<Engine>,
    after: Option<Cursor>,
    limit: usize,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(JournalId);

impl Executions {
    /// Goes on behind a page.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// How many summaries the page may have: from 1 to 1,000.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_LIMIT);
        self
    }
}

impl IntoFuture for Executions {
    type Output = Result<Page, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Executions { inner, after, limit } = self;
            blocking(move || page(&inner, after, limit)).await?
        })
    }
}

fn page(inner: &Engine, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
    let archive = &inner.runtime.archive;
    let before = after.map(|Cursor(journal)| journal);
    let listed = archive.newest_first(before, limit, |journal| inner.stands(|archive| archive.listed(journal)))?;
    let Listed { found, unread, last, more } = listed;
    let summaries = found.into_iter().map(|(stored, status)| Summary { status, stored }).collect();
    let journals: Vec<_> = unread.iter().map(|unread| unread.journal).collect();
    let mut names = archive.names(&journals)?;
    let unreadable = unread.into_iter().map(|Unread { journal, error }| {
        let execution = names.remove(&journal);
        Unreadable { execution, error }
    });
    Ok(Page { summaries, unreadable: unreadable.collect(), next: last.filter(|_| more).map(Cursor) })
}

/// A page of the list: a slice of summaries, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    summaries: Vec<Summary>,
    unreadable: Vec<Unreadable>,
    next: Option<Cursor>,
}

impl Page {
    /// Where the next page begins, if there is one.
    pub fn next(&self) -> Option<Cursor> {
        self.next
    }

    /// The executions of this page of which not even a summary can be read: their rows are damaged, or were written by a newer
    /// version. They count for the page's limit, and the next page begins behind them.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }
}

/// An execution whose rows cannot be read. See [`Page::unreadable`].
#[derive(Debug)]
pub struct Unreadable {
    execution: Option<ExecutionId>,
    error: Error,
}

impl Unreadable {
    /// The flow's name, if that can be found out.
    pub fn flow(&self) -> Option<&str> {
        self.execution.as_ref().map(|execution| &*execution.flow)
    }

    /// The execution's id, if that can be found out.
    pub fn id(&self) -> Option<&str> {
        self.execution.as_ref().map(|execution| &*execution.id)
    }

    /// What is wrong with it, and what to do.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl Deref for Page {
    type Target = [Summary];

    fn deref(&self) -> &[Summary] {
        &self.summaries
    }
}

/// An execution as the list shows it.
#[derive(Debug)]
pub struct Summary {
    stored: Stored,
    status: Status,
}

impl Summary {
    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.stored.header.execution.flow
    }

    /// The execution's id.
    pub fn id(&self) -> &str {
        &self.stored.header.execution.id
    }

    /// Whether its flow is a `#[flow]` of this program, so that it can go on by itself here.
    pub fn is_known(&self) -> bool {
        program::find(self.flow()).is_some()
    }

    /// Which fresh start it is. The first one is 1.
    pub fn generation(&self) -> u32 {
        self.stored.header.generation
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How many attempts have come to a body of their own, or to an end.
    pub fn attempts(&self) -> u32 {
        self.stored.state.attempts
    }

    /// A preview of the flow's arguments.
    pub fn input(&self) -> &str {
        &self.stored.header.input_preview
    }

    /// When the generation began.
    pub fn created(&self) -> SystemTime {
        time(self.stored.header.created_ms)
    }

    /// When an attempt last began or ended.
    pub fn updated(&self) -> SystemTime {
        time(self.stored.state.updated_ms)
    }
}
