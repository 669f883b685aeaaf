//! Disks that fill up or fail.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::store::redb::tests::platter::Disk;
use crate::store::redb::tests::{fill, row, rows};
use crate::store::{Durability, Reader, Redb, Store};

fn reader(store: &Arc<Redb>) -> Reader {
    Reader::new(store.clone())
}

#[test]
fn a_full_disk_is_said_to_be_full_and_the_store_goes_on_when_there_is_room() {
    let disk = Disk::default();
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
            let disk = Disk::default();
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
