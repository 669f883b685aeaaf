//! Disks that fill up, fail, or lose their power.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::redb::{Builder, StorageBackend};

use crate::error::Error;
use crate::store::redb::open::{guarded, initialise};
use crate::store::redb::tests::{fill, row, rows};
use crate::store::{Durability, Reader, Redb, Store};

/// A disk: what it holds for good, and what was written since it was last told to keep it.
#[derive(Default)]
struct Disk {
    kept: Vec<u8>,
    /// In the order in which they were written: a position and its bytes, or a new length.
    written: Vec<Write>,
    now: Vec<u8>,
    /// How often the power has gone.
    cuts: u32,
}

enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Write {
    fn to(&self, bytes: &mut Vec<u8>) {
        match self {
            Write::Bytes(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
            Write::Length(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Clone, Default)]
struct Shared {
    disk: Arc<Mutex<Disk>>,
    /// The power cuts when this was plugged in: what was before the last one reaches the disk no more.
    plugged: u32,
    /// How many further writes succeed; below zero, all do.
    room: Arc<AtomicI64>,
    fails_with: Arc<Mutex<Option<io::ErrorKind>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn new() -> Self {
        let shared = Shared::default();
        shared.room.store(i64::MIN, Ordering::SeqCst);
        shared
    }

    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn powered(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let disk = self.disk();
        if disk.cuts == self.plugged { Ok(disk) } else { Err(io::Error::other("the power is gone")) }
    }

    /// From the nth write on, all fail.
    fn fails_after(&self, writes: i64, kind: io::ErrorKind) {
        *self.fails_with.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
        self.room.store(writes, Ordering::SeqCst);
    }

    fn heals(&self) {
        self.room.store(i64::MIN, Ordering::SeqCst);
    }

    fn writes(&self) -> io::Result<()> {
        if self.room.load(Ordering::SeqCst) == i64::MIN || self.room.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.room.store(0, Ordering::SeqCst);
        let kind = self.fails_with.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(io::ErrorKind::Other);
        Err(io::Error::new(kind, "the disk refuses"))
    }

    fn change(&self, write: Write) -> io::Result<()> {
        self.writes()?;
        let mut disk = self.powered()?;
        write.to(&mut disk.now);
        disk.written.push(write);
        Ok(())
    }

    /// The power goes: of what was not kept, `chance` says which writes have reached the disk.
    fn cut(&self, mut chance: impl FnMut() -> bool) {
        let mut disk = self.disk();
        let mut kept = std::mem::take(&mut disk.kept);
        for write in disk.written.drain(..) {
            if chance() {
                write.to(&mut kept);
            }
        }
        disk.cuts += 1;
        disk.now = kept.clone();
        disk.kept = kept;
    }

    fn store(&self) -> Result<Redb, Error> {
        let disk = Shared { plugged: self.disk().cuts, ..self.clone() };
        Redb::with(
            Box::new(move || {
                let made = disk.disk().now.is_empty();
                let database = guarded(|| Builder::new().create_with_backend(disk.clone()).map_err(Into::into))?;
                if made {
                    initialise(&database)?;
                }
                Ok(database)
            }),
            None,
        )
    }
}

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk();
        let start = offset as usize;
        let bytes = disk.now.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Write::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.writes()?;
        let mut disk = self.powered()?;
        disk.kept = disk.now.clone();
        disk.written.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Write::Bytes(offset as usize, data.to_vec()))
    }
}

fn seeded(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        // Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn reader(store: &Arc<Redb>) -> Reader {
    Reader::new(store.clone())
}

#[test]
fn a_full_disk_is_said_to_be_full_and_the_store_goes_on_when_there_is_room() {
    let disk = Shared::new();
    let store = Arc::new(disk.store().unwrap());
    fill(&*store, 0..5, Durability::Fast).unwrap();
    disk.fails_after(0, io::ErrorKind::StorageFull);
    for _ in 0..3 {
        let error = store.commit(&[row(5)], Durability::Fast).unwrap_err();
        assert!(error.is_storage_full(), "{error:#}");
        assert!(error.to_string().contains("make room"), "{error:#}");
    }
    disk.heals();
    fill(&*store, 6..9, Durability::Fast).unwrap();
    assert_eq!(rows(&reader(&store)).unwrap(), [0, 1, 2, 3, 4, 6, 7, 8]);
}

#[test]
fn a_disk_that_fails_at_any_write_loses_nothing_that_was_acknowledged() {
    for durability in [Durability::Fast, Durability::QuickRepair] {
        for nth in 0..60 {
            let disk = Shared::new();
            let store = Arc::new(disk.store().unwrap());
            fill(&*store, 0..3, durability).unwrap();
            disk.fails_after(nth, io::ErrorKind::Other);
            let mut acknowledged: BTreeSet<u64> = (0..3).collect();
            let mut failed = BTreeSet::new();
            for n in 3..12 {
                match store.commit(&[row(n)], durability) {
                    Ok(()) => assert!(acknowledged.insert(n)),
                    Err(error) => {
                        assert!(error.is_store() && !error.is_storage_full(), "{error:#}");
                        failed.insert(n);
                        disk.heals();
                    }
                }
            }
            assert!(failed.len() <= 1, "{nth}: {failed:?}");
            let found: BTreeSet<u64> = rows(&reader(&store)).unwrap().into_iter().collect();
            assert!(found.is_superset(&acknowledged), "{nth}: {found:?} lacks some of {acknowledged:?}");
            // One whose acknowledgement was lost may be there.
            assert!(found.difference(&acknowledged).all(|n| failed.contains(n)), "{nth}: {found:?}");
            assert!(nth > 20 || failed.len() == 1, "the write {nth} did not fail");
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged_and_leaves_no_commit_half_done() {
    for seed in 0..150 {
        let mut chance = seeded(seed);
        let disk = Shared::new();
        let mut store = Arc::new(disk.store().unwrap());
        // Batches of two rows, of which one is never there without the other.
        let mut acknowledged = 0;
        for cut in 0..4 {
            let mut durability = || if chance().is_multiple_of(3) { Durability::QuickRepair } else { Durability::Fast };
            for _ in 0..3 {
                store.commit(&[row(acknowledged), row(acknowledged + 1)], durability()).unwrap();
                acknowledged += 2;
            }
            // This one is under way when the power goes.
            let under_way = [row(acknowledged), row(acknowledged + 1)];
            let durability = durability();
            disk.fails_after((chance() % 12) as i64, io::ErrorKind::Other);
            if store.commit(&under_way, durability).is_ok() {
                acknowledged += 2;
            }
            disk.heals();
            disk.cut(|| chance().is_multiple_of(2));
            store = Arc::new(disk.store().unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error:#}")));
            let found = rows(&reader(&store)).unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error:#}"));
            let count = found.len() as u64;
            assert_eq!(found, (0..count).collect::<Vec<_>>(), "seed {seed}, cut {cut}: they are not in order");
            let possible = [acknowledged, acknowledged + 2];
            assert!(possible.contains(&count), "seed {seed}, cut {cut}: {count} rows of {acknowledged} acknowledged");
            acknowledged = count;
        }
    }
}
