//! What disks do to a store, and what a store does about it.

mod acknowledged;
mod copies;
mod damage;
mod disk;
mod folder;
mod log;
#[cfg(unix)]
mod outside;
mod power;
mod restoring;
mod upgrade;

use crate::error::Error;
use crate::store::{Reader, Row, Store, Table, seal};

/// A row of a journal, sealed as the writer does.
pub(super) fn row(n: u64) -> Row {
    let key = n.to_be_bytes();
    let mut value = format!("the record {n}").into_bytes();
    seal(Table::Journal, &key, &mut value);
    Row { table: Table::Journal, key: key.into(), value: Some(value) }
}

/// Commits rows one at a time.
pub(super) fn fill(store: &dyn Store, rows: std::ops::Range<u64>) -> Result<(), Error> {
    for n in rows {
        store.commit(vec![row(n)])?;
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

/// Numbers that look like chance and repeat.
pub(super) struct Seeded(u64);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Seeded(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        // Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn split(&mut self) -> Self {
        Seeded(self.next())
    }
}

/// The seeds of a test: those of the environment, to repeat one that failed or to try more, or the first few.
pub(super) fn seeds(few: u64) -> std::ops::Range<u64> {
    match std::env::var("KITARU_SEED").ok().as_deref().map(|seed| seed.split_once("..").unwrap_or((seed, ""))) {
        None => 1..1 + few,
        Some((seed, "")) => {
            let seed = seed.parse().expect("KITARU_SEED is a number or a range, as 1..100");
            seed..seed + 1
        }
        Some((from, to)) => from.parse().expect("a number")..to.parse().expect("a number"),
    }
}
