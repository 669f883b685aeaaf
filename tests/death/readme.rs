//! The program of the README, unchanged.

use std::path::Path;
use std::process::Command;

use crate::process::{example, start};

/// Its output without stderr, and its exit code.
fn run(dir: &Path, env: &[(&str, &str)]) -> (Vec<String>, Option<i32>) {
    let mut command = Command::new(example("write_report"));
    command.envs(env.iter().copied());
    start(command, dir).end()
}

const BREAK: (&str, &str) = ("BREAK", "1");

#[test]
fn readme_program_resumes_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &[BREAK]), (vec!["researching".into(), "drafting".into()], Some(1)));
    assert_eq!(run(dir.path(), &[]), (vec!["drafting".into(), "NOTES ON TIDES".into()], Some(0)));
    assert_eq!(run(dir.path(), &[]), (vec!["NOTES ON TIDES".into()], Some(0)));
    assert_eq!(run(dir.path(), &[BREAK]), (vec!["NOTES ON TIDES".into()], Some(0)), "it is done");
}

#[test]
fn readme_program_says_why_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(example("write_report"));
    command.env("BREAK", "1").env("KITARU_DIR", dir.path()).env_remove("RUST_BACKTRACE");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert_eq!(said, "Error: no paper\n");
}

#[test]
fn implicit_store_opens_in_an_unversioned_folder_or_at_the_configured_path() {
    let dir = tempfile::tempdir().unwrap();
    let run = |env: Option<&str>| {
        let mut command = Command::new(example("write_report"));
        command.current_dir(dir.path()).env_remove("KITARU_DIR").envs(env.map(|dir| ("KITARU_DIR", dir)));
        assert!(command.output().unwrap().status.success());
    };
    run(None);
    assert!(dir.path().join(".kitaru/store.redb").exists());
    assert_eq!(std::fs::read_to_string(dir.path().join(".kitaru/.gitignore")).unwrap(), "*\n");
    run(Some("elsewhere/deep"));
    assert!(dir.path().join("elsewhere/deep/store.redb").exists());
}

#[test]
fn without_the_cache_everything_runs_again_and_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let all = ["researching", "drafting", "NOTES ON TIDES"].map(String::from).to_vec();
    assert_eq!(run(dir.path(), &[]), (all.clone(), Some(0)));
    assert_eq!(run(dir.path(), &[("KITARU_CACHE", "off")]), (all, Some(0)));
    assert_eq!(run(dir.path(), &[]), (vec!["NOTES ON TIDES".into()], Some(0)));
}

#[test]
fn the_readme_shows_the_program_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(root.join("examples/write_report.rs")).unwrap();
    let program = example.split_once("\n\n").unwrap().1;
    for (file, margin) in [("README.md", ""), ("src/lib.rs", "//! ")] {
        let shown: String =
            program.lines().map(|line| format!("{margin}{line}").trim_end().to_owned() + "\n").collect();
        assert!(std::fs::read_to_string(root.join(file)).unwrap().contains(&shown), "{file} shows another program");
    }
}
