//! The functions that the attributes accept, and the messages for the others.
//!
//! Each test has a group of the files in `tests/ui`, so that a failure names its group. A file belongs to the one group
//! whose beginning it has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const GROUPS: [(&str, &[&str]); 4] = [
    ("checkpoint", &["checkpoint_"]),
    ("flow", &["flow_"]),
    ("tool", &["tool_", "tools"]),
    ("call", &["histories", "map_", "not_", "odd_places"]),
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

/// What the compiler prints of these depends on more than their source: it writes paths through crates that are not named here.
/// So only what each case lists is compared: how often a text is said.
#[test]
fn attributes_explain_what_types_of_agents_lack() {
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("said");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(project.join("src")).expect("a folder");
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).expect("a lock file");
    let manifest = format!(
        "[package]\nname = \"said\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         kitaru = {{ path = {root:?}, features = [\"testkit\"] }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n"
    );
    fs::write(project.join("Cargo.toml"), manifest).expect("a manifest");
    for case in cases("said") {
        let source = fs::read_to_string(&case).expect("a case");
        fs::write(project.join("src/main.rs"), &source).expect("a program");
        let mut check = Command::new(env!("CARGO"));
        check.args(["check", "--quiet", "--offline"]).current_dir(&project).env_remove("RUSTFLAGS");
        // What the other cases have compiled is there.
        check.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tests/trybuild"));
        let checked = check.output().expect("cargo");
        let says = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!checked.status.success(), "{} compiles", case.display());
        for expected in source.lines().filter_map(|line| line.strip_prefix("//~ ")) {
            let (times, text) = expected.split_once(' ').expect("a number and a text");
            let times: usize = times.parse().expect("a number");
            let said = says.matches(text).count();
            assert_eq!(said, times, "{} is to say {times} times: {text}\n{says}", case.display());
        }
    }
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
