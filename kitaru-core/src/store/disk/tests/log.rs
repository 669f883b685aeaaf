//! The log and redb as one store: what readers see, and what the files say of each other.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::redb::Builder;

use crate::error::Error;
use crate::store::disk::files::LOG;
use crate::store::disk::frame;
use crate::store::disk::overlay::Overlay;
use crate::store::disk::platter::{DiskEvent, LOG as FILES, Platter, PlatterFile, SMALL, STORE};
use crate::store::disk::tests::{Seeded, fill, row, rows, seeds};
use crate::store::{Disk, OpenOptions, Order, Range, Reader, Row, RowKey, Store, Table};

const NOW: OpenOptions = OpenOptions { lock_timeout: Duration::from_millis(300) };

fn open(dir: &Path) -> Result<Arc<Disk>, Error> {
    Disk::open(dir, NOW).map(Arc::new)
}

fn read_only(dir: &Path) -> Result<Arc<Disk>, Error> {
    Disk::open_read_only(dir, NOW).map(Arc::new)
}

fn found(store: &Arc<Disk>) -> Vec<u64> {
    rows(&Reader::new(store.clone())).unwrap()
}

/// A copy of a store's folder as a kill leaves it.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

/// The files of a folder, with their bytes.
fn files(dir: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn store_reads_as_a_map_does_in_both_orders() {
    for seed in seeds(20) {
        let mut chance = Seeded::new(seed);
        let store = Platter::default().store().unwrap();
        let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for nth in 0..300u64 {
            let commit: Vec<Row> = (0..1 + chance.below(4))
                .map(|_| {
                    let key = vec![chance.below(6) as u8; 1 + chance.below(30) as usize];
                    let value = (chance.below(3) > 0).then(|| vec![nth as u8; chance.below(60) as usize]);
                    match &value {
                        Some(value) => drop(map.insert(key.clone(), value.clone())),
                        None => drop(map.remove(&key)),
                    }
                    Row { table: Table::Journal, key: RowKey::from(key), value }
                })
                .collect();
            store.commit(commit).unwrap();
            let bound = |chance: &mut Seeded| vec![chance.below(7) as u8; chance.below(20) as usize];
            let (mut from, mut to) = (bound(&mut chance), bound(&mut chance));
            if from > to {
                std::mem::swap(&mut from, &mut to);
            }
            let range: Range<'_> = match chance.below(3) {
                0 => (Bound::Unbounded, Bound::Unbounded),
                1 => (Bound::Included(&from), Bound::Included(&to)),
                _ => (Bound::Excluded(&from), Bound::Unbounded),
            };
            for order in [Order::Ascending, Order::Descending] {
                let mut seen = Vec::new();
                let mut visit = |key: &[u8], value: &[u8]| {
                    seen.push((key.to_vec(), value.to_vec()));
                    ControlFlow::Continue(())
                };
                store.scan(Table::Journal, range, order, &mut visit).unwrap();
                let mut expected: Vec<_> =
                    map.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone())).collect();
                if order == Order::Descending {
                    expected.reverse();
                }
                assert_eq!(seen, expected, "KITARU_SEED={seed}, commit {nth}, {order:?}");
            }
            assert_eq!(store.get(Table::Journal, &from).unwrap(), map.get(&from).cloned());
        }
    }
}

