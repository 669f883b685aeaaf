//! The list of executions, in pages.

use std::collections::{HashMap, HashSet};
use std::future::{Future, IntoFuture};
use std::ops::{Bound, ControlFlow, Deref};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::client::execution::time;
use crate::client::rows::{self, Stored};
use crate::client::{Inner, Kitaru, blocking};
use crate::error::Error;
use crate::flow;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Status, read_name_key};
use crate::store::{Order, Reader, Table};

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
    inner: Arc<Inner>,
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

fn page(inner: &Inner, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
    let before = after.map(|Cursor(journal)| journal.0.to_be_bytes());
    let end = before.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
    let mut journals = Vec::with_capacity(limit + 1);
    let reader = &inner.runtime.reader;
    reader.keys(Table::Execution, (Bound::Unbounded, end), Order::Descending, &mut |key| {
        journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
        if journals.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let more = journals.len() > limit;
    journals.truncate(limit);
    let next = journals.last().filter(|_| more).map(|journal| Cursor(*journal));
    let (mut summaries, mut unreadable) = (Vec::new(), Vec::new());
    for journal in journals {
        match inner.stands(|reader| rows::stored(reader, journal)) {
            Ok(Some((stored, status))) => summaries.push(Summary { status, stored }),
            // It was taken away meanwhile.
            Ok(None) => {}
            Err(error) if error.is_closed() => return Err(error),
            Err(error) => unreadable.push((journal, error)),
        }
    }
    let unreadable = named(reader, unreadable)?;
    Ok(Page { summaries, unreadable, next })
}

/// Finds whose rows those are that cannot be read, by the table of names. That is gone through: there is no other way back.
fn named(reader: &Reader, unreadable: Vec<(JournalId, Error)>) -> Result<Vec<Unreadable>, Error> {
    let mut found = HashMap::new();
    if !unreadable.is_empty() {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let wanted: HashSet<_> = unreadable.iter().map(|(journal, _)| journal.0.to_be_bytes()).collect();
        reader.intact(Table::Name, all, Order::Ascending, &mut |key, value| {
            if let Some(journal) = value.first_chunk().filter(|journal| wanted.contains(*journal))
                && let Some((execution, _)) = read_name_key(key)
            {
                found.insert(JournalId(u64::from_be_bytes(*journal)), execution);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(unreadable.into_iter().map(|(journal, error)| Unreadable { execution: found.remove(&journal), error }).collect())
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
        flow::find(self.flow()).is_some()
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
