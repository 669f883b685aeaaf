//! The rows that a log holds and redb does not have yet, in memory. Owns their versions: a reader sees those of the commits
//! up to the one at which it began. Must not know what is in redb.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use crate::store::{Order, Range, Row, RowKey, Table};

/// How many rows a scan copies at a time.
const CHUNK: usize = 64;

/// Rows of commits, by table and key.
#[derive(Default)]
pub(super) struct Overlay {
    tables: RwLock<[BTreeMap<RowKey, Version>; Table::ALL.len()]>,
}

/// What a commit has made of a row.
struct Version {
    sequence: u64,
    /// Nothing where it was deleted.
    value: Option<Vec<u8>>,
    older: Option<Box<Version>>,
}

impl Drop for Version {
    /// One after another: a row that is overwritten often has more versions than a stack has room for.
    fn drop(&mut self) {
        let mut older = self.older.take();
        while let Some(mut version) = older {
            older = version.older.take();
        }
    }
}

impl Version {
    /// The row as the commit `at` left it, if that or one before it wrote it.
    fn at(&self, at: u64) -> Option<&Option<Vec<u8>>> {
        let mut version = Some(self);
        while let Some(found) = version {
            if found.sequence <= at {
                return Some(&found.value);
            }
            version = found.older.as_deref();
        }
        None
    }
}

impl Overlay {
    /// Adds the rows of a commit, which is newer than those that are there.
    pub(super) fn insert(&self, sequence: u64, rows: Vec<Row>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for Row { table, key, value } in rows {
            match tables[table as usize].entry(key) {
                Entry::Vacant(entry) => drop(entry.insert(Version { sequence, value, older: None })),
                // Of two rows of one commit the later stands.
                Entry::Occupied(mut entry) if entry.get().sequence == sequence => entry.get_mut().value = value,
                Entry::Occupied(mut entry) => {
                    let newest = Version { sequence, value, older: None };
                    let older = std::mem::replace(entry.get_mut(), newest);
                    entry.get_mut().older = Some(Box::new(older));
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).iter().all(BTreeMap::is_empty)
    }

    /// The row as the commit `at` left it: nothing where the overlay does not have it, and none where it was deleted.
    pub(super) fn get(&self, table: Table, key: &[u8], at: u64) -> Option<Option<Vec<u8>>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables[table as usize].get(key)?.at(at).cloned()
    }

    /// Shows the newest version of each row, in the order of tables and keys.
    pub(super) fn newest<E>(
        &self,
        mut visit: impl FnMut(Table, &[u8], Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        for (table, rows) in Table::ALL.into_iter().zip(&*tables) {
            for (key, version) in rows {
                visit(table, key.as_bytes(), version.value.as_deref())?;
            }
        }
        Ok(())
    }
}

/// The rows of a range, one after another, deleted ones included. The overlay may grow meanwhile.
pub(super) struct OverlayRows<'a> {
    overlay: &'a Overlay,
    table: Table,
    at: u64,
    order: Order,
    /// What is left to be copied.
    left: Option<(Bound<RowKey>, Bound<RowKey>)>,
    chunk: VecDeque<(RowKey, Option<Vec<u8>>)>,
}

impl<'a> OverlayRows<'a> {
    pub(super) fn new(overlay: &'a Overlay, table: Table, (from, to): Range<'_>, order: Order, at: u64) -> Self {
        let is_empty = match (from, to) {
            (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from > to,
            _ => false,
        };
        let left = (!is_empty).then(|| (from.map(RowKey::from), to.map(RowKey::from)));
        OverlayRows { overlay, table, at, order, left, chunk: VecDeque::new() }
    }

    pub(super) fn peek(&mut self) -> Option<&[u8]> {
        if self.chunk.is_empty() {
            self.copy();
        }
        self.chunk.front().map(|(key, _)| key.as_bytes())
    }

    /// The value of the row at which it is, none if it was deleted; the cursor moves to the next one.
    pub(super) fn take(&mut self) -> Option<(RowKey, Option<Vec<u8>>)> {
        self.chunk.pop_front()
    }

    fn copy(&mut self) {
        let Some((from, to)) = self.left.take() else { return };
        {
            let tables = self.overlay.tables.read().unwrap_or_else(PoisonError::into_inner);
            let range = (from.as_ref().map(RowKey::as_bytes), to.as_ref().map(RowKey::as_bytes));
            let mut rows = tables[self.table as usize].range::<[u8], _>(range);
            let mut copy = |(key, version): (&RowKey, &Version)| {
                // A row of which all versions are newer than the scan is not there for it.
                if let Some(value) = version.at(self.at) {
                    self.chunk.push_back((key.clone(), value.clone()));
                }
                self.chunk.len() == CHUNK
            };
            let is_full = match self.order {
                Order::Ascending => rows.any(&mut copy),
                Order::Descending => rows.rev().any(&mut copy),
            };
            if !is_full {
                return;
            }
        }
        let last = self.chunk.back().map(|(key, _)| Bound::Excluded(key.clone()));
        self.left = last.map(|last| match self.order {
            Order::Ascending => (last, to),
            Order::Descending => (from, last),
        });
    }
}
