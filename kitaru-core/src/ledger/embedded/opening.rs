//! Opening a ledger over a store. Owns what is read of the store itself, and its secret; must not know where the store is.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::clock::Clock;
use crate::entropy;
use crate::error::{Error, Kind, cannot};
use crate::ledger::embedded::facts::StoreFacts;
use crate::ledger::embedded::{Archive, Ledger};
use crate::store::{self, Order, Reader, Row, RowKey, Store, Table, Writer, WriterOptions};

/// What a ledger is opened with.
pub(crate) struct LedgerOptions {
    /// The bound of an encoded outcome.
    pub(crate) max_outcome_bytes: usize,
    pub(crate) clock: Clock,
    pub(crate) writer: WriterOptions,
    /// In a test: a task of the runtime that opens it, at this pace, instead of a thread.
    #[cfg(feature = "testkit")]
    pub(crate) pace: Option<Arc<dyn store::Pace>>,
}

/// The key of the store's secret.
pub(super) const SECRET: &[u8] = b"secret";
/// The key of the highest generation that was deleted.
pub(super) const DELETED_GENERATION: &[u8] = b"retired";
/// The key of the highest journal that was deleted, so that its number, which others may hold, is given to no other one.
pub(super) const DELETED_JOURNAL: &[u8] = b"last_journal";

/// The key of the highest journal whose generation lacks the rows by which a list finds it. A store of format 1 lacks it: none
/// has them.
pub(super) const UNINDEXED: &[u8] = b"unindexed";

/// More journals than a store sees in any time.
pub(crate) const MOST_JOURNALS: u64 = 1 << 62;

/// Opens the ledger of a store. Blocks.
pub(crate) fn open(store: Arc<dyn Store>, options: LedgerOptions) -> Result<(Archive, Ledger), Error> {
    let reader = Reader::new(store.clone());
    let deleted = reader.get(Table::Meta, DELETED_GENERATION)?.and_then(|row| row.try_into().ok());
    let deleted_generation = deleted.map_or(0, u32::from_le_bytes);
    let deleted = reader.get(Table::Meta, DELETED_JOURNAL)?.and_then(|row| row.try_into().ok());
    let deleted_journal = deleted.map_or(0, u64::from_le_bytes);
    let newest = newest_journal(&reader, deleted_journal)?;
    let mut made = Vec::new();
    let secret = secret(&reader, &mut made)?;
    let unindexed = unindexed(&reader, newest, &mut made)?;
    if !made.is_empty() {
        store.commit(made)?;
    }
    let found = StoreFacts { secret, newest, deleted_generation, deleted_journal };
    let (max_outcome_bytes, clock) = (options.max_outcome_bytes, options.clock.clone());
    let writer = start_writer(store, options)?;
    let archive = Archive { reader, unindexed: Arc::new(AtomicU64::new(unindexed)) };
    let ledger = Ledger::new(writer, archive.clone(), clock, found, max_outcome_bytes);
    Ok((archive, ledger))
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
    Err(cannot!(
        Kind::Store,
        "open the store",
        "its newest journal has number {newest}, which no journal has",
        "restore it from a backup"
    ))
}

/// The store's secret, made when it is opened for the first time.
fn secret(reader: &Reader, made: &mut Vec<Row>) -> Result<[u8; 32], Error> {
    if let Some(secret) = reader.get(Table::Meta, SECRET)? {
        return secret
            .try_into()
            .map_err(|_| cannot!(Kind::Store, "open the store", "its secret is damaged", "restore it from a backup"));
    }
    let secret = entropy::draw();
    made.push(meta(SECRET, secret.to_vec()));
    Ok(secret)
}

/// The highest journal whose generation lacks the rows by which a list finds it.
fn unindexed(reader: &Reader, newest: u64, made: &mut Vec<Row>) -> Result<u64, Error> {
    if let Some(unindexed) = reader.get(Table::Meta, UNINDEXED)?.and_then(|row| row.try_into().ok()) {
        return Ok(u64::from_le_bytes(unindexed));
    }
    // Before anything is begun: what begins from now on has its rows.
    made.push(meta(UNINDEXED, newest.to_le_bytes().to_vec()));
    Ok(newest)
}

/// The rows of a store that has been opened, and has nothing in it.
#[cfg(feature = "testkit")]
pub(crate) fn first_rows(secret: [u8; 32]) -> [Row; 2] {
    [meta(SECRET, secret.to_vec()), meta(UNINDEXED, 0u64.to_le_bytes().to_vec())]
}

fn meta(key: &[u8], mut value: Vec<u8>) -> Row {
    store::seal(Table::Meta, key, &mut value);
    Row { table: Table::Meta, key: RowKey::from(key), value: Some(value) }
}
