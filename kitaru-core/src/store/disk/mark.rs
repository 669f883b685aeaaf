//! How far a store has come: what its redb file says of itself, and each frame of its log. Owns the bytes of that in the
//! table `meta`; must not know who writes them.

use ::redb::{ReadableTable, StorageError};

use crate::entropy;
use crate::store::{Table, seal};

/// More commits than a store makes: a number that is not below this is damaged.
pub(super) const MOST_COMMITS: u64 = 1 << 62;

/// The identity of a store, under any name of its folder. A copy of a store has the same.
pub(super) type StoreId = [u8; 16];

/// How far a store has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) store: StoreId,
    /// Which of the logs that the store has had. A log ends, and another one begins, when a sync has failed, when its
    /// tail has been replayed, and when it ends with a torn commit. What an ended log holds counts no more.
    pub(super) epoch: u64,
    /// The number of the last commit, from 1 in their order.
    pub(super) sequence: u64,
    /// Over all commits up to that one, in every epoch: two copies of one store that went different ways differ in it.
    pub(super) hash: u64,
}

impl Mark {
    const COMMIT: &[u8] = b"commit";
    const LOG: &[u8] = b"log";

    /// Of a store that has had no log, after this many commits.
    pub(super) fn first(sequence: u64) -> Self {
        let drawn = entropy::draw();
        let (store, hash) = (first_chunk(&drawn), u64::from_le_bytes(first_chunk(&drawn[16..])));
        Mark { store, epoch: 1, sequence, hash }
    }

    /// The same point, in the next epoch.
    pub(super) fn next_epoch(self) -> Self {
        Mark { epoch: self.epoch + 1, ..self }
    }

    /// What the table `meta` of a store with a log says.
    pub(super) fn of(meta: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Self, StorageError> {
        let sequence = Self::sequence_of(meta)?;
        let log = read(meta, Self::LOG)?.filter(|log| log.len() == 32).ok_or_else(|| damaged("row of the log"))?;
        let number = |from: usize| u64::from_le_bytes(first_chunk(&log[from..]));
        Ok(Mark { store: first_chunk(&log), epoch: number(16), sequence, hash: number(24) })
    }

    /// The number of the last commit that a store's table `meta` says.
    pub(super) fn sequence_of(meta: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<u64, StorageError> {
        let Some(value) = read(meta, Self::COMMIT)? else { return Ok(0) };
        let number = value.try_into().ok().map(u64::from_le_bytes);
        number.filter(|number| *number < MOST_COMMITS).ok_or_else(|| damaged("number of the last commit"))
    }

    /// The rows of `meta` that say it, with their checksums.
    pub(super) fn rows(&self) -> [(&'static [u8], Vec<u8>); 2] {
        let mut log = self.store.to_vec();
        log.extend_from_slice(&self.epoch.to_le_bytes());
        log.extend_from_slice(&self.hash.to_le_bytes());
        seal::seal(Table::Meta, Self::LOG, &mut log);
        [(Self::COMMIT, seal_commit(self.sequence)), (Self::LOG, log)]
    }
}

fn damaged(what: &str) -> StorageError {
    StorageError::Corrupted(format!("the {what} is damaged"))
}

/// A row of `meta`.
fn read(
    meta: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &'static [u8],
) -> Result<Option<Vec<u8>>, StorageError> {
    let Some(row) = meta.get(key)? else { return Ok(None) };
    let value = seal::open(Table::Meta, key, row.value());
    value.map(|value| Some(value.to_vec())).map_err(|_| damaged("row of how far the store has come"))
}

/// What a redb file says of how far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Marked {
    Logged(Mark),
    /// Written by a version without a log.
    Unlogged {
        sequence: u64,
    },
}

/// The number of a commit as `meta` and the file `acknowledged` have it.
pub(super) fn seal_commit(number: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(12);
    value.extend_from_slice(&number.to_le_bytes());
    seal::seal(Table::Meta, Mark::COMMIT, &mut value);
    value
}

pub(super) fn open_commit(sealed: &[u8]) -> Option<u64> {
    let number = seal::open(Table::Meta, Mark::COMMIT, sealed).ok()?;
    number.try_into().ok().map(u64::from_le_bytes)
}

/// The first bytes of some that are at least as many.
pub(super) fn first_chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the length was checked")
}
