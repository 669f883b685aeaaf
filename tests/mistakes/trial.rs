//! Runs of single tests, with a mistake and without. Owns what counts as noticed; must not know how a test was built.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::list::{Mistake, TestName};
use crate::verdict::Verdict;
use crate::workshop::{Programs, VARIABLE, Workshop};

/// How long a test may take. One that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(240);

/// Runs the tests that a mistake names with that mistake switched on.
pub(crate) fn with(workshop: &Workshop, programs: &Programs, mistake: &Mistake) -> Verdict {
    let begun = Instant::now();
    for test in &mistake.tests {
        match run(workshop, programs, test, Some(&mistake.name)) {
            Ended::Failed => {}
            Ended::Passed => return Verdict::Passes(test.clone()),
            Ended::Hung => return Verdict::Hangs(test.clone()),
            Ended::Ran(why) => return Verdict::Unsound(format!("{test}: {why}")),
        }
    }
    let tests: Vec<String> = mistake.tests.iter().map(TestName::to_string).collect();
    println!("{:<44} noticed in {:.1} s by {}", mistake.name, begun.elapsed().as_secs_f64(), tests.join(", "));
    Verdict::Noticed
}

/// Why a test proves nothing about a mistake; `None` if it passes without one.
pub(crate) fn passes(workshop: &Workshop, programs: &Programs, test: &TestName) -> Option<String> {
    match run(workshop, programs, test, None) {
        Ended::Passed => None,
        Ended::Failed => Some(format!("{test} fails without any mistake")),
        Ended::Hung => Some(format!("{test} hangs without any mistake")),
        Ended::Ran(why) => Some(format!("{test}: {why}")),
    }
}

enum Ended {
    Passed,
    Failed,
    Hung,
    /// It ran, and said neither.
    Ran(String),
}

fn run(workshop: &Workshop, programs: &Programs, test: &TestName, mistake: Option<&str>) -> Ended {
    let Some(program) = programs.get(&test.program) else { return Ended::Ran("there is no such program".to_owned()) };
    // A file, since a pipe without a reader fills up.
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let log = workshop.scratch().join(format!("{}.log", RUNS.fetch_add(1, Ordering::Relaxed)));
    let Ok(out) = File::create(&log) else { return Ended::Ran(format!("cannot write {}", log.display())) };
    let mut command = Command::new(&program.file);
    command.args(["--exact", &test.path]).args(&test.arguments);
    command.current_dir(&program.package).env("CARGO_MANIFEST_DIR", &program.package);
    command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
    command.envs(mistake.map(|name| (VARIABLE, name)));
    let begun = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(why) => return Ended::Ran(format!("cannot run {}: {why}", program.file.display())),
    };
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() > LONGEST => {
                let _ = child.kill();
                let _ = child.wait();
                return Ended::Hung;
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let said = fs::read_to_string(&log).unwrap_or_default();
    let line = format!("test {} ... ", test.path);
    match (said.contains("running 0 tests"), status.success()) {
        (true, _) => Ended::Ran("there is no such test".to_owned()),
        (false, true) if said.contains(&format!("{line}ok")) => Ended::Passed,
        (false, false) if said.contains(&format!("{line}FAILED")) => Ended::Failed,
        _ => Ended::Ran(format!("its program ended with {status}")),
    }
}
