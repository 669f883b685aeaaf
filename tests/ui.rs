//! The functions that the attributes accept, and the messages for the others.
//!
//! Each test has a group of the files in `tests/ui`, so that a failure names its group. A file belongs to the one group
//! whose beginning it has.

use std::fs;
use std::path::{Path, PathBuf};

const GROUPS: [(&str, &[&str]); 4] = [
    ("checkpoint", &["checkpoint_"]),
    ("flow", &["flow_"]),
    ("tool", &["tool_", "tools"]),
    ("call", &["histories", "map_", "missing_", "not_", "odd_places"]),
];

/// The cases in a folder of `tests/ui`, in order.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/ui").join(folder);
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} has no case", folder.display());
    found
}

/// The groups that a case belongs to.
fn groups(case: &Path) -> Vec<&'static str> {
    let name = case.file_stem().expect("a name").to_string_lossy().into_owned();
    let has = |beginnings: &[&str]| beginnings.iter().any(|beginning| name.starts_with(beginning));
    GROUPS.iter().filter(|(_, beginnings)| has(beginnings)).map(|(group, _)| *group).collect()
}

fn explain(group: &str) {
    let own: Vec<PathBuf> = cases("fail").into_iter().filter(|case| groups(case).contains(&group)).collect();
    assert!(!own.is_empty(), "group {group} has no case");
    let run = trybuild::TestCases::new();
    for case in own {
        run.compile_fail(case);
    }
}

#[test]
fn attributes_accept_every_ordinary_function() {
    let run = trybuild::TestCases::new();
    for case in cases("pass") {
        run.pass(case);
    }
}

#[test]
fn attributes_explain_mistakes_in_checkpoints() {
    explain("checkpoint");
}

#[test]
fn attributes_explain_mistakes_in_flows() {
    explain("flow");
}

#[test]
fn attributes_explain_mistakes_in_tools() {
    explain("tool");
}

#[test]
fn attributes_explain_mistakes_in_calls_and_places() {
    explain("call");
}

#[test]
fn case_of_a_mistake_belongs_to_one_group() {
    let groups = |case: &PathBuf| groups(case).len();
    let lost: Vec<PathBuf> = cases("fail").into_iter().filter(|case| groups(case) != 1).collect();
    assert!(lost.is_empty(), "these belong to no group, or to several: {lost:?}");
    // A message without its case tests nothing.
    let messages = fs::read_dir("tests/ui/fail").expect("a folder").map(|entry| entry.expect("an entry").path());
    let stray: Vec<PathBuf> = messages.filter(|path| !path.with_extension("rs").exists()).collect();
    assert!(stray.is_empty(), "these have no case: {stray:?}");
}
