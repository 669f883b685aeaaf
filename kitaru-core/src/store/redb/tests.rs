//! What redb does to a store, and what a store does about it.

mod damage;
mod disk;
mod folder;

use crate::error::Error;
use crate::store::{Durability, Reader, Row, Store, Table, seal};

/// A row of a journal, sealed as the writer does.
pub(super) fn row(n: u64) -> Row {
    let key = n.to_be_bytes();
    let mut value = format!("the record {n}").into_bytes();
    seal(Table::Journal, &key, &mut value);
    Row { table: Table::Journal, key: key.into(), value: Some(value) }
}

/// Commits rows one at a time.
pub(super) fn fill(store: &dyn Store, rows: std::ops::Range<u64>, durability: Durability) -> Result<(), Error> {
    for n in rows {
        store.commit(&[row(n)], durability)?;
    }
    Ok(())
}

/// The numbers of the rows that are there, each of them checked.
pub(super) fn rows(reader: &Reader) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    reader.scan(Table::Journal, all, crate::store::Order::Ascending, &mut |key, value| {
        let n = key.first_chunk().map_or(u64::MAX, |key| u64::from_be_bytes(*key));
        assert_eq!(value, format!("the record {n}").as_bytes(), "a wrong value is handed out");
        found.push(n);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(found)
}
