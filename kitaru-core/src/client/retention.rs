//! Finished executions that are kept for a time only. Owns which generations go, and what of them; must not know what is in
//! their records.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::client::rows::{self, Stored};
use crate::client::{Inner, blocking};
use crate::clock::millis;
use crate::error::Error;
use crate::id::{JournalId, Seq};
use crate::journal::{Aside, Status, aside_range, generation_key, journal_range, name_key};
use crate::log;
use crate::runtime::Numbers;
use crate::store::{Activity, Key as RowKey, Order, Reader, Row, Table};

/// How many generations are looked at, at a time.
const PAGE: usize = 256;
/// How many rows go in one commit.
const ROWS_AT_ONCE: usize = 1_000;
/// How often it is looked, at the least.
const EVERY: Duration = Duration::from_secs(3_600);

/// The highest generation that was taken away. A job that is not known any more begins above it, so that none of its seeds
/// and idempotency keys comes twice.
pub(crate) const RETIRED: &[u8] = b"retired";

/// Takes away what has been finished for this long, again and again, until the store is closed.
pub(crate) async fn retire(inner: Weak<Inner>, keep: Duration) {
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        if let Err(error) = strong.sweep(keep).await
            && !error.is_closed()
        {
            log::retention_failed(&error);
        }
        let clock = strong.runtime.clock.clone();
        drop(strong);
        clock.sleep(keep.min(EVERY)).await;
    }
}

/// What is to go.
struct Leaving {
    stored: Stored,
    /// The keys of its rows.
    keys: Vec<(Table, Vec<u8>)>,
    /// Those that say that it is there, and how it ended: the last to go, in one commit.
    head: Vec<(Table, Vec<u8>)>,
}

impl Inner {
    async fn sweep(self: &Arc<Self>, keep: Duration) -> Result<(), Error> {
        let until_ms = self.runtime.clock.now_ms().saturating_sub(millis(keep));
        let mut after = JournalId(0);
        loop {
            self.check_open()?;
            let inner = self.clone();
            let (last, leaving) = blocking(move || page(&inner, after, until_ms)).await??;
            self.take_away(leaving).await?;
            let Some(last) = last else { return Ok(()) };
            after = last;
        }
    }

    /// Takes these away in their order, many in a commit: they are no fewer than those that begin.
    async fn take_away(&self, leaving: Vec<Leaving>) -> Result<(), Error> {
        let mut gone = Vec::new();
        for Leaving { stored, keys, head } in leaving {
            // One that fits into a commit goes whole.
            if !gone.is_empty() && gone.len() + keys.len() > ROWS_AT_ONCE {
                self.erase(std::mem::take(&mut gone)).await?;
            }
            for key in keys {
                gone.push(key);
                if gone.len() >= ROWS_AT_ONCE {
                    self.erase(std::mem::take(&mut gone)).await?;
                }
            }
            self.retired.fetch_max(stored.header.generation, Ordering::SeqCst);
            gone.extend(head);
        }
        if gone.is_empty() { Ok(()) } else { self.erase(gone).await }
    }

    async fn erase(&self, keys: Vec<(Table, Vec<u8>)>) -> Result<(), Error> {
        let gone = keys.into_iter().map(|(table, key)| Row { table, key: RowKey::from(key), value: None });
        let retired = self.retired.load(Ordering::SeqCst).to_le_bytes().to_vec();
        let retired = Row { table: Table::Meta, key: RowKey::from(RETIRED), value: Some(retired) };
        // No record comes with it.
        let numbers = Arc::new(Numbers::new(JournalId(0), Seq(0)));
        self.runtime.write(&numbers, gone.chain([retired]).collect(), None, Activity::GoesOn).await
    }
}

/// The next generations, up to which one was looked, and which of them are to go.
fn page(inner: &Inner, after: JournalId, until_ms: u64) -> Result<(Option<JournalId>, Vec<Leaving>), Error> {
    let reader = &inner.runtime.reader;
    let after = generation_key(after);
    // The newest one stays: its number says which is the next.
    let newest = generation_key(JournalId(inner.next_journal().0.saturating_sub(1)));
    let mut journals = Vec::new();
    let range = (Bound::Excluded(after.as_slice()), Bound::Excluded(newest.as_slice()));
    reader.scan(Table::Execution, range, Order::Ascending, &mut |key, _| {
        journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
        if journals.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut leaving = Vec::new();
    for journal in &journals {
        let Some(stored) = rows::stored(reader, *journal)? else { continue };
        let has_ended = match stored.state.status {
            Status::Restarted => true,
            // Somebody may be about to give it as a result.
            Status::Completed | Status::Cancelled => inner.awaited(&stored.header.execution).is_none(),
            _ => false,
        };
        if !has_ended || stored.state.updated_ms > until_ms {
            continue;
        }
        if is_awaited(reader, &stored)? {
            continue;
        }
        leaving.push(Leaving::new(reader, stored)?);
    }
    Ok((journals.last().copied(), leaving))
}

/// Whether a parent of its may still ask what it came to.
fn is_awaited(reader: &Reader, stored: &Stored) -> Result<bool, Error> {
    for parent in rows::waiters(reader, stored)? {
        let parent = rows::stored(reader, parent.journal)?;
        if parent.is_some_and(|parent| !matches!(parent.state.status, Status::Completed | Status::Cancelled)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Leaving {
    fn new(reader: &Reader, stored: Stored) -> Result<Self, Error> {
        let journal = stored.journal;
        let mut keys = Vec::new();
        // All but `Sent`, which counts for the generations behind it, too.
        let asides = [
            Aside::Event,
            Aside::Answer,
            Aside::Wait,
            Aside::Deadline,
            Aside::Parent,
            Aside::Waiter,
            Aside::Published,
            Aside::Logged,
            Aside::First,
            Aside::Undo,
        ];
        for aside in asides {
            let (first, end) = aside_range(journal, aside);
            gather(reader, Table::Aside, (Bound::Included(&first), Bound::Excluded(&end)), &mut keys)?;
        }
        if stored.state.status != Status::Restarted {
            // The last of those that followed one another by restarts takes it along.
            let (first, end) = aside_range(rows::first_of_chain(reader, journal)?, Aside::Sent);
            gather(reader, Table::Aside, (Bound::Included(&first), Bound::Excluded(&end)), &mut keys)?;
        }
        let (first, last) = journal_range(journal);
        gather(reader, Table::Journal, (Bound::Included(&first), Bound::Included(&last)), &mut keys)?;
        let mut head: Vec<_> = keys.pop().into_iter().collect();
        head.push((Table::Name, name_key(&stored.header.execution, stored.header.generation)));
        head.push((Table::Execution, generation_key(journal).to_vec()));
        Ok(Leaving { stored, keys, head })
    }
}

fn gather(
    reader: &Reader,
    table: Table,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    keys: &mut Vec<(Table, Vec<u8>)>,
) -> Result<(), Error> {
    reader.scan(table, range, Order::Ascending, &mut |key, _| {
        keys.push((table, key.to_vec()));
        ControlFlow::Continue(())
    })
}
