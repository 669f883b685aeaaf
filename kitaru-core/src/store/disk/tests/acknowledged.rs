//! Stores that have gone back to an older commit, and that none is said to have which has not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::disk::acknowledged::FILE as NUMBER;
use crate::store::disk::files::{FILE, LOG};
use crate::store::disk::platter::{DiskEvent, Platter};
use crate::store::disk::segment::SIZES;
use crate::store::disk::tests::{Seeded, fill, row, rows, seeds};
use crate::store::{Disk, OpenOptions, Reader, Row, Store, Table};

const COMMITS: &str = "KITARU_TEST_COMMITS";
const BYTES: &str = "KITARU_TEST_COMMIT_BYTES";

fn open(dir: &Path) -> Result<Arc<Disk>, Error> {
    Disk::open(dir, OpenOptions { lock_timeout: Duration::from_secs(5) }).map(Arc::new)
}

fn found(store: &Arc<Disk>) -> Vec<u64> {
    rows(&Reader::new(store.clone())).expect("its rows")
}

#[test]
fn store_replaced_by_an_older_copy_is_refused_until_its_number_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..3).unwrap();
    store.close().unwrap();
    let older = fs::read(dir.path().join(FILE)).unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 3..8).unwrap();
    store.close().unwrap();
    drop(open(dir.path()).unwrap());

    fs::write(dir.path().join(FILE), older).unwrap();
    // The log has what the older file has not, and not all of it.
    let message = format!("{:#}", open(dir.path()).unwrap_err());
    for part in ["commit 4", "restore its folder", "make store.log.0 and store.log.1 empty files"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    LOG.iter().for_each(|log| fs::write(dir.path().join(log), []).unwrap());
    for _ in 0..2 {
        let error = open(dir.path()).unwrap_err();
        let message = format!("{error:#}");
        assert!(error.is_store(), "{message}");
        let file = dir.path().join(NUMBER).display().to_string();
        for part in ["lacks the last 5 of 8 commits", "restore a backup, or remove", &file] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }
    fs::remove_file(dir.path().join(NUMBER)).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(found(&store), [0, 1, 2]);
    fill(&*store, 3..5).unwrap();
    store.close().unwrap();
    assert_eq!(found(&open(dir.path()).unwrap()), [0, 1, 2, 3, 4]);
}

#[test]
fn a_new_store_in_the_place_of_one_that_was_moved_away_is_not_measured_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..9).unwrap();
    store.close().unwrap();
    fs::rename(dir.path().join(FILE), dir.path().join("moved")).unwrap();
    fs::remove_file(dir.path().join(NUMBER)).unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..1).unwrap();
    store.close().unwrap();
    assert_eq!(found(&open(dir.path()).unwrap()), [0]);
}

#[test]
fn a_number_that_is_missing_torn_or_older_refuses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let number = dir.path().join(NUMBER);
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..2).unwrap();
    let older = fs::read(&number).unwrap();
    fill(&*store, 2..4).unwrap();
    let newest = fs::read(&number).unwrap();
    store.close().unwrap();
    assert_eq!((older.len(), newest.len()), (12, 12));
    let mut torn = newest.clone();
    torn[0] ^= 0x40;
    for left in [&[], &older[..], &newest[..7], &torn[..], &[0; 12], &[0xff; 4_096]] {
        fs::write(&number, left).unwrap();
        assert_eq!(found(&open(dir.path()).unwrap()), [0, 1, 2, 3], "{left:?}");
    }
}

