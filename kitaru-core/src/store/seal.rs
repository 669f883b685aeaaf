//! The checksum of a row, over its table, its key and its value. Owns that nothing is believed which is not as it was
//! written: a flipped bit in a cleanly closed redb file is given back without a word.
//!
//! CRC-32 (IEEE 802.3), little endian, at the end of the value.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Kind, cannot};
use crate::store::{Footprint, Order, Range, Store, Table, Visit, VisitAll};

const BYTES: usize = 4;

/// Puts the checksum behind a value.
pub(crate) fn seal(table: Table, key: &[u8], value: &mut Vec<u8>) {
    let checksum = checksum(table, key, value);
    value.extend_from_slice(&checksum);
}

/// The value, if it is what was sealed under this key.
pub(super) fn open<'a>(table: Table, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Error> {
    match sealed.split_last_chunk::<BYTES>() {
        Some((value, seal)) if checksum(table, key, value) == *seal => Ok(value),
        _ => Err({
            let key = key.escape_ascii();
            cannot!(
                Kind::Store,
                "read row {key} of table {table:?}",
                "its checksum does not fit",
                "restore a backup, or use .fresh()"
            )
        }),
    }
}

fn checksum(table: Table, key: &[u8], value: &[u8]) -> [u8; BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[table as u8]);
    // The key's length keeps a byte from moving between key and value.
    hasher.update(&(key.len() as u32).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}

/// A store, read through its checksums.
#[derive(Clone)]
pub(crate) struct Reader(Arc<dyn Store>);

impl Reader {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Reader(store)
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut value) = self.0.get(table, key)? else { return Ok(None) };
        let length = open(table, key, &value)?.len();
        value.truncate(length);
        Ok(Some(value))
    }

    pub(crate) fn footprint(&self) -> Footprint {
        self.0.footprint()
    }

    /// The keys of a range. Whether their rows can be read is not asked.
    pub(crate) fn keys(
        &self,
        table: Table,
        range: Range<'_>,
        order: Order,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.0.scan(table, range, order, &mut |key, _| visit(key))
    }

    /// The rows of a range that are as they were written. The others are left out.
    pub(crate) fn intact(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.0.scan(table, range, order, &mut |key, sealed| match open(table, key, sealed) {
            Ok(value) => visit(key, value),
            Err(_) => ControlFlow::Continue(()),
        })
    }

    /// The rows of a range: the key of each, and its value if that is as it was written.
    pub(crate) fn all(
        &self,
        table: Table,
        range: Range<'_>,
        order: Order,
        mut visit: impl FnMut(&[u8], Option<&[u8]>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.0.scan(table, range, order, &mut |key, sealed| visit(key, open(table, key, sealed).ok()))
    }

    /// The rows of all tables, as they are at one moment.
    pub(crate) fn scan_all(&self, visit: VisitAll<'_>) -> Result<(), Error> {
        let mut damaged = None;
        self.0.scan_all(&mut |table, key, sealed| match open(table, key, sealed) {
            Ok(value) => visit(table, key, value),
            Err(error) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        })?;
        damaged.map_or(Ok(()), Err)
    }

    pub(crate) fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        let mut damaged = None;
        self.0.scan(table, range, order, &mut |key, sealed| match open(table, key, sealed) {
            Ok(value) => visit(key, value),
            Err(error) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        })?;
        damaged.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_any_bit_flipped_cut_short_or_moved_is_damaged() {
        let (key, value) = (b"key".as_slice(), b"the value".as_slice());
        let mut sealed = value.to_vec();
        seal(Table::Journal, key, &mut sealed);
        assert_eq!(open(Table::Journal, key, &sealed).unwrap(), value);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(Table::Journal, key, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(Table::Journal, key, &sealed[..length]).is_err(), "length {length}");
        }
        assert!(open(Table::Journal, b"kez", &sealed).is_err());
        assert!(open(Table::Memo, key, &sealed).is_err());
    }
}
