//! Processes that crash, and processes that resume their executions. The programs are in `programs`; each runs in a process
//! of its own, from this same binary, and stops at a given place, to be killed there.
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

/// A copy of a store's folder, as a killed process left it; an empty folder if there is none.
fn copied(store: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in store.read_dir().into_iter().flatten().map(|file| file.unwrap()) {
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    copy
}

/// The notes of bodies and flows, line by line, in their order.
fn noted(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn count(notes: &[String], line: &str) -> usize {
    notes.iter().filter(|noted| *noted == line).count()
}

/// Refuses notes that show a second run of a body whose outcome was durable: a value once its flow had received it, an error
/// once a body of the same execution had started after the flow had received it.
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
            // Errors that an earlier process caught are not caught by this one.
            _ => caught.clear(),
        }
    }
}
