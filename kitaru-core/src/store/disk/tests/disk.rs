//! Disks that fill up or fail.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::store::disk::platter::{LOG, Platter, STORE};
use crate::store::disk::tests::{fill, row, rows};
use crate::store::{Disk, Reader, Store};

fn reader(store: &Arc<Disk>) -> Reader {
    Reader::new(store.clone())
}

#[test]
fn full_disk_is_reported_and_the_store_works_again_when_there_is_room() {
    let disk = Platter::default();
    let store = Arc::new(disk.store().unwrap());
    fill(&*store, 0..5).unwrap();
    disk.fails_after(0, io::ErrorKind::StorageFull);
    for _ in 0..3 {
        let error = store.commit(vec![row(5)]).unwrap_err();
        assert!(error.is_storage_full(), "{error:#}");
        assert!(error.to_string().contains("make room"), "{error:#}");
    }
    disk.heals();
    fill(&*store, 6..9).unwrap();
    assert_eq!(rows(&reader(&store)).unwrap(), [0, 1, 2, 3, 4, 6, 7, 8]);
}

/// Commits while a disk fails at one write, heals it, and looks whether anything is lost. Gives how many commits failed.
fn fail(disk: &Platter, fails: impl Fn(&Platter), what: &str) -> usize {
    let store = Arc::new(disk.store().unwrap());
    fill(&*store, 0..3).unwrap();
    fails(disk);
    let mut acknowledged: BTreeSet<u64> = (0..3).collect();
    let mut failed = BTreeSet::new();
    for n in 3..70 {
        match store.commit(vec![row(n)]) {
            Ok(()) => assert!(acknowledged.insert(n)),
            Err(error) => {
                assert!(error.is_store() && !error.is_storage_full(), "{what}: {error:#}");
                failed.insert(n);
                disk.heals();
            }
        }
        // While the disk refuses to have redb's file opened again, nothing is read.
        if let Ok(found) = rows(&reader(&store)) {
            let found: BTreeSet<u64> = found.into_iter().collect();
            assert_eq!(found, acknowledged, "{what}: a reader sees what is acknowledged, and nothing else");
        }
    }
    disk.heals();
    // As after a kill.
    let found: BTreeSet<u64> =
        rows(&reader(&Arc::new(Platter::of(disk.files()).store().unwrap()))).unwrap().into_iter().collect();
    assert!(found.is_superset(&acknowledged), "{what}: {found:?} lacks some of {acknowledged:?}");
    assert_eq!(found, acknowledged, "{what}: a commit that failed comes back");
    store.close().unwrap();
    let found: BTreeSet<u64> = rows(&reader(&Arc::new(disk.store().unwrap()))).unwrap().into_iter().collect();
    assert_eq!(found, acknowledged, "{what}: after it was closed");
    failed.len()
}

#[test]
fn disk_that_fails_at_any_write_loses_nothing_that_was_acknowledged() {
    let mut failed = 0;
    for nth in 0..150 {
        let what = format!("the write {nth} fails");
        let disk = Platter::default();
        let fails = fail(&disk, |disk| disk.fails_after(nth, io::ErrorKind::Other), &what);
        assert!(fails <= 1, "{what}");
        failed += fails;
    }
    // A failed growth of a segment is not an error.
    assert!(failed > 120, "{failed} commits failed");
}

#[test]
fn file_that_fails_at_any_write_loses_nothing_that_was_acknowledged() {
    for file in [STORE, LOG[0], LOG[1]] {
        for nth in 0..60 {
            let what = format!("the write {nth} to file {file} fails");
            let disk = Platter::default();
            fail(&disk, |disk| disk.file_fails_after(file, nth), &what);
        }
    }
}

#[test]
fn full_disk_refuses_commits_once_the_log_is_full_and_loses_nothing() {
    let disk = Platter::default();
    let store = Arc::new(disk.store().unwrap());
    fill(&*store, 0..3).unwrap();
    disk.file_fails_after(STORE, 0);
    let taken = (3..1_000).take_while(|n| store.commit(vec![row(*n)]).is_ok()).count() as u64;
    assert!((5..500).contains(&taken), "{taken} commits until the log was full");
    for _ in 0..3 {
        assert!(store.commit(vec![row(999)]).unwrap_err().is_store());
    }
    disk.heals();
    assert_eq!(rows(&reader(&store)).unwrap().len() as u64, 3 + taken);
    fill(&*store, 3 + taken..100 + taken).unwrap();
    assert_eq!(rows(&reader(&store)).unwrap(), (0..100 + taken).collect::<Vec<_>>());
}
