//! Opening a ledger over a store. Owns what is read of the store itself, and its secret; must not know where the store is.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::entropy;
use crate::error::{Error, Kind};
use crate::ledger::embedded::found::Found;
use crate::ledger::embedded::{Archive, Ledger};
use crate::store::{self, Key, Order, Reader, Row, Store, Table, Writer, WriterOptions};

/// What a ledger is opened with.
pub(crate) struct LedgerOptions {
    /// The bound of an encoded outcome.
    pub(crate) max_outcome_bytes: usize,
    pub(crate) writer: WriterOptions,
    /// In a test: a task of the runtime that opens it, at this pace, instead of a thread.
    #[cfg(feature = "testkit")]
    pub(crate) pace: Option<Arc<dyn store::Pace>>,
}

/// The key of the store's secret.
pub(crate) const SECRET: &[u8] = b"secret";
/// The key of the highest generation that was deleted.
pub(super) const DELETED_GENERATION: &[u8] = b"retired";
/// The key of the highest journal that was deleted, so that its number, which others may hold, is given to no other one.
pub(super) const DELETED_JOURNAL: &[u8] = b"last_journal";

/// More journals than a store sees in any time.
pub(crate) const MOST_JOURNALS: u64 = 1 << 62;

/// Opens the ledger of a store. Blocks.
pub(crate) fn open(store: Arc<dyn Store>, options: LedgerOptions) -> Result<(Archive, Ledger), Error> {
    let reader = Reader::new(store.clone());
    let secret = secret(&store, &reader)?;
    let deleted = reader.get(Table::Meta, DELETED_GENERATION)?.and_then(|row| row.try_into().ok());
    let deleted_generation = deleted.map_or(0, u32::from_le_bytes);
    let deleted = reader.get(Table::Meta, DELETED_JOURNAL)?.and_then(|row| row.try_into().ok());
    let deleted_journal = deleted.map_or(0, u64::from_le_bytes);
    let newest = newest_journal(&reader, deleted_journal)?;
    let found = Found { secret, newest, deleted_generation, deleted_journal };
    let max_outcome_bytes = options.max_outcome_bytes;
    let writer = start_writer(store, options)?;
    Ok((Archive { reader }, Ledger::new(writer, found, max_outcome_bytes)))
}

fn start_writer(store: Arc<dyn Store>, options: LedgerOptions) -> Result<Writer, Error> {
    #[cfg(feature = "testkit")]
    if let Some(pace) = options.pace {
        return Ok(Writer::in_a_task(store, options.writer, pace));
    }
    Writer::start(store, options.writer)
}

/// The highest journal that there is, or was. That its header can be read is not asked.
fn newest_journal(reader: &Reader, deleted_journal: u64) -> Result<u64, Error> {
    let mut newest = deleted_journal;
    let all = (Bound::Unbounded, Bound::Unbounded);
    reader.keys(Table::Execution, all, Order::Descending, &mut |key| {
        newest = newest.max(key.first_chunk().map_or(0, |key| u64::from_be_bytes(*key)));
        ControlFlow::Break(())
    })?;
    if newest < MOST_JOURNALS {
        return Ok(newest);
    }
    Err(Error::new(
        Kind::Store,
        format!(
            "the newest journal of the store has number {newest}, which no journal has; the store is damaged. Restore it from \
             a backup"
        ),
    ))
}

/// The store's secret, made when it is opened for the first time.
fn secret(store: &Arc<dyn Store>, reader: &Reader) -> Result<[u8; 32], Error> {
    if let Some(secret) = reader.get(Table::Meta, SECRET)? {
        return secret.try_into().map_err(|_| Error::new(Kind::Store, "the store's secret is not one; it is damaged"));
    }
    let secret = entropy::draw();
    let mut value = secret.to_vec();
    store::seal(Table::Meta, SECRET, &mut value);
    let row = Row { table: Table::Meta, key: Key::from(SECRET), value: Some(value) };
    store.commit(vec![row])?;
    Ok(secret)
}