#[test]
fn readers_see_whole_commits_in_order_while_redb_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    // Each commit overwrites all rows of a table, in any of which its number is.
    let commit = |nth: u64| -> Vec<Row> {
        let value = [nth.to_le_bytes().as_slice(), &[0; 500]].concat();
        let row = |key: u8| Row { table: Table::Aside, key: [key].into(), value: Some(value.clone()) };
        (0..100).map(row).collect()
    };
    store.commit(commit(0)).unwrap();
    let (done, newest) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for order in [Order::Ascending, Order::Descending] {
            let (store, done, newest) = (&store, &done, &newest);
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::SeqCst) {
                    let at_least = newest.load(Ordering::SeqCst);
                    let mut seen = Vec::new();
                    let mut visit = |_: &[u8], value: &[u8]| {
                        seen.push(u64::from_le_bytes(*value.first_chunk().unwrap()));
                        ControlFlow::Continue(())
                    };
                    store.scan(Table::Aside, (Bound::Unbounded, Bound::Unbounded), order, &mut visit).unwrap();
                    assert_eq!(seen.len(), 100);
                    assert!(seen.iter().all(|nth| *nth == seen[0]), "{seen:?}");
                    assert!(seen[0] >= at_least.max(last), "an older state is shown");
                    last = seen[0];
                    let one = store.get(Table::Aside, &[50]).unwrap().unwrap();
                    assert!(u64::from_le_bytes(*one.first_chunk().unwrap()) >= last);
                }
            });
        }
        // Of 50 kB each: the first are too large for the log, and make it grow.
        for nth in 1..400 {
            store.commit(commit(nth)).unwrap();
            newest.store(nth, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
    store.close().unwrap();
}

#[test]
fn killed_store_opens_without_a_repair_of_its_file() {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    fill(&store, 0..300).unwrap();
    let was_repaired = Arc::new(AtomicBool::new(false));
    let called = was_repaired.clone();
    Builder::new()
        .set_repair_callback(move |_| called.store(true, Ordering::SeqCst))
        .create_with_backend(PlatterFile(Platter::of(disk.files()), STORE))
        .unwrap();
    assert!(!was_repaired.load(Ordering::SeqCst));
}

#[test]
fn killed_store_is_read_with_its_log_and_nothing_is_written() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    fill(&*store, 0..2_500).unwrap();
    let dir = killed(home.path());
    store.close().unwrap();
    let before = files(dir.path());
    let reader = read_only(dir.path()).unwrap();
    assert_eq!(found(&reader), (0..2_500).collect::<Vec<_>>());
    let error = reader.commit(vec![row(7)]).unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("read only"), "{error:#}");
    // Others may read too, and none may write meanwhile.
    assert_eq!(found(&read_only(dir.path()).unwrap()).len(), 2_500);
    assert!(open(dir.path()).unwrap_err().is_locked());
    reader.close().unwrap();
    drop(reader);
    assert!(before == files(dir.path()), "a file was changed");
    assert_eq!(found(&open(dir.path()).unwrap()).len(), 2_500);
}

#[test]
fn store_that_is_held_or_is_not_there_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    assert!(read_only(home.path()).unwrap_err().is_locked());
    drop(store);
    let empty = tempfile::tempdir().unwrap();
    let message = format!("{:#}", read_only(empty.path()).unwrap_err());
    assert!(message.contains("there is none; name the folder of a store"), "{message}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
    let message = format!("{:#}", read_only(&empty.path().join("none")).unwrap_err());
    assert!(message.contains("the folder is missing; name the folder of a store"), "{message}");
}

