//! `kitaru fork` and `kitaru diff`, against a store that another process holds, and a free one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::time::Duration;

use kitaru::{Kitaru, checkpoint, flow, wait};

mod support;

use support::{Holder, done, error, held, json, run, status, until};

#[checkpoint]
async fn research(topic: &str) -> anyhow::Result<String> {
    Ok(format!("notes on {topic}"))
}

#[checkpoint]
async fn draft(notes: &str) -> anyhow::Result<String> {
    Ok(format!("draft of {notes}"))
}

#[flow]
async fn report(topic: String) -> anyhow::Result<String> {
    let notes = research(&topic).await?;
    let draft = draft(&notes).await?;
    let approved = wait::<bool>("approval").question("Print it?").await?;
    Ok(format!("{draft}, {approved}"))
}

/// The program that holds the store, in a process of its own.
#[test]
fn holder() {
    let Some(dir) = held() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        let job = report("tides".to_owned()).id("job").on(&kitaru).start().await.unwrap();
        // It was answered before, if the process is not the first one.
        let _ = kitaru.answer(&job, "approval", &true).await;
        job.await.unwrap();
        std::future::pending::<()>().await;
    });
}

fn hold(dir: &Path) -> Holder {
    Holder::start(dir, &[], "the report is done", || status(dir, "report/job") == "completed")
}

fn until_completed(dir: &Path, execution: &str) {
    until(execution, || status(dir, execution) == "completed");
}

#[test]
fn execution_is_forked_by_the_process_that_holds_it_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let holder = hold(dir);
    let planned = done(dir, &["fork", "job", "--from", "draft", "--dry-run"]);
    let expected = "would fork report/job as report/job-fork-1\n  takes over 1 record, 1 answer or signal\n  \
                    runs again, with new idempotency keys:\n    draft #2\n";
    assert_eq!(planned, expected);
    let forked = done(dir, &["fork", "job", "--set", "research=notes of a sailor"]);
    assert!(forked.starts_with("forked report/job as report/job-fork-1\n"), "{forked}");
    until_completed(dir, "report/job-fork-1");
    let shown = done(dir, &["show", "job-fork-1"]);
    assert!(shown.contains("fork of     report/job, with another research"), "{shown}");
    assert!(shown.contains("draft of notes of a sailor, true") && shown.contains("(taken over)"), "{shown}");

    let compared = done(dir, &["diff", "job", "job-fork-1"]);
    for line in ["input the same, result different", "changed  research", "changed  draft", "1 equal: --all shows them"]
    {
        assert!(compared.contains(line), "{compared}");
    }
    assert!(done(dir, &["diff", "job", "job-fork-1", "--all"]).contains("equal    approval"));
    let compared = json(&run(dir, &["diff", "job", "job-fork-1", "--json"]));
    assert_eq!(compared["records"][1]["arguments"][0]["first"], "\"notes on tides\"");
    assert_eq!(compared["records"][0]["second"]["taken_over"], true);

    let input = ["fork", "job", "--input", r#"{"topic":"rain"}"#, "--id", "rain", "--json", "--tag", "tried"];
    let forked = json(&run(dir, &input));
    assert_eq!((&forked["id"], &forked["begun"], &forked["taken_over"]), (&"rain".into(), &true.into(), &0.into()));
    until_completed(dir, "report/rain");

    for (args, why) in [
        (vec!["fork", "job", "--from", "darft"], "no record `darft`; its records are `research`, `draft`, `approval`"),
        (vec!["fork", "job", "--set", "draft=7"], "invalid type: integer `7`, expected a string"),
        (vec!["fork", "job", "--input", "[]"], "it has 0 arguments"),
        (vec!["fork", "job", "--id", "rain"], "has an execution of this id"),
    ] {
        let refused = run(dir, &args);
        assert!(!refused.status.success() && error(&refused).contains(why), "{args:?}: {}", error(&refused));
    }
    let wrong = run(dir, &["fork", "job", "--set", "draft"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", error(&wrong));

    drop(holder);
    // No process has the flow.
    assert!(done(dir, &["fork", "job", "--from", "draft", "--dry-run"]).contains("draft #2"));
    let refused = run(dir, &["fork", "job", "--from", "draft"]);
    assert!(error(&refused).contains("run the program that has it"), "{}", error(&refused));
    assert!(done(dir, &["diff", "job", "rain"]).contains("input different"));
}
