//! The fan-out example, which ends itself in the middle.

use std::path::Path;
use std::process::Command;

use crate::process::{example, start};

fn run(dir: &Path, env: Option<(&str, &str)>) -> (Vec<String>, Option<i32>) {
    let mut command = Command::new(example("fan_out"));
    command.env_remove("CRASH_AT").env_remove("MIRROR_DOWN").envs(env);
    start(command, dir).end()
}

#[test]
fn map_whose_process_crashed_resumes_with_the_missing_items() {
    let dir = tempfile::tempdir().unwrap();
    let (before, code) = run(dir.path(), Some(("CRASH_AT", "7")));
    assert!(code.is_none() && !before.is_empty(), "it aborted after it had fetched some: {before:?}");
    let (after, code) = run(dir.path(), Some(("MIRROR_DOWN", "abc")));
    assert_eq!(code, Some(1), "no mirror is up");
    // The last fetches may not have been recorded.
    let twice = after.iter().filter(|line| before.contains(line)).count();
    assert!(twice <= 4 && before.len() + after.len() - twice == 10, "{before:?} {after:?}");
    let result = "10 pages, from page 1 to page 10; 2 of 3 mirrors have them";
    assert_eq!(run(dir.path(), Some(("MIRROR_DOWN", "b"))), (vec![result.to_owned()], Some(0)));
    assert_eq!(run(dir.path(), None), (vec![result.to_owned()], Some(0)), "it is done");
}
