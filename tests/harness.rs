//! The library of the stage examples: the bounds of `exec`, the tools, and the two turns of the scripted model.
#![cfg(all(unix, feature = "agent"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../examples/harness/mod.rs"]
#[allow(dead_code, reason = "the examples use what these tests do not")]
mod harness;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{
    agents::build_agent_on,
    exec::{Exec, ExecOutput},
    profile::Profile,
    scripted::Scripted,
    tools::build_tools,
};
use kitaru::agent::{Agent, FunctionModel, Message, ModelResponse, RequestPart};

const KEPT: usize = 16 * 1024;

async fn exec(command: &str) -> ExecOutput {
    Exec::default().run(command).await.unwrap()
}

fn profile() -> Profile {
    Profile {
        name: "default".to_owned(),
        system_prompt: "You look into machines.".to_owned(),
        model: "none".to_owned(),
        allowed_tools: vec!["exec".to_owned()],
    }
}

fn scripted_agent() -> Agent {
    build_agent_on(Arc::new(Scripted), &profile()).unwrap()
}

/// Whether the process whose id is in `file` is gone, after a little time to end.
async fn is_gone(file: &Path) -> bool {
    let pid = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    for _ in 0..100 {
        // A zombie that is not reaped yet still answers; it counts as gone.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if rustix::process::test_kill_process(pid).is_err() || state.contains(") Z ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn exec_gives_exit_code_stdout_and_stderr_apart() {
    let output = exec("echo out; echo err >&2; exit 3").await;
    assert_eq!((output.exit_code, output.timed_out), (Some(3), false));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!((output.stdout_bytes_cut, output.stderr_bytes_cut), (0, 0));
    assert_eq!(exec("kill -TERM $$").await.exit_code, Some(128 + 15));
    assert_eq!(exec("no-such-command-here").await.exit_code, Some(127));
}

#[tokio::test]
async fn exec_keeps_the_first_16_kib_of_each_output_and_says_how_much_it_cut() {
    let output = exec("head -c 1000000 /dev/zero | tr '\\0' a; head -c 20000 /dev/zero | tr '\\0' b >&2").await;
    assert_eq!((output.stdout.len(), output.stdout_bytes_cut), (KEPT, 1_000_000 - KEPT as u64));
    assert_eq!((output.stderr.len(), output.stderr_bytes_cut), (KEPT, 20_000 - KEPT as u64));
    assert_eq!(output.exit_code, Some(0));
}

#[tokio::test]
async fn exec_reads_both_outputs_concurrently_so_that_no_pipe_blocks() {
    let output = exec("for i in 1 2 3 4; do head -c 200000 /dev/zero >&2; head -c 200000 /dev/zero; done").await;
    assert_eq!((output.exit_code, output.stdout_bytes_cut), (Some(0), 800_000 - KEPT as u64));
}

#[tokio::test]
async fn exec_cuts_between_characters_and_replaces_invalid_text() {
    let output = Exec::bounded(Duration::from_secs(30), 4).run("printf 'aéé€'; printf '\\377' >&2").await.unwrap();
    assert_eq!((output.stdout.as_str(), output.stdout_bytes_cut), ("aé", 4));
    assert_eq!(output.stderr, "\u{fffd}");
}

#[tokio::test]
async fn command_past_its_time_is_killed_with_its_children_and_keeps_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let child = folder.path().join("child");
    let begun = Instant::now();
    let command = format!("echo begun; (sleep 600 & echo $! > {}; wait); sleep 600", child.display());
    let output = Exec::bounded(Duration::from_millis(400), KEPT).run(&command).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((output.timed_out, output.exit_code, output.stdout.as_str()), (true, None, "begun\n"));
    assert!(is_gone(&child).await);
}

#[tokio::test]
async fn a_flood_is_killed_in_its_time_and_never_held_in_memory() {
    let output = Exec::bounded(Duration::from_millis(200), KEPT).run("yes").await.unwrap();
    assert!(
        output.timed_out && output.stdout.len() == KEPT && output.stdout_bytes_cut > 0,
        "{}",
        output.stdout_bytes_cut
    );
}

#[tokio::test]
async fn a_child_left_in_the_background_neither_holds_up_nor_outlives_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let child = folder.path().join("child");
    let begun = Instant::now();
    let output = exec(&format!("sleep 600 & echo $! > {}; echo done", child.display())).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((output.exit_code, output.stdout.as_str()), (Some(0), "done\n"));
    assert!(is_gone(&child).await);
}