#[test]
fn log_that_is_missing_is_refused_until_an_empty_file_is_in_its_place() {
    for name in LOG {
        let home = tempfile::tempdir().unwrap();
        let store = open(home.path()).unwrap();
        fill(&*store, 0..3).unwrap();
        store.close().unwrap();
        drop(store);
        fs::remove_file(home.path().join(name)).unwrap();
        for error in [open(home.path()).unwrap_err(), read_only(home.path()).unwrap_err()] {
            let message = format!("{error:#}");
            for part in [name, "is missing", "put it back", "make an empty one"] {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
        fs::write(home.path().join(name), []).unwrap();
        assert_eq!(found(&open(home.path()).unwrap()), [0, 1, 2]);
    }
}

#[test]
fn log_of_another_store_is_refused_and_nothing_is_changed() {
    let [one, other] = [(); 2].map(|()| {
        let home = tempfile::tempdir().unwrap();
        let store = open(home.path()).unwrap();
        fill(&*store, 0..5).unwrap();
        let copy = killed(home.path());
        store.close().unwrap();
        copy
    });
    let own = fs::read(one.path().join(LOG[0])).unwrap();
    let theirs = fs::read(other.path().join(LOG[0])).unwrap();
    fs::write(one.path().join(LOG[0]), &theirs).unwrap();
    let message = format!("{:#}", open(one.path()).unwrap_err());
    for part in ["store.log.0 is another store's", "restore its folder", "or make store.log.0 an empty file"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    assert!(!message.contains(LOG[1]), "the good one stays: {message}");
    assert!(fs::read(one.path().join(LOG[0])).unwrap() == theirs, "the log is left as it is");
    // With its own log back, the store lacks nothing.
    fs::write(one.path().join(LOG[0]), own).unwrap();
    assert_eq!(found(&open(one.path()).unwrap()), [0, 1, 2, 3, 4]);
}

#[test]
fn new_store_is_small_and_one_that_was_closed_is_as_small_again() {
    let home = tempfile::tempdir().unwrap();
    let bytes = || files(home.path()).values().map(Vec::len).sum::<usize>();
    let store = open(home.path()).unwrap();
    assert!(bytes() <= 2 << 20, "{} bytes", bytes());
    let logs = || LOG.map(|log| fs::metadata(home.path().join(log)).unwrap().len());
    let small = logs();
    let large = |n: u64| Row { table: Table::Memo, key: n.to_be_bytes().into(), value: Some(vec![1; 50_000]) };
    (0..20).for_each(|n| store.commit(vec![large(n)]).unwrap());
    assert!(logs() > small, "it has not grown");
    store.close().unwrap();
    assert_eq!(logs(), small);
}

/// The epochs of the frames that were written, in order.
fn epochs(events: &[DiskEvent]) -> Vec<u64> {
    let frames = events.iter().filter_map(|event| match event {
        DiskEvent::Bytes(_, _, data) => frame::read(data),
        _ => None,
    });
    frames.map(|frame| frame.header.epoch).collect()
}

#[test]
fn epoch_ends_with_a_failed_sync_and_with_a_replay() {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    fill(&store, 0..2).unwrap();
    // The frame is written, and not synced.
    disk.fails_after(1, std::io::ErrorKind::Other);
    assert!(store.commit(vec![row(2)]).is_err());
    disk.heals();
    fill(&store, 3..5).unwrap();
    assert_eq!(epochs(&disk.events()), [1, 1, 1, 2, 2]);
    let killed = Platter::of(disk.files());
    let store = Arc::new(killed.store().unwrap());
    assert_eq!(found(&store), [0, 1, 3, 4]);
    fill(&*store, 5..6).unwrap();
    assert_eq!(epochs(&killed.events()), [3]);
}

#[test]
fn row_that_is_overwritten_very_often_is_dropped_and_replayed() {
    let overlay = Overlay::default();
    let version = |n: u64| Row { table: Table::Memo, key: b"progress".into(), value: Some(n.to_le_bytes().to_vec()) };
    (1..200_000).for_each(|n| overlay.insert(n, vec![version(n)]));
    assert_eq!(overlay.get(Table::Memo, b"progress", 5), Some(version(5).value));
    std::thread::spawn(move || drop(overlay)).join().unwrap();
}

#[test]
fn file_of_the_users_own_is_not_taken_for_a_log() {
    for name in LOG {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(name), "a precious file").unwrap();
        let message = format!("{:#}", open(home.path()).unwrap_err());
        assert!(message.contains(name) && message.contains("move"), "{message}");
        assert_eq!(fs::read_to_string(home.path().join(name)).unwrap(), "a precious file");
    }
}

#[test]
fn log_that_is_cut_short_or_too_long_is_refused() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()).unwrap());
    for (bytes, says) in [(1, "cut short"), (100_000, "cut short"), (1 << 40, "too long")] {
        fs::OpenOptions::new().write(true).open(home.path().join(LOG[1])).unwrap().set_len(bytes).unwrap();
        for error in [open(home.path()).unwrap_err(), read_only(home.path()).unwrap_err()] {
            let message = format!("{error:#}");
            assert!(message.contains(says) && message.contains(LOG[1]), "{message}");
        }
    }
}

#[test]
fn store_that_two_threads_close_loses_nothing() {
    for _ in 0..10 {
        let home = tempfile::tempdir().unwrap();
        let store = open(home.path()).unwrap();
        store.commit((0..3_000).map(row).collect()).unwrap();
        std::thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(|| store.close().unwrap())));
        });
        assert_eq!(found(&open(home.path()).unwrap()).len(), 3_000);
    }
}

#[test]
fn range_that_is_empty_or_inverted_shows_nothing() {
    let store = Platter::default().store().unwrap();
    fill(&store, 0..3).unwrap();
    let (low, high) = (1u64.to_be_bytes(), 2u64.to_be_bytes());
    for range in [
        (Bound::Included(high.as_slice()), Bound::Included(low.as_slice())),
        (Bound::Excluded(low.as_slice()), Bound::Excluded(low.as_slice())),
    ] {
        let mut visit = |_: &[u8], _: &[u8]| panic!("a row is shown");
        store.scan(Table::Journal, range, Order::Ascending, &mut visit).unwrap();
    }
}

