//! A disk that is full, and has room again.

use std::process::Command;

use crate::process::{PROGRAM, STOP, start};
use crate::{count, noted, refuse_second_runs};

/// Whether a file system of a few megabytes can be made here, for one process and its children.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=1m kitaru /mnt";
    let tried = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn full_disk_fails_an_execution_cleanly_and_it_resumes_when_there_is_room() {
    if !can_mount() {
        println!("skipped: no file system can be mounted here, so none can be filled");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=60m kitaru \"$1\" && cd \"$1\" && head -c 45m /dev/zero > ballast \
                  && shift && \"$@\"; code=$?; cp notes \"$NOTES\"; exit $code";
    let notes = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(dir.path());
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "programs::program", "--nocapture"]);
    command.env(PROGRAM, "overflows").env(STOP, "").env("NOTES", notes.path().join("notes"));
    let (said, code) = start(command, dir.path()).end();
    assert_eq!(code, Some(0), "{said:?}");
    let full = said.iter().find(|line| line.starts_with("full ")).unwrap();
    assert!(full.starts_with("full true") && full.contains("make room"), "{full}");
    assert!(said.contains(&format!("result {}", 100 * (200 << 10))), "{said:?}");

    let notes = noted(notes.path());
    let before: Vec<String> = notes.iter().take_while(|note| *note != "full").cloned().collect();
    assert!(before.len() > 4, "the disk was full from the start: {notes:?}");
    refuse_second_runs(&notes, "a full disk");
    let again = (0..100).filter(|n| count(&notes, &format!("ran large {n}")) == 2).count();
    assert_eq!(again, 1, "only the body whose record found no room: {notes:?}");
}
