//! Lists of generations. Owns the order in which they are found; must not know what is shown of them.

use std::collections::{HashMap, HashSet};
use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Status, generation_key, read_name_key};
use crate::ledger::embedded::Archive;
use crate::ledger::{Generation, Stored};
use crate::store::{Order, Table};

/// A page of a list: what could be read, and what could not.
pub(crate) struct Listed<T> {
    pub(crate) found: Vec<T>,
    pub(crate) unread: Vec<Unread>,
    /// The last generation that was looked at; none if there was none.
    pub(crate) last: Option<JournalId>,
    /// Whether there are more behind it.
    pub(crate) more: bool,
}

/// A generation whose rows cannot be read.
pub(crate) struct Unread {
    pub(crate) journal: JournalId,
    pub(crate) error: Error,
}

impl Archive {
    /// Generations, the newest first, from before one of them: so many of those that `read` gives, out of so many that are looked
    /// at. Blocks.
    pub(crate) fn newest_first<T>(
        &self,
        mut before: Option<JournalId>,
        (limit, most): (usize, usize),
        read: impl Fn(JournalId) -> Result<Option<T>, Error>,
    ) -> Result<Listed<T>, Error> {
        let mut all = Listed { found: Vec::new(), unread: Vec::new(), last: None, more: true };
        let mut looked_at = 0;
        loop {
            let wanted = limit - all.found.len() - all.unread.len();
            let take = wanted.min(most - looked_at);
            if take == 0 || !all.more {
                return Ok(all);
            }
            let key = before.map(generation_key);
            let end = key.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
            let page = self.page(Table::Execution, (Bound::Unbounded, end), Order::Descending, take, &read)?;
            looked_at += take;
            all.found.extend(page.found);
            all.unread.extend(page.unread);
            (all.more, before) = (page.more, page.last);
            all.last = page.last.or(all.last);
        }
    }

    /// So many generations that were not finished, in the order in which they began: those behind `after` and before `until`.
    /// Each comes with whether it waits and something was sent to it, now or long ago. Blocks.
    pub(crate) fn unfinished(
        &self,
        after: JournalId,
        until: JournalId,
        limit: usize,
    ) -> Result<Listed<(Stored, bool)>, Error> {
        let (after, until) = (generation_key(after), generation_key(until));
        let range = (Bound::Excluded(&after[..]), Bound::Excluded(&until[..]));
        self.page(Table::Unfinished, range, Order::Ascending, limit, |journal| {
            let Some(stored) = self.stored(journal)? else { return Ok(None) };
            let has_mail = stored.state.status == Status::Waiting && self.has_mail(journal)?;
            Ok(Some((stored, has_mail)))
        })
    }

    pub(super) fn page<T>(
        &self,
        table: Table,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        order: Order,
        limit: usize,
        read: impl Fn(JournalId) -> Result<Option<T>, Error>,
    ) -> Result<Listed<T>, Error> {
        let mut journals = Vec::with_capacity(limit.min(1_024) + 1);
        self.reader.keys(table, range, order, &mut |key| {
            journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
            if journals.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let more = journals.len() > limit;
        journals.truncate(limit);
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        for journal in &journals {
            match read(*journal) {
                // None if it was deleted meanwhile.
                Ok(one) => found.extend(one),
                Err(error) if error.is_closed() => return Err(error),
                Err(error) => unread.push(Unread { journal: *journal, error }),
            }
        }
        Ok(Listed { found, unread, last: journals.last().copied(), more })
    }

    /// Whose generations these are, by the table of names. That is gone through: there is no other way back. Blocks.
    pub(crate) fn names(&self, journals: &[JournalId]) -> Result<HashMap<JournalId, ExecutionId>, Error> {
        let mut found = HashMap::new();
        if journals.is_empty() {
            return Ok(found);
        }
        let all = (Bound::Unbounded, Bound::Unbounded);
        let wanted: HashSet<_> = journals.iter().map(|journal| journal.0.to_be_bytes()).collect();
        self.reader.intact(Table::Name, all, Order::Ascending, &mut |key, value| {
            if let Some(journal) = value.first_chunk().filter(|journal| wanted.contains(*journal))
                && let Some((execution, _)) = read_name_key(key)
            {
                found.insert(JournalId(u64::from_be_bytes(*journal)), execution);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Every generation, in the order in which they began, with all its records. Blocks.
    #[cfg(feature = "testkit")]
    pub(crate) fn generations(&self) -> Result<Vec<Generation>, Error> {
        let mut journals = Vec::new();
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.reader.scan(Table::Execution, all, Order::Ascending, &mut |key, _| {
            journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
            ControlFlow::Continue(())
        })?;
        let mut generations = Vec::with_capacity(journals.len());
        for journal in journals {
            if let Some(stored) = self.stored(journal)? {
                generations.extend(self.whole(stored)?);
            }
        }
        Ok(generations)
    }

    /// A generation with all its records; none if it was deleted meanwhile. Blocks.
    pub(crate) fn whole(&self, stored: Stored) -> Result<Option<Generation>, Error> {
        let journal = self.journal(&stored);
        if !self.has(&stored)? {
            return Ok(None);
        }
        let (Stored { header, state, .. }, journal) = (stored, journal?);
        Ok(Some(Generation {
            header,
            status: state.status,
            #[cfg(feature = "testkit")]
            reason: state.reason,
            journal,
        }))
    }
}
