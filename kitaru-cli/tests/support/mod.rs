//! The command `kitaru`, and a process of the test's own program that holds a store.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The folder of the store that the test `holder` of a test program is to hold.
pub(crate) fn held() -> Option<std::ffi::OsString> {
    std::env::var_os("HELD")
}

/// A process that holds a store until it is dropped: then it is killed.
pub(crate) struct Holder(Child);

impl Holder {
    /// Runs the test `holder` of this program, until it holds the store and `is_so`.
    pub(crate) fn start(dir: &Path, environment: &[(&str, &str)], what: &str, is_so: impl Fn() -> bool) -> Self {
        let mut holder = Command::new(std::env::current_exe().unwrap());
        holder.args(["--exact", "holder", "--nocapture"]).env("HELD", dir).envs(environment.iter().copied());
        let holder = Holder(holder.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        // Before that, the command reads the store itself.
        until(what, || run(dir, &["status"]).stdout.starts_with(b"process ") && is_so());
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The command, for the store in a folder.
pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kitaru"));
    command.env("KITARU_DIR", dir);
    command
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir).args(args).output().unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

pub(crate) fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// What a command prints that succeeds.
pub(crate) fn done(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert_eq!(code(&output), Some(0), "{args:?}: {}{}", out(&output), error(&output));
    out(&output)
}

pub(crate) fn refused(dir: &Path, args: &[&str], expected: i32, says: &str) {
    let output = run(dir, args);
    assert_eq!(code(&output), Some(expected), "{args:?}: {}{}", out(&output), error(&output));
    assert!(error(&output).contains(says), "{args:?}: {}", error(&output));
}

pub(crate) fn status(dir: &Path, execution: &str) -> String {
    let shown = json(&run(dir, &["show", execution, "--json"]));
    shown["execution"]["status"].as_str().unwrap_or_default().to_owned()
}
