//! Lists of generations. Owns the order in which they are found; must not know what is shown of them.

use std::collections::{HashMap, HashSet};
use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Status, generation_key, read_name_key};
use crate::ledger::embedded::Archive;
use crate::ledger::embedded::candidates::{self, Candidates};
use crate::ledger::embedded::stream::Sought;
use crate::ledger::{Generation, Listed, Narrow, Stored, Unread};
use crate::store::{Order, Table};

impl<T> Listed<T> {
    /// Looks at the next generation.
    fn look(&mut self, journal: JournalId, read: impl Fn(JournalId) -> Result<Option<T>, Error>) -> Result<(), Error> {
        self.last = Some(journal);
        self.looked_at += 1;
        match read(journal) {
            // None if it was deleted meanwhile.
            Ok(one) => self.found.extend(one),
            Err(error) if error.is_closed() => return Err(error),
            Err(error) => self.unread.push(Unread { journal, error }),
        }
        Ok(())
    }
}

/// Looks at candidates, so many, from before one of them, until so many are found.
fn looked_at<T>(
    before: Option<JournalId>,
    (limit, most): (usize, usize),
    mut candidates: Candidates<'_>,
    read: impl Fn(JournalId) -> Result<Option<T>, Error>,
) -> Result<Listed<T>, Error> {
    let mut all = Listed { found: Vec::new(), unread: Vec::new(), looked_at: 0, last: before, more: true };
    for _ in 0..most {
        let journal = match candidates.seek(candidates::from(all.last))? {
            Sought::Found(journal) => JournalId(journal),
            Sought::Nothing => {
                all.more = false;
                return Ok(all);
            }
            Sought::Spent(last) => {
                all.last = Some(JournalId(last));
                return Ok(all);
            }
        };
        if all.found.len() + all.unread.len() == limit {
            return Ok(all);
        }
        all.look(journal, &read)?;
    }
    Ok(all)
}

impl Archive {
    /// Generations, the newest first, from before one of them: so many of those that `read` gives, out of so many that are looked
    /// at. Those are found by indexes, if the store has all of their rows. Blocks.
    pub(crate) fn newest_first<T>(
        &self,
        before: Option<JournalId>,
        limits: (usize, usize),
        narrow: &Narrow<'_>,
        read: impl Fn(JournalId) -> Result<Option<T>, Error>,
    ) -> Result<Listed<T>, Error> {
        if self.is_indexed() {
            let narrowed = Candidates::narrowed(&self.reader, narrow);
            match narrowed.and_then(|candidates| looked_at(before, limits, candidates, &read)) {
                // What an index does not lead to, because a row of its is damaged, is found without it.
                Err(error) if !error.is_closed() => {}
                listed => return listed,
            }
        }
        looked_at(before, limits, Candidates::all(&self.reader), &read)
    }

    /// So many generations that were not finished, in the order in which they began: those behind `after` and before `until`.
    /// Each comes with whether it waits and something was sent to it, now or long ago. Blocks.
    pub(super) fn unfinished(
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
        let (journals, more) = self.journals(table, range, order, limit)?;
        let mut all = Listed { found: Vec::new(), unread: Vec::new(), looked_at: 0, last: None, more };
        journals.into_iter().try_for_each(|journal| all.look(journal, &read))?;
        Ok(all)
    }

    /// So many of the generations in a range, and whether there are more.
    fn journals(
        &self,
        table: Table,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        order: Order,
        limit: usize,
    ) -> Result<(Vec<JournalId>, bool), Error> {
        let mut journals = Vec::with_capacity(limit.min(1_024) + 1);
        self.reader.keys(table, range, order, &mut |key| {
            journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
            if journals.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let more = journals.len() > limit;
        journals.truncate(limit);
        Ok((journals, more))
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
        let (journal, fork) = (self.journal(&stored), self.fork(&stored));
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
            fork: fork?,
        }))
    }
}