#[test]
fn kill_and_flipped_bit_that_hide_the_last_commits_are_noticed() {
    let disk = Platter::default();
    let store = disk.store_of(SIZES).unwrap();
    fill(&store, 0..20).unwrap();
    let (files, beside) = disk.files();
    // In the frame that the last commit has written.
    let last = disk.events().into_iter().rev().find_map(|event| match event {
        DiskEvent::Bytes(file, at, data) => Some((file, at..at + data.len())),
        _ => None,
    });
    let (file, frame) = last.expect("a frame");
    let mut noticed = 0;
    for at in frame {
        let mut files = files.clone();
        files[file][at] ^= 1;
        // A damaged last frame looks as one that was torn.
        let without = Platter::of((files.clone(), Vec::new()));
        let silent = without.store_of(SIZES).is_ok_and(|store| found(&Arc::new(store)).len() == 19);
        let error = Platter::of((files, beside.clone())).store_of(SIZES).map(drop);
        if silent {
            let message = format!("{:#}", error.unwrap_err());
            assert!(message.contains("lacks the last 1 of 20 commits"), "{message}");
            noticed += 1;
        }
    }
    assert!(noticed >= 90, "{noticed}");
}

/// The other process of the tests below: commits and tells so, until it is killed.
#[test]
fn committer() {
    let Some(dir) = std::env::var_os(COMMITS) else { return };
    let more: usize = std::env::var(BYTES).map_or(0, |bytes| bytes.parse().unwrap());
    println!("\nopening");
    let store = open(Path::new(&dir)).unwrap();
    let first = found(&store).len() as u64;
    for n in first.. {
        let filler = Row { table: Table::Shape, key: n.to_be_bytes().into(), value: Some(vec![n as u8; more]) };
        store.commit(vec![row(n), filler]).unwrap();
        println!("committed {n}");
    }
}

/// Kills that process again and again, each time after up to so many of its commits, or while it opens the store. Each commit has
/// so many bytes more.
fn kill_again_and_again(seed: u64, kills: u64, commits: u64, bytes: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut chance = Seeded::new(seed);
    for kill in 0..kills {
        let test = concat!(module_path!(), "::committer").split_once("::").unwrap().1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(COMMITS, dir.path())
            .env(BYTES, bytes.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledged = None;
        // Each third kill is while the store is opened.
        let opens = kill % 3 == 2;
        let mut left = if opens { 1 } else { chance.below(commits) };
        while left > 0
            && let Some(line) = said.next()
        {
            if let Some(n) = line.strip_prefix("committed ") {
                acknowledged = n.parse::<u64>().ok();
            }
            left -= u64::from(line.starts_with("committed ") || line == "opening");
        }
        // At no point of its work in particular.
        for n in 0..chance.below(if opens { 500_000 } else { 20_000 }) {
            std::hint::black_box(n);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What another one finds is left for the next one to replay.
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        if !copy.path().join(FILE).exists() {
            assert!(acknowledged.is_none(), "KITARU_SEED={seed}, kill {kill}");
            continue;
        }
        let store = open(copy.path()).unwrap_or_else(|error| panic!("KITARU_SEED={seed}, kill {kill}: {error:#}"));
        let found = found(&store);
        assert!(acknowledged.is_none_or(|n| found.len() as u64 > n), "KITARU_SEED={seed}, kill {kill}");
        assert!(found.iter().copied().eq(0..found.len() as u64), "KITARU_SEED={seed}, kill {kill}: {found:?}");
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_a_store_that_opens_without_an_alarm() {
    seeds(1).for_each(|seed| kill_again_and_again(seed, 25, 30, 0));
}

#[test]
fn process_killed_while_redb_catches_up_or_its_log_is_replayed_loses_nothing() {
    // A few commits fill a segment, and the next opening replays what the last kill has left.
    seeds(1).for_each(|seed| kill_again_and_again(seed, 30, 60, 20_000));
}

#[test]
fn number_that_was_lost_is_there_again_once_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..2).unwrap();
    store.close().unwrap();
    let older = fs::read(dir.path().join(FILE)).unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 2..3).unwrap();
    store.close().unwrap();
    // As after a power cut.
    fs::write(dir.path().join(NUMBER), []).unwrap();
    drop(open(dir.path()).unwrap());
    // One frame was in the log, and closing has cleared it.
    fs::write(dir.path().join(FILE), older).unwrap();
    LOG.iter().for_each(|log| fs::write(dir.path().join(log), []).unwrap());
    let message = format!("{:#}", open(dir.path()).unwrap_err());
    assert!(message.contains("lacks the last 1 of 3 commits"), "{message}");
}
