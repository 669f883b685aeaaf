//! The example of stage 1 as a process, with its failure between the turns and with a real kill there.

#[path = "../kitaru-agent/tests/support/mod.rs"]
#[allow(
    clippy::unwrap_used,
    dead_code,
    reason = "the tests of the agent use all of it, and a failed unwrap fails a test"
)]
mod llmock;

use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use llmock::LlMock;
use serde_json::json;

fn program() -> PathBuf {
    let target = std::env::current_exe().expect("this program has a path");
    let folder = target.parent().and_then(Path::parent).expect("a folder for each profile");
    let program = folder.join("examples/stage_1_basic_agent");
    if !program.exists() {
        // Only tests were built, without the examples.
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", "stage_1_basic_agent"]).status();
        assert!(built.is_ok_and(|built| built.success()), "the example cannot be built");
    }
    program
}

/// A folder with the job's store, and the model that answers.
struct Job {
    dir: tempfile::TempDir,
    server: Option<LlMock>,
}

/// The output of one process.
#[derive(Debug)]
struct Said {
    log: Vec<String>,
    out: String,
    code: Option<i32>,
}

impl Job {
    fn scripted() -> Self {
        Job { dir: tempfile::tempdir().expect("a folder"), server: None }
    }

    fn command(&self, env: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.dir.path()).env("KITARU_DIR", self.dir.path().join("store"));
        for name in ["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "KITARU_CACHE", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        if let Some(server) = &self.server {
            command.env("OPENAI_API_KEY", "sk-anything-at-all").env("OPENAI_BASE_URL", server.base_url());
        }
        command.envs(env.iter().map(|name| (*name, "1")));
        command
    }

    fn run(&self, env: &[&str]) -> Said {
        let output = self.command(env).output().expect("it runs");
        let log = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
        Said { log, out: String::from_utf8_lossy(&output.stdout).into_owned(), code: output.status.code() }
    }

    /// Kills the process as soon as its first turn is over. Returns whether that was before the end of the second turn.
    fn kill_between_turns(&self) -> bool {
        let mut child = self.command(&[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log is a pipe"));
        let mut line = String::new();
        while !line.starts_with("Checkpoint `default` finished") {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it ended before its first turn did");
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("the rest of its log");
        !rest.contains("`default_2` finished")
    }
}

impl Said {
    /// The log events of a checkpoint: `started`, `finished`, `cached`, `failed`, each with its details.
    fn of(&self, checkpoint: &str) -> Vec<&str> {
        let start = format!("Checkpoint `{checkpoint}` ");
        self.log.iter().filter_map(|line| line.strip_prefix(&start)).collect()
    }

    fn bill(&self) -> &str {
        self.out.lines().find(|line| line.starts_with("Paid for")).expect("a bill")
    }

    fn is_bill(&self, paid: &str, replayed: &str) {
        let expected = format!("Paid for: {paid}. Replayed: {replayed}. Time: ");
        assert!(self.bill().starts_with(&expected), "{self:#?}");
    }

    fn first_turn_ran(&self) {
        let [started, finished] = self.of("default")[..] else { panic!("{self:#?}") };
        assert_eq!(started, "started.");
        assert!(
            finished.starts_with("finished in ") && finished.ends_with("(2 model calls, 4 tool calls)."),
            "{self:#?}"
        );
    }

    fn first_turn_was_cached(&self) {
        assert_eq!(self.of("default"), ["cached (0 model calls; 2 model calls, 4 tool calls replayed)."], "{self:#?}");
    }

    fn second_turn_ran(&self) {
        let [started, finished] = self.of("default_2")[..] else { panic!("{self:#?}") };
        assert_eq!(started, "started.");
        assert!(
            finished.starts_with("finished in ") && finished.ends_with("(1 model call, 0 tool calls)."),
            "{self:#?}"
        );
    }

    fn shows_the_result(&self) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let (_, result) = self.out.split_once("Finding\n").unwrap_or_else(|| panic!("{self:#?}"));
        let (finding, summary) = result.split_once("\nSummary\n").unwrap_or_else(|| panic!("{self:#?}"));
        assert!(!finding.trim().is_empty() && !summary.trim().is_empty(), "{self:#?}");
    }

    fn failed_between_the_turns(&self) {
        self.first_turn_ran();
        assert!(self.of("default_2").is_empty(), "{self:#?}");
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(self.log.iter().any(|line| line.starts_with("Flow `inspect_machine` failed")), "{self:#?}");
        assert!(self.log.iter().any(|line| line.starts_with("Error: FORCE_FAILURE is set")), "{self:#?}");
    }
}

const NOTHING: &str = "0 model calls, 0 tool calls";
const TURN_1: &str = "2 model calls, 4 tool calls";
const TURN_2: &str = "1 model call, 0 tool calls";
const BOTH: &str = "3 model calls, 4 tool calls";

#[test]
fn failure_between_the_turns_costs_nothing_of_the_first_turn() {
    let job = Job::scripted();
    let failed = job.run(&["FORCE_FAILURE"]);
    failed.failed_between_the_turns();
    failed.is_bill(TURN_1, NOTHING);

    let continued = job.run(&[]);
    continued.first_turn_was_cached();
    continued.second_turn_ran();
    continued.shows_the_result();
    continued.is_bill(TURN_2, TURN_1);

    let done = job.run(&[]);
    assert!(done.log.iter().any(|line| line.starts_with("Flow `inspect_machine` cached")), "{done:#?}");
    done.shows_the_result();
    done.is_bill(NOTHING, BOTH);
}

#[test]
fn without_the_cache_everything_runs_again_and_is_cached_again() {
    let job = Job::scripted();
    job.run(&[]).is_bill(BOTH, NOTHING);
    let again = job.run(&["DISABLE_CACHE"]);
    again.first_turn_ran();
    again.second_turn_ran();
    again.shows_the_result();
    again.is_bill(BOTH, NOTHING);
    job.run(&[]).is_bill(NOTHING, BOTH);
}

#[test]
fn a_failure_that_is_forced_on_a_finished_job_starts_it_afresh() {
    let job = Job::scripted();
    job.run(&[]).shows_the_result();
    job.run(&["FORCE_FAILURE"]).failed_between_the_turns();
    let continued = job.run(&[]);
    continued.first_turn_was_cached();
    continued.second_turn_ran();
}

#[test]
fn a_process_killed_between_the_turns_leaves_the_first_one_done() {
    // The second turn of a script takes no time, so that the kill may be too late.
    for _ in 0..50 {
        let job = Job::scripted();
        if job.kill_between_turns() {
            let continued = job.run(&[]);
            if continued.of("default_2").first() == Some(&"started.") {
                continued.first_turn_was_cached();
                continued.shows_the_result();
                continued.is_bill(TURN_2, TURN_1);
                return;
            }
        }
    }
    panic!("the kill came too late each time");
}

#[test]
fn screen_names_the_scripted_model_and_shows_this_machines_finding() {
    let said = Job::scripted().run(&[]);
    assert!(said.out.starts_with("Model: scripted."), "{said:#?}");
    let kernel = Command::new("uname").arg("-r").output().unwrap().stdout;
    let kernel = String::from_utf8(kernel).unwrap();
    assert!(said.out.contains(&format!("- Kernel version: {}", kernel.trim())), "{said:#?}");
}

#[test]
fn servers_own_log_shows_that_the_first_turn_is_paid_for_once() {
    let Some(server) = LlMock::start() else { return };
    let exec = |command: &str| json!({ "name": "exec", "arguments": { "command": command } });
    let commands = ["uname -s", "uname -r", "id -un", "ls -d /proc/[0-9]* | wc -l"].map(exec);
    server.script(json!([
        { "type": "reply", "tool_calls": commands },
        { "type": "reply", "text": "- Operating system: Linux" },
        { "type": "reply", "text": "This machine runs Linux." },
    ]));
    let job = Job { server: Some(server), ..Job::scripted() };
    let asked = || job.server.as_ref().map_or(0, |server| server.requests().len());

    let failed = job.run(&["FORCE_FAILURE"]);
    failed.failed_between_the_turns();
    assert_eq!(asked(), 2);
    assert!(failed.out.starts_with("Model: gpt-4.1-mini, over HTTP."), "{failed:#?}");

    let continued = job.run(&[]);
    continued.first_turn_was_cached();
    continued.second_turn_ran();
    continued.shows_the_result();
    assert!(continued.out.contains("This machine runs Linux."), "{continued:#?}");
    assert_eq!(asked(), 3, "only the second turn reached the server");

    job.run(&[]).is_bill(NOTHING, BOTH);
    assert_eq!(asked(), 3);
}
