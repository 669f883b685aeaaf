//! Files that are damaged: cut short, or with bits flipped.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::redb::open::FILE;
use crate::store::redb::tests::{fill, rows};
use crate::store::{Durability, OpenOptions, Reader, Redb, Store};

const COUNT: u64 = 50;
const FLIPS: &str = "KITARU_TEST_FLIPS";

fn open(dir: &Path) -> Result<Arc<Redb>, Error> {
    Redb::open(dir, OpenOptions { lock_timeout: Duration::ZERO }).map(Arc::new)
}

/// What can be made of a damaged store: an error in our words, or rows that are right. A wrong value is a panic.
fn look(dir: &Path) -> Result<Vec<u64>, Error> {
    let store = open(dir)?;
    let found = rows(&Reader::new(store.clone()));
    let _ = store.close();
    found
}

fn filled() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path()).expect("a store");
    fill(&*store, 0..COUNT, Durability::QuickRepair).expect("rows");
    store.close().expect("it closes");
    let bytes = fs::read(dir.path().join(FILE)).expect("its file");
    (dir, bytes)
}

#[test]
fn a_store_that_was_cut_short_anywhere_is_refused() {
    let (dir, bytes) = filled();
    assert_eq!(look(dir.path()).unwrap(), (0..COUNT).collect::<Vec<_>>());
    for sixteenth in 0..16 {
        fs::write(dir.path().join(FILE), &bytes[..bytes.len() * sixteenth / 16]).unwrap();
        let error = look(dir.path()).expect_err("it lacks a part");
        let message = format!("{error:#}");
        assert!(error.is_store(), "{message}");
        assert!(message.contains("restore it from a backup"), "{message}");
    }
}

/// The other process of the test below: redb ends the process at some damages.
#[test]
fn flipper() {
    let Some(flips) = std::env::var_os(FLIPS) else { return };
    let flips = flips.into_string().unwrap();
    let (seed, from, to) = match flips.split(' ').map(|n| n.parse().unwrap()).collect::<Vec<u64>>()[..] {
        [seed, from, to] => (seed, from, to),
        _ => panic!("a seed and a range"),
    };
    let (dir, bytes) = filled();
    let (mut right, mut refused) = (0, 0);
    for nth in from..to {
        let at = blake3::hash(&[seed.to_le_bytes(), nth.to_le_bytes()].concat());
        let at = u64::from_le_bytes(at.as_bytes()[..8].try_into().unwrap());
        let mut bytes = bytes.clone();
        // Half of them where the rows are, which is a small part of the file.
        let span = if nth % 2 == 0 { bytes.len() } else { 64 << 10 };
        bytes[at as usize / 8 % span] ^= 1 << (at % 8);
        fs::write(dir.path().join(FILE), &bytes).unwrap();
        match look(dir.path()) {
            Ok(found) => {
                // Rows may be missing without a word where redb falls back on an earlier commit.
                assert!(found.iter().all(|n| *n < COUNT), "{nth}: {found:?}");
                right += 1;
            }
            Err(error) => {
                assert!(error.is_store(), "{nth}: {error:#}");
                refused += 1;
            }
        }
        println!("\nflip {nth}");
    }
    println!("\nright {right} refused {refused}");
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless_and_never_a_wrong_value() {
    const SEED: u64 = 7;
    const ALL: u64 = 600;
    let (mut from, mut ended, mut refused) = (0, 0, 0);
    while from < ALL {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", concat!(module_path!(), "::flipper").split_once("::").unwrap().1, "--nocapture"])
            .env(FLIPS, format!("{SEED} {from} {ALL}"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        let failed = String::from_utf8_lossy(&child.stderr).into_owned();
        assert!(!failed.contains("a wrong value is handed out"), "seed {SEED}, from {from}: {failed}");
        if let Some(line) = said.lines().find(|line| line.starts_with("right ")) {
            refused += line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
            break;
        }
        assert_ne!(child.status.code(), Some(101), "seed {SEED}, from {from}: {said}{failed}");
        // redb has ended the process: at the flip behind the last one that was told.
        let last = said.lines().filter_map(|line| line.strip_prefix("flip ")).next_back();
        from = last.map_or(from, |last| last.parse::<u64>().unwrap() + 1) + 1;
        ended += 1;
    }
    assert!(refused > 20, "only {refused} of {ALL} flips were noticed");
    assert!(ended < 10, "redb has ended the process {ended} times");
}