/// A commit that is larger than half a small segment.
fn large(n: u64) -> Vec<Row> {
    vec![Row { table: Table::Memo, key: n.to_be_bytes().into(), value: Some(vec![n as u8; 1_500]) }]
}

#[test]
fn file_whose_sync_failed_is_not_synced_before_the_next_epoch_is_in_it() {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    fill(&store, 0..2).unwrap();
    disk.fails_after(1, std::io::ErrorKind::Other);
    assert!(store.commit(vec![row(2)]).is_err());
    disk.heals();
    let before = disk.events().len() - 1;
    assert!(matches!(disk.events()[before], DiskEvent::Lost(file) if file == FILES[0]));
    // Its growth is what would sync it.
    store.commit(large(1)).unwrap();
    fill(&store, 3..200).unwrap();
    store.close().unwrap();
    let events = disk.events();
    let next = events[before + 1..].iter().find(|event| event.file() == Some(FILES[0]));
    let Some(DiskEvent::Bytes(_, 0, data)) = next else { panic!("{next:?}") };
    assert_eq!(frame::read(data).map(|frame| frame.header.epoch), Some(2));
}

#[test]
fn segment_grows_for_large_commits_once_after_the_first_is_acknowledged() {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    store.commit(large(1)).unwrap();
    let events = disk.events();
    let at = |is_meant: &dyn Fn(&DiskEvent) -> bool| events.iter().rposition(is_meant).expect("an event");
    let acknowledged = at(&|event| matches!(event, DiskEvent::Beside(_)));
    let grown = at(&|event| matches!(event, DiskEvent::Length(_, bytes) if *bytes as u64 > SMALL.least));
    assert!(acknowledged < grown, "the commit waits for the growth");
    // Those after it fit.
    for n in 2..4 {
        store.commit(large(n)).unwrap();
    }
    let commits = disk.events()[events.len()..].to_vec();
    assert_eq!(epochs(&commits).len(), 2, "they are in the log");
    assert_eq!(FILES.map(|file| disk.files().0[file].len()), [4 << 10; 2], "each is as large as they need");
}

#[test]
fn value_that_is_large_leaves_a_new_store_small() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    let value = |n: u64| Row { table: Table::Memo, key: n.to_be_bytes().into(), value: Some(vec![1; 70_000]) };
    for n in 0..4 {
        store.commit(vec![value(n)]).unwrap();
    }
    let bytes = || files(home.path()).values().map(Vec::len).sum::<usize>();
    assert!(bytes() <= 2 << 20, "{} bytes", bytes());
    store.close().unwrap();
    assert!(bytes() <= 2 << 20, "{} bytes", bytes());
}

#[test]
fn segment_that_was_not_filled_does_not_grow_when_the_store_is_closed() {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    fill(&store, 0..3).unwrap();
    store.close().unwrap();
    let grows = |event: &DiskEvent| matches!(event, DiskEvent::Length(file, bytes) if *file != STORE && *bytes as u64 > SMALL.least);
    assert!(!disk.events().iter().any(grows), "a segment grows, and is cut again");
}

#[test]
fn epoch_ends_where_the_rows_of_the_next_commit_are_torn() {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    fill(&store, 0..1).unwrap();
    let (mut files, _) = disk.files();
    let bytes = frame::read(&files[FILES[0]]).unwrap().bytes;
    // All of it but its last bytes.
    files[FILES[0]][bytes - 10..bytes].fill(0);
    let torn = Platter::of((files, Vec::new()));
    let store = Arc::new(torn.store().unwrap());
    assert_eq!(found(&store), [] as [u64; 0]);
    fill(&*store, 1..2).unwrap();
    assert_eq!(epochs(&torn.events()), [2]);
}

#[test]
fn scan_begins_with_rows_in_memory_and_in_redb_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let (done, committed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let at_least = committed.load(Ordering::SeqCst);
                let mut seen = 0;
                let mut visit = |_: &[u8], _: &[u8]| {
                    seen += 1;
                    ControlFlow::Continue(())
                };
                store.scan(Table::Aside, (Bound::Unbounded, Bound::Unbounded), Order::Ascending, &mut visit).unwrap();
                assert!(seen >= at_least, "{seen} rows of {at_least} are shown");
            }
        });
        // Few commits fill a segment.
        for n in 0..200u64 {
            let row = Row { table: Table::Aside, key: n.to_be_bytes().into(), value: Some(vec![1; 50_000]) };
            store.commit(vec![row]).unwrap();
            committed.store(n + 1, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
}
