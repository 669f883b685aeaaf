//! The parts of all programs: notes in a file that outlives them, and places where they stop to be killed.

use std::fs::OpenOptions;
use std::io::Write as _;

use kitaru::checkpoint;

use crate::process::{STOP, say};

pub(crate) fn note(line: &str) {
    let file = OpenOptions::new().append(true).create(true).open("notes");
    // One write, so that lines of several threads do not mix.
    file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())).expect("notes can be taken");
}

/// Waits forever if the process has to stop here.
pub(crate) async fn here(place: &str) {
    if std::env::var(STOP).is_ok_and(|stop| stop == place) {
        say("stopped");
        std::future::pending::<()>().await;
    }
}

#[checkpoint]
pub(crate) async fn step(n: u32) -> u64 {
    note(&format!("ran {n}"));
    here(&format!("in {n}")).await;
    u64::from(n) * 10
}
