//! What is read of executions for those who look at them. Owns that what is shown existed at one moment; must not know how it is
//! shown.

use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, check_name};
use crate::ledger::{Listed, Narrow, Unread, blocking, malformed};
use crate::view::{Cursor, Execution, Filter, History, Page, Summary, Unreadable, read};

/// How many generations a page looks at.
pub(crate) const MOST_LOOKED_AT: usize = 10_000;

/// The latest value that an execution has published under a name.
pub(crate) struct Published {
    /// None if there is no value yet.
    pub(crate) json: Option<String>,
    /// The execution has ended, so that no later value follows.
    pub(crate) is_last: bool,
}

impl Engine {
    /// So many of the executions that a filter matches, the newest first, from behind a cursor.
    pub(crate) async fn page(
        self: Arc<Self>,
        filter: Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, Error> {
        blocking(move || self.read_page(&filter, after, limit)).await?
    }

    fn read_page(&self, filter: &Filter, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        let archive = &self.runtime.archive;
        let read = |journal| {
            let found = self.stands(|archive| archive.listed(journal, |header| filter.fits_header(header)))?;
            let Some((stored, status)) = found.filter(|(_, status)| filter.fits_status(*status)) else {
                return Ok(None);
            };
            if !filter.fits_aside(archive, &stored)? {
                return Ok(None);
            }
            let tags = archive.tags(&stored)?;
            if !filter.fits_search(&stored, &tags) {
                return Ok(None);
            }
            // Some rows may be missing, if the deletion has begun.
            Ok(archive.has(&stored)?.then(|| Summary::new(stored, status, tags)))
        };
        let before = after.map(|Cursor(journal)| journal);
        let narrow = Narrow { by_status: self.by_status(&filter.statuses), ..filter.narrow() };
        let listed = archive.newest_first(before, (limit, MOST_LOOKED_AT), &narrow, read)?;
        let Listed { found, unread, looked_at, last, more } = listed;
        let journals: Vec<_> = unread.iter().map(|unread| unread.journal).collect();
        let mut names = archive.names(&journals)?;
        let unreadable = unread.into_iter().map(|Unread { journal, error }| {
            let execution = names.remove(&journal);
            Unreadable::new(execution, error)
        });
        Ok(Page::new((found, unreadable.collect()), looked_at, last.filter(|_| more).map(Cursor)))
    }

    /// A generation of an execution, the newest unless one is named. None if it does not exist.
    pub(crate) async fn execution(
        self: Arc<Self>,
        execution: ExecutionId,
        generation: Option<u32>,
    ) -> Result<Option<Execution>, Error> {
        blocking(move || {
            let archive = &self.runtime.archive;
            loop {
                let found = self.stands(|archive| match generation {
                    Some(generation) => archive.generation(&execution, generation),
                    None => archive.newest(&execution),
                })?;
                let Some((stored, status)) = found else { return Ok(None) };
                let read = read(archive, &stored);
                // An execution that was deleted in the meantime is looked up again, and not found.
                if archive.has(&stored)? {
                    return Ok(Some(Execution::new(stored, status, read?)));
                }
            }
        })
        .await?
    }

    /// The history of an execution's newest generation.
    pub(crate) async fn history(self: Arc<Self>, execution: ExecutionId) -> Result<History, Error> {
        blocking(move || {
            let archive = &self.runtime.archive;
            let generation = match archive.newest(&execution)? {
                Some(stored) => archive.whole(stored)?,
                None => None,
            };
            let unknown = || {
                cannot!(
                    Kind::Misuse,
                    "export execution {execution}",
                    "the store has no execution of this flow and id",
                    "look at Kitaru::executions"
                )
            };
            let generation = generation.ok_or_else(unknown)?;
            History::of(&generation).map_err(|why| malformed(&generation.header.execution, "journal", why))
        })
        .await?
    }

    /// What the newest generation of an execution has published under a name.
    pub(crate) async fn published(self: Arc<Self>, execution: ExecutionId, name: &str) -> Result<Published, Error> {
        check_name("published value", name)?;
        let name = name.to_owned();
        blocking(move || {
            let archive = &self.runtime.archive;
            let stored = archive.newest(&execution)?;
            let stored = stored.ok_or_else(|| {
                cannot!(
                    Kind::Misuse,
                    "watch execution {execution}",
                    "the store has no execution of this flow and id",
                    "start it, or look at Kitaru::executions"
                )
            })?;
            let json = archive.published(&stored, &name)?;
            Ok(Published { json, is_last: stored.state.status.is_final() })
        })
        .await?
    }

    /// Notifies when an execution may have published something, or may have ended.
    pub(crate) fn changes(&self, execution: &ExecutionId) -> watch::Receiver<u64> {
        self.runtime.watchers.of(execution)
    }

    /// The receiver of an execution's changes is gone.
    pub(crate) fn forget_changes(&self, execution: &ExecutionId) {
        self.runtime.watchers.forget(execution);
    }
}
