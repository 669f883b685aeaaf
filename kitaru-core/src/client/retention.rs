//! Finished executions that are kept for a time only. Owns which generations go, and what of them; must not know what is in
//! their records.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

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
/// How long it is not looked behind a look, at the least, and how many times as long as that has read: each goes through the
/// whole store.
const PAUSE: Duration = Duration::from_secs(1);
const REST: u32 = 4;

/// The highest generation that was taken away. A job that is not known any more begins above it, so that none of its seeds
/// and idempotency keys comes twice.
pub(crate) const RETIRED: &[u8] = b"retired";

/// The highest journal that was taken away, so that its number, which others may hold, is given to no other one.
pub(crate) const LAST_JOURNAL: &[u8] = b"last_journal";

/// Takes away what has been finished for this long, again and again, until the store is closed.
pub(crate) async fn retire(inner: Weak<Inner>, keep: Duration) {
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let looked = match strong.sweep(keep).await {
            Ok(looked) => looked,
            Err(error) => {
                if !error.is_closed() {
                    log::retention_failed(&error);
                }
                Duration::ZERO
            }
        };
        let clock = strong.runtime.clock.clone();
        drop(strong);
        let pause = looked.saturating_mul(REST).max(PAUSE);
        clock.sleep(keep.min(EVERY).max(pause)).await;
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
    /// Looks once, and says for how long it has read.
    async fn sweep(self: &Arc<Self>, keep: Duration) -> Result<Duration, Error> {
        let until_ms = self.runtime.clock.now_ms().saturating_sub(millis(keep));
        let (mut after, mut looked) = (JournalId(0), Duration::ZERO);
        loop {
            self.check_open()?;
            let inner = self.clone();
            let begun = Instant::now();
            let (last, leaving) = blocking(move || page(&inner, after, until_ms)).await??;
            looked += begun.elapsed();
            self.take_away(leaving).await?;
            let Some(last) = last else { return Ok(looked) };
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
            self.last_retired.fetch_max(stored.journal.0, Ordering::SeqCst);
            gone.extend(head);
        }
        if gone.is_empty() { Ok(()) } else { self.erase(gone).await }
    }

    async fn erase(&self, keys: Vec<(Table, Vec<u8>)>) -> Result<(), Error> {
        let gone = keys.into_iter().map(|(table, key)| Row { table, key: RowKey::from(key), value: None });
        let meta = |key: &[u8], value: Vec<u8>| Row { table: Table::Meta, key: RowKey::from(key), value: Some(value) };
        let retired = meta(RETIRED, self.retired.load(Ordering::SeqCst).to_le_bytes().to_vec());
        let last = meta(LAST_JOURNAL, self.last_retired.load(Ordering::SeqCst).to_le_bytes().to_vec());
        // No record comes with it.
        let numbers = Arc::new(Numbers::new(JournalId(0), Seq(0)));
        self.runtime.write(&numbers, gone.chain([retired, last]).collect(), None, Activity::GoesOn).await
    }
}

/// The next generations, up to which one was looked, and which of them are to go.
fn page(inner: &Inner, after: JournalId, until_ms: u64) -> Result<(Option<JournalId>, Vec<Leaving>), Error> {
    let reader = &inner.runtime.reader;
    let after = generation_key(after);
    let mut journals = Vec::new();
    let range = (Bound::Excluded(after.as_slice()), Bound::Unbounded);
    reader.keys(Table::Execution, range, Order::Ascending, &mut |key| {
        journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
        if journals.len() < PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut leaving = Vec::new();
    for journal in &journals {
        match look_at(inner, *journal, until_ms) {
            Ok(one) => leaving.extend(one),
            Err(error) if error.is_closed() => return Err(error),
            // It stays, and the others go all the same.
            Err(error) => log::retention_failed(&error),
        }
    }
    Ok((journals.last().copied(), leaving))
}

/// What is to go of a generation, if it is to.
fn look_at(inner: &Inner, journal: JournalId, until_ms: u64) -> Result<Option<Leaving>, Error> {
    let reader = &inner.runtime.reader;
    let Some(stored) = rows::stored(reader, journal)? else { return Ok(None) };
    let has_ended = match stored.state.status {
        Status::Restarted => true,
        // Somebody may be about to give it as a result.
        Status::Completed | Status::Cancelled => inner.awaited(&stored.header.execution).is_none(),
        _ => false,
    };
    if !has_ended || stored.state.updated_ms > until_ms || is_awaited(reader, &stored)? {
        return Ok(None);
    }
    Leaving::new(reader, stored).map(Some)
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
