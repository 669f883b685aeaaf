//! Another process that runs one of the programs, and is killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Which program the other process runs.
pub(crate) const PROGRAM: &str = "KITARU_TEST_PROGRAM";
/// Where it stops.
pub(crate) const STOP: &str = "KITARU_TEST_STOP";

/// The time after which a process is killed: far longer than any process takes.
const LONGEST: Duration = Duration::from_secs(60);

/// A running process. If it does not end, it is killed, so that the test that waits for it fails.
pub(crate) struct Process {
    child: Arc<Watched>,
    said: Lines<BufReader<ChildStdout>>,
}

struct Watched {
    child: Mutex<Child>,
    is_late: AtomicBool,
}

/// Runs a program below a folder; `stop` names the place where it stops.
pub(crate) fn run(program: &str, dir: &Path, stop: &str) -> Process {
    start(command(program, stop), dir)
}

/// The command that runs a program.
pub(crate) fn command(program: &str, stop: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", "programs::program", "--nocapture"]).env(PROGRAM, program).env(STOP, stop);
    command
}

/// The program of an example of this package.
pub(crate) fn example(name: &str) -> PathBuf {
    let target = std::env::current_exe().expect("this program has a path");
    let folder = target.parent().and_then(Path::parent).expect("a folder for each profile").join("examples");
    let program = folder.join(name);
    if !program.exists() {
        // Only tests were built, without the examples.
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", name]).status();
        assert!(built.is_ok_and(|built| built.success()), "the example cannot be built");
    }
    program
}

/// Starts a command whose store is below a folder.
pub(crate) fn start(mut command: Command, dir: &Path) -> Process {
    command.stderr(Stdio::inherit());
    start_as_it_is(command, dir)
}

/// The same, but the command decides where its stderr goes.
pub(crate) fn start_as_it_is(mut command: Command, dir: &Path) -> Process {
    command.current_dir(dir).env("KITARU_DIR", dir.join("store"));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a process starts");
    let said = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
    let child = Arc::new(Watched { child: Mutex::new(child), is_late: AtomicBool::new(false) });
    let (watched, begun) = (Arc::downgrade(&child), Instant::now());
    std::thread::spawn(move || {
        while let Some(child) = watched.upgrade() {
            if begun.elapsed() > LONGEST {
                child.is_late.store(true, Ordering::SeqCst);
                return child.kill();
            }
            drop(child);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    Process { child, said }
}

impl Watched {
    fn with<T>(&self, act: impl FnOnce(&mut Child) -> T) -> T {
        act(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn kill(&self) {
        self.with(|child| child.kill().expect("it is there to be killed"));
    }
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.with(|child| child.id())
    }

    /// Reads until it prints this line.
    pub(crate) fn wait_for(&mut self, line: &str) {
        let said = self.read_until(line);
        assert!(
            said.last().is_some_and(|last| last == line),
            "the process has ended without saying `{line}`: {said:?}"
        );
    }

    /// Its output up to this line, or to its end.
    pub(crate) fn read_until(&mut self, line: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|last| last != line) {
            let Some(said) = self.said.next() else { break };
            lines.push(said.expect("a line"));
        }
        lines
    }

    /// Its next line.
    pub(crate) fn line(&mut self) -> String {
        self.said.next().expect("it prints one more line").expect("a line")
    }

    /// Its next `lines` lines, or fewer if it ends first.
    pub(crate) fn read(&mut self, lines: usize) -> Vec<String> {
        self.said.by_ref().take(lines).map(|line| line.expect("a line")).collect()
    }

    /// SIGKILL, without any warning.
    pub(crate) fn kill(self) {
        self.child.kill();
        self.child.with(|child| child.wait().expect("it ends"));
    }

    /// Waits for its end. Returns the rest of its output, and its exit code.
    pub(crate) fn end(mut self) -> (Vec<String>, Option<i32>) {
        let said = self.said.by_ref().map(|line| line.expect("a line")).collect();
        let code = self.child.with(|child| child.wait().expect("it ends").code());
        assert!(!self.child.is_late.load(Ordering::SeqCst), "the process did not end within {LONGEST:?}: {said:?}");
        (said, code)
    }
}

/// A folder for one process after another.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Runs a program to its end, and returns its result.
pub(crate) fn result(program: &str, dir: &Path) -> String {
    let (said, code) = run(program, dir, "").end();
    assert_eq!(code, Some(0), "{said:?}");
    said.into_iter().find_map(|line| line.strip_prefix("result ").map(str::to_owned)).expect("it says its result")
}

/// Prints a line for the parent process.
pub(crate) fn say(line: impl AsRef<OsStr>) {
    println!("{}", line.as_ref().to_string_lossy());
}
