//! Half a minute of `examples/soak.rs`, which ends with an error if memory or the file grows.

use std::path::Path;
use std::process::Command;

#[test]
fn neither_memory_nor_the_file_grows_while_executions_come_and_go() {
    let tests = std::env::current_exe().expect("this program has a path");
    let soak = tests.parent().and_then(Path::parent).expect("a folder for each profile").join("examples/soak");
    if !soak.exists() {
        // Only tests were built, without the examples.
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", "soak"]).status();
        assert!(built.is_ok_and(|built| built.success()), "the example cannot be built");
    }
    let ran = Command::new(soak).args(["30s", "1s"]).output().expect("it runs");
    let (said, failed) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    println!("{said}");
    assert!(ran.status.success(), "{said}{failed}");
    assert!(said.lines().count() > 5, "it has measured nothing: {said}");
}