#[tokio::test]
async fn a_call_that_is_dropped_takes_its_command_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let child = folder.path().join("child");
    let command = format!("sleep 600 & echo $! > {}; wait", child.display());
    let tool = Exec::default();
    let mut call = Box::pin(tool.run(&command));
    while std::fs::read_to_string(&child).is_ok_and(|pid| pid.ends_with('\n')).eq(&false) {
        let _ = tokio::time::timeout(Duration::from_millis(10), &mut call).await;
    }
    drop(call);
    assert!(is_gone(&child).await);
}

#[tokio::test]
async fn a_command_has_nothing_to_read_from() {
    assert_eq!(exec("cat").await.exit_code, Some(0));
}

#[tokio::test]
async fn a_command_sees_no_key_and_still_finds_its_way() {
    const NAME: &str = "a_command_sees_no_key_and_still_finds_its_way";
    if std::env::var_os("OPENAI_API_KEY").is_some() {
        let seen = exec("env").await.stdout;
        assert!(!seen.contains("sk-for-this-test"), "{seen}");
        assert!(seen.contains("PATH=") && seen.contains("LANG=xx"), "{seen}");
        return;
    }
    // Again, in a process of its own that has keys.
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", NAME]).env("LANG", "xx");
    for key in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DATABASE_URL"] {
        again.env(key, "sk-for-this-test");
    }
    let output = again.output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

#[test]
fn tools_are_built_by_name_and_an_unknown_name_lists_the_known_ones() {
    assert!(build_tools(&[]).unwrap().is_empty());
    let tools = build_tools(&["exec".to_owned()]).unwrap();
    assert_eq!(tools.iter().map(|tool| tool.definition().name.as_str()).collect::<Vec<_>>(), ["exec"]);
    let error = build_tools(&["exec".to_owned(), "fly".to_owned()]).err().unwrap();
    assert_eq!(error.to_string(), "there is no tool `fly`; the tools are `exec`");
}

#[test]
fn a_profile_survives_serde() {
    let json = serde_json::to_string(&profile()).unwrap();
    assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), profile());
}

#[tokio::test]
async fn wrong_arguments_of_exec_go_back_to_the_model() {
    let model = FunctionModel::new("clumsy", |request| match request.messages.len() {
        1 => Ok(ModelResponse::tool_call("call_1", "exec", r#"{"cmd":"ls"}"#)),
        _ => Ok(ModelResponse::text("sorry")),
    });
    let result = build_agent_on(Arc::new(model), &profile()).unwrap().run("go").await.unwrap();
    let Message::Request(told) = &result.new_messages.messages()[2] else { panic!("{result:?}") };
    let [RequestPart::RetryPrompt(retry)] = &told.parts[..] else { panic!("{told:?}") };
    assert_eq!(
        retry.content,
        "wrong arguments: Additional properties are not allowed ('cmd' was unexpected); \"command\" is a required property"
    );
}

#[tokio::test]
async fn scripted_model_runs_four_commands_and_answers_from_their_output() {
    let found = scripted_agent().run("Find out about this machine.").await.unwrap();
    assert_eq!((found.usage.requests, found.usage.tool_calls), (2, 4));
    let kernel = exec("uname -r").await.stdout;
    let user = exec("id -un").await.stdout;
    assert!(found.output.contains(&format!("- Kernel version: {}", kernel.trim())), "{}", found.output);
    assert!(found.output.contains(&format!("- Current user: {}", user.trim())), "{}", found.output);
    let processes = found.output.lines().find_map(|line| line.strip_prefix("- Number of processes: ")).unwrap();
    assert!(processes.parse::<u32>().unwrap() > 0);
    assert!(!found.output.contains("unknown"), "{}", found.output);
}

#[tokio::test]
async fn scripted_model_sums_up_a_finding_without_a_command() {
    let agent = scripted_agent();
    let found = agent.run("Find out about this machine.").await.unwrap();
    let from_prompt = agent.run(format!("Summarize this.\n\n{}", found.output)).await.unwrap();
    assert_eq!((from_prompt.usage.requests, from_prompt.usage.tool_calls), (1, 0));
    assert!(!from_prompt.output.contains('\n') && from_prompt.output.contains("on kernel"), "{}", from_prompt.output);
    let from_history = agent.run("Summarize what you found.").history(found.all_messages()).await.unwrap();
    assert_eq!(from_history.output, from_prompt.output);
}
