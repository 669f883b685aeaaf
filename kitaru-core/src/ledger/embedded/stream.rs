//! Generations that have something in common, the newest first, to be sought in. Owns how much is read of them at a time; must not
//! know what they have in common.

use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::journal::{IndexPrefix, Indexed, Status};
use crate::store::{Order, Reader, Table};

/// How many rows are read at a time: few where the next one sought is far away, more where one after another is.
const FEWEST: usize = 16;
const MOST: usize = 1_024;

/// How many rows of indexes may still be passed over.
pub(super) struct Budget(pub(super) usize);

/// What is found at a journal or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    Found(u64),
    /// There is none.
    Nothing,
    /// There is none from there down to this one, behind which it was not looked.
    Spent(u64),
}

/// Where generations are found.
pub(super) enum Source {
    /// All that there are.
    All,
    Index(IndexPrefix),
    /// Those whose rows say that they stand there.
    Unfinished(Vec<Status>),
    /// These, in descending order.
    Known(Vec<u64>),
}

/// The generations of some sources together, the newest first.
pub(super) struct Stream {
    sources: Vec<Source>,
    /// All from `low` on up to where it was sought last, in descending order.
    window: Vec<u64>,
    /// How many of the window are above what was sought last.
    at: usize,
    low: u64,
    chunk: usize,
}

impl Source {
    pub(super) fn of(by: Indexed<'_>) -> Self {
        Source::Index(by.prefix())
    }

    /// So many of its generations from `from` down, and the last one that was looked at; 0 if there are no more.
    fn read(&self, reader: &Reader, from: u64, limit: usize, budget: &mut Budget) -> Result<(Vec<u64>, u64), Error> {
        let (table, prefix, statuses) = match self {
            Source::Known(known) => return Ok((known[known.partition_point(|known| *known > from)..].to_vec(), 0)),
            Source::All => (Table::Execution, &[][..], None),
            Source::Index(prefix) => (Table::Index, &prefix[..], None),
            Source::Unfinished(statuses) => (Table::Unfinished, &[][..], Some(statuses)),
        };
        let [first, last] = [0, from].map(|journal| [prefix, &u64::to_be_bytes(journal)].concat());
        let (mut found, mut low, mut looked) = (Vec::new(), 0, 0);
        let mut look = |key: &[u8], value: Option<&[u8]>| {
            let Some(journal) = key.last_chunk().map(|key| u64::from_be_bytes(*key)) else {
                return ControlFlow::Continue(());
            };
            // A row that cannot be read does not hide its generation.
            let status = value.and_then(|row| Status::from_code(*row.get(1)?));
            if statuses.is_none_or(|statuses| status.is_none_or(|status| statuses.contains(&status))) {
                found.push(journal);
            }
            looked += 1;
            if looked < limit {
                return ControlFlow::Continue(());
            }
            low = journal;
            ControlFlow::Break(())
        };
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        match table {
            // They are looked at one by one: a damaged row hides no other.
            Table::Execution => reader.keys(table, range, Order::Descending, &mut |key| look(key, None))?,
            Table::Unfinished => reader.all(table, range, Order::Descending, look)?,
            _ => reader.scan(table, range, Order::Descending, &mut |key, value| look(key, Some(value)))?,
        }
        budget.0 = budget.0.saturating_sub(looked.max(1));
        Ok((found, low))
    }
}

impl Stream {
    /// Where a generation moves from one source to another, it is in one of them whenever it is looked for, if those that it
    /// comes from are before those that it goes to.
    pub(super) fn of(sources: Vec<Source>) -> Self {
        Stream { sources, window: Vec::new(), at: 0, low: u64::MAX, chunk: FEWEST }
    }

    /// The newest generation that is not newer than this one. What is sought later is never newer.
    pub(super) fn seek(&mut self, reader: &Reader, journal: u64, budget: &mut Budget) -> Result<Sought, Error> {
        let mut from = journal;
        loop {
            self.at += self.window[self.at..].partition_point(|known| *known > from);
            if let Some(found) = self.window.get(self.at) {
                return Ok(Sought::Found(*found));
            }
            if !self.is_unread() {
                if self.low == 0 {
                    return Ok(Sought::Nothing);
                }
                from = from.min(self.low - 1);
            }
            if budget.0 == 0 {
                return Ok(Sought::Spent(from.saturating_add(1)));
            }
            self.read(reader, from, budget)?;
        }
    }

    fn is_unread(&self) -> bool {
        self.low == u64::MAX
    }

    /// Reads the next window, from `from` down.
    fn read(&mut self, reader: &Reader, from: u64, budget: &mut Budget) -> Result<(), Error> {
        let goes_on = !self.is_unread() && from + 1 == self.low;
        self.chunk = if goes_on { (self.chunk * 2).min(MOST) } else { FEWEST };
        (self.at, self.low) = (0, 0);
        self.window.clear();
        for source in &self.sources {
            let (found, low) = source.read(reader, from, self.chunk.min(budget.0.max(1)), budget)?;
            self.window.extend(found);
            self.low = self.low.max(low);
        }
        let low = self.low;
        self.window.retain(|journal| *journal >= low);
        self.window.sort_unstable_by(|a, b| b.cmp(a));
        self.window.dedup();
        Ok(())
    }
}
