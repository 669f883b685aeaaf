//! Disks that fill up or fail.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::store::disk::platter::{LOG, Platter, STORE, last_commit};
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

#[test]
fn large_commit_that_fails_at_any_write_is_there_for_good_or_not_at_all() {
    let (mut failed, mut stayed) = (0, 0);
    for nth in 0.. {
        let what = format!("the write {nth} fails");
        let disk = Platter::default();
        let store = Arc::new(disk.store().unwrap());
        fill(&*store, 0..3).unwrap();
        disk.fails_after(nth, io::ErrorKind::Other);
        let done = store.commit((3..53).map(row).collect());
        disk.heals();
        if done.is_ok() {
            break;
        }
        failed += 1;
        let seen = rows(&reader(&store)).unwrap();
        assert!(seen.len() == 3 || seen.len() == 53, "{what}: {seen:?}");
        stayed += usize::from(seen.len() == 53);
        let after_a_cut = |keeps: bool| {
            let store = Arc::new(disk.after_a_cut(Box::new(move || keeps)).store().unwrap());
            (rows(&reader(&store)).unwrap(), last_commit(&store))
        };
        for keeps in [false, true] {
            assert_eq!(after_a_cut(keeps).0, seen, "{what}: what was seen goes with the power, or comes back");
        }
        fill(&*store, 60..62).unwrap();
        let (more, number) = (rows(&reader(&store)).unwrap(), last_commit(&store));
        assert_eq!(more, seen.iter().copied().chain([60, 61]).collect::<Vec<_>>(), "{what}");
        assert_eq!(number, 5 + u64::from(seen.len() == 53), "{what}: a number was given to two commits");
        for keeps in [false, true] {
            assert_eq!(after_a_cut(keeps), (more.clone(), number), "{what}: after a cut");
        }
        store.close().unwrap();
        let store = Arc::new(disk.store().unwrap());
        assert_eq!(
            (rows(&reader(&store)).unwrap(), last_commit(&store)),
            (more, number),
            "{what}: after it was closed"
        );
    }
    assert!(failed > 5 && stayed > 0, "{failed} failed, {stayed} stayed");
}

#[test]
fn large_commit_that_failed_is_there_or_not_when_the_store_is_closed_next() {
    for nth in 0..30 {
        let disk = Platter::default();
        let store = Arc::new(disk.store().unwrap());
        fill(&*store, 0..3).unwrap();
        disk.fails_after(nth, io::ErrorKind::Other);
        let is_done = store.commit((3..53).map(row).collect()).is_ok();
        disk.heals();
        store.close().unwrap();
        let store = Arc::new(disk.store().unwrap());
        let there = rows(&reader(&store)).unwrap().len();
        assert!(there == 53 || there == 3 && !is_done, "the write {nth} fails: {there}");
        assert_eq!(last_commit(&store), if there == 53 { 4 } else { 3 }, "the write {nth} fails");
    }
}

#[test]
fn store_whose_file_is_opened_again_and_again_is_never_said_to_be_closed() {
    let store = Arc::new(Platter::default().store().unwrap());
    fill(&*store, 0..3).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                store.shared.redb.fail();
            }
        });
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..20_000).filter(|_| store.shared.redb.snapshot().is_err()).count()))
            .collect();
        let refused: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(refused, [0, 0]);
    });
}
