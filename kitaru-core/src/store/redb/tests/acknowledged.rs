//! Stores that have gone back to an older commit, and that none is said to have which has not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::redb::acknowledged::FILE as NUMBER;
use crate::store::redb::open::FILE;
use crate::store::redb::tests::platter::{Disk, Event};
use crate::store::redb::tests::{Seeded, fill, row, rows, seeds};
use crate::store::{Durability, OpenOptions, Reader, Redb, Store};

const COMMITS: &str = "KITARU_TEST_COMMITS";

fn open(dir: &Path) -> Result<Arc<Redb>, Error> {
    Redb::open(dir, OpenOptions { lock_timeout: Duration::from_secs(5) }).map(Arc::new)
}

fn found(store: &Arc<Redb>) -> Vec<u64> {
    rows(&Reader::new(store.clone())).expect("its rows")
}

#[test]
fn a_store_that_an_older_copy_has_replaced_is_refused_until_the_file_beside_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..3, Durability::Fast).unwrap();
    store.close().unwrap();
    let older = fs::read(dir.path().join(FILE)).unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 3..8, Durability::Fast).unwrap();
    store.close().unwrap();
    drop(open(dir.path()).unwrap());

    fs::write(dir.path().join(FILE), older).unwrap();
    for _ in 0..2 {
        let error = open(dir.path()).unwrap_err();
        let message = format!("{error:#}");
        assert!(error.is_store(), "{message}");
        let file = dir.path().join(NUMBER).display().to_string();
        for part in ["commit 8 was durable", "ends with commit 3", "backup", "remove the file", &file, "5 missing"] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }
    fs::remove_file(dir.path().join(NUMBER)).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(found(&store), [0, 1, 2]);
    fill(&*store, 3..5, Durability::Fast).unwrap();
    store.close().unwrap();
    assert_eq!(found(&open(dir.path()).unwrap()), [0, 1, 2, 3, 4]);
}

#[test]
fn a_new_store_in_the_place_of_one_that_was_moved_away_is_not_measured_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..9, Durability::Fast).unwrap();
    store.close().unwrap();
    fs::rename(dir.path().join(FILE), dir.path().join("moved")).unwrap();
    fs::remove_file(dir.path().join(NUMBER)).unwrap();
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..1, Durability::Fast).unwrap();
    store.close().unwrap();
    assert_eq!(found(&open(dir.path()).unwrap()), [0]);
}

#[test]
fn a_number_that_is_missing_torn_or_older_refuses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let number = dir.path().join(NUMBER);
    let store = open(dir.path()).unwrap();
    fill(&*store, 0..2, Durability::Fast).unwrap();
    let older = fs::read(&number).unwrap();
    fill(&*store, 2..4, Durability::Fast).unwrap();
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
fn a_kill_and_a_flipped_bit_that_hide_the_last_commits_are_told() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    fill(&store, 0..20, Durability::Fast).unwrap();
    let (file, beside) = disk.files();
    // In the pages that the last commit has written.
    let log = disk.log();
    let syncs: Vec<_> = (0..log.len()).filter(|nth| matches!(log[*nth], Event::Sync)).collect();
    let [.., before, last] = syncs[..] else { panic!("two commits") };
    let mut told = 0;
    for event in &log[before..last] {
        let Event::Bytes(at, _) = event else { continue };
        let mut file = file.clone();
        file[*at] ^= 1;
        let without = Disk::of(file.clone(), Vec::new());
        // redb takes the commit before, without a word.
        let silent = without.store().is_ok_and(|store| found(&Arc::new(store)).len() == 19);
        let error = Disk::of(file, beside.clone()).store().map(drop);
        if silent {
            let message = format!("{:#}", error.unwrap_err());
            assert!(message.contains("commit 20 was durable") && message.contains("commit 19"), "{message}");
            told += 1;
        }
    }
    assert!(told > 0, "redb has noticed them all by itself");
}

/// The other process of the test below: commits and tells so, until it is killed.
#[test]
fn committer() {
    let Some(dir) = std::env::var_os(COMMITS) else { return };
    let store = open(Path::new(&dir)).unwrap();
    println!();
    let first = found(&store).len() as u64;
    for n in first.. {
        let durability = if n % 5 == 0 { Durability::QuickRepair } else { Durability::Fast };
        store.commit(&[row(n)], durability).unwrap();
        println!("committed {n}");
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_a_store_that_opens_without_an_alarm() {
    for seed in seeds(1) {
        let dir = tempfile::tempdir().unwrap();
        let mut chance = Seeded::new(seed);
        for kill in 0..25 {
            let test = concat!(module_path!(), "::committer").split_once("::").unwrap().1;
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", test, "--nocapture"])
                .env(COMMITS, dir.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let mut acknowledged = None;
            let mut left = chance.below(30);
            while left > 0
                && let Some(line) = said.next()
            {
                if let Some(n) = line.strip_prefix("committed ") {
                    acknowledged = n.parse::<u64>().ok();
                    left -= 1;
                }
            }
            // At no point of its work in particular.
            for n in 0..chance.below(20_000) {
                std::hint::black_box(n);
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let store = open(dir.path()).unwrap_or_else(|error| panic!("KITARU_SEED={seed}, kill {kill}: {error:#}"));
            let found = found(&store);
            assert!(acknowledged.is_none_or(|n| found.len() as u64 > n), "KITARU_SEED={seed}, kill {kill}");
        }
    }
}
