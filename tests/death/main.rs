//! Processes that die, and what the next one makes of what they left. The programs are in `programs`; each runs in a
//! process of its own, which is this one again, and stops where it is told to, to be killed there.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[cfg(feature = "openai")]
mod agents;
mod crash_loops;
mod disk;
mod fan_out;
mod folder;
mod kills;
mod notes;
mod process;
mod programs;
mod readme;
mod waits;
mod waits_killed;

use std::collections::BTreeMap;
use std::path::Path;

/// A copy of a store's folder, as a dead process has left it; an empty one if it has left none.
fn copied(store: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in store.read_dir().into_iter().flatten().map(|file| file.unwrap()) {
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    copy
}

/// What bodies and flows have noted, line by line, in the order in which it happened.
fn noted(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn count(notes: &[String], line: &str) -> usize {
    notes.iter().filter(|noted| *noted == line).count()
}

/// Refuses notes by which a body ran again although what it had come to could not be lost any more: a value once its
/// flow had seen it, an error once a body of the same execution had started after the flow had seen it.
fn refuse_second_runs(notes: &[String], what: &str) {
    let mut kept = BTreeMap::new();
    let mut caught = Vec::new();
    for (nth, note) in notes.iter().enumerate() {
        match note.split_once(' ') {
            Some(("seen", call)) => {
                kept.entry(call).or_insert(nth);
            }
            Some(("caught", call)) => caught.push((call, nth)),
            Some(("ran", call)) => {
                if let Some(at) = kept.get(call) {
                    panic!("{what}: `{call}` ran again (note {nth}) after it was seen (note {at})");
                }
                let execution = |call: &str| call.split(' ').next().map(str::to_owned);
                for (error, at) in caught.extract_if(.., |(error, _)| execution(error) == execution(call)) {
                    kept.entry(error).or_insert(at);
                }
            }
            // What another process had caught, this one has not.
            _ => caught.clear(),
        }
    }
}
