//! Searching, cancelling and resuming many executions, and the numbers of a store, by the command `kitaru`, against a store that
//! another process holds, a free one, and one whose holder dies.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kitaru::{Kitaru, checkpoint, flow, wait};

mod support;

use support::{Holder, code, command, done, error, held, json, out, run, until};

const ORDERS: usize = 25;

#[checkpoint]
async fn charge(items: u32) -> anyhow::Result<u32> {
    anyhow::ensure!(items != 13 || std::env::var_os("REPAIRED").is_some(), "the card service is down\u{1b}[2J");
    Ok(items)
}

#[flow]
async fn order(items: u32) -> anyhow::Result<u32> {
    let charged = charge(items).await?;
    anyhow::ensure!(wait::<bool>("approval").question("Ship it?").await?, "not approved");
    Ok(charged)
}

/// The program that holds the store, in a process of its own.
#[test]
fn holder() {
    let Some(dir) = held() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        // A call would resume what has failed.
        let begun = kitaru.executions().await.unwrap().len();
        for n in begun..ORDERS {
            let tag = if n % 2 == 0 { "web" } else { "shop" };
            let items = if n < 3 { 13 } else { 1 };
            let _ = order(items).id(format!("order-{n:02}")).tag(tag).on(&kitaru).start().await;
        }
        std::future::pending::<()>().await;
    });
}

fn hold(dir: &Path, environment: &[(&str, &str)]) -> Holder {
    Holder::start(dir, environment, "the orders are under way", || {
        let stats = json(&run(dir, &["stats", "--json"]));
        let at = |status: &str| stats["executions"][status].as_u64().unwrap_or_default();
        at("waiting") + at("failed") + at("cancelled") + at("completed") == ORDERS as u64
    })
}

/// What is printed, and the error.
fn ended(dir: &Path, args: &[&str], expected: i32) -> (String, String) {
    let output = run(dir, args);
    assert_eq!(code(&output), Some(expected), "{args:?}: {}{}", out(&output), error(&output));
    (out(&output), error(&output))
}

fn count(dir: &Path, status: &str) -> u64 {
    json(&run(dir, &["stats", "--json"]))["executions"][status].as_u64().unwrap()
}

#[test]
fn list_searches_ids_flows_tags_and_errors_by_one_word() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _holder = hold(dir, &[]);
    let listed = |args: &[&str]| done(dir, args).lines().filter(|line| line.contains("order/")).count();
    assert_eq!(listed(&["list", "order-0", "--limit", "100"]), 10);
    assert_eq!(listed(&["list", "order", "--limit", "100"]), ORDERS);
    assert_eq!(listed(&["list", "shop"]), 12);
    let failed = done(dir, &["list", "CARD service"]);
    assert!(failed.contains("the card service is down\\u{1b}[2J") && !failed.contains('\u{1b}'), "{failed}");
    assert_eq!(listed(&["list", "--search", "card", "--tag", "web"]), 2);
    assert_eq!(done(dir, &["list", "nothing of it"]), "no executions\n");
    let more = done(dir, &["list", "card", "--limit", "1"]);
    assert!(more.contains("--cursor"), "{more}");
}

#[test]
fn many_executions_are_cancelled_and_resumed_by_filters() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let holder = hold(dir, &[]);
    for command in ["cancel", "resume"] {
        let (_, error) = ended(dir, &[command], 2);
        assert!(error.contains("neither an execution nor a filter is given; give one, or --all"), "{error}");
        let (_, error) = ended(dir, &[command, "order-01", "--tag", "web"], 2);
        assert!(error.contains("leave out the filters, or the execution"), "{error}");
    }
    ended(dir, &["cancel", "order-01", "--dry-run"], 2);
    ended(dir, &["resume", "--tag", "web", "--forget", "charge"], 2);
    let dry = done(dir, &["cancel", "--tag", "web", "--dry-run"]);
    assert!(
        dry.starts_with("would cancel 11 executions\n  order/order-24\n") && dry.ends_with("  … and 1 more\n"),
        "{dry}"
    );
    assert_eq!(count(dir, "waiting"), 22);
    assert_eq!(done(dir, &["cancel", "--tag", "web"]), "cancelled 11 executions\n");
    assert_eq!((count(dir, "waiting"), count(dir, "cancelled")), (11, 11));
    let (_, error) = ended(dir, &["cancel", "--status", "completed"], 2);
    assert!(error.contains("take another status"), "{error}");

    // They fail again: the service is down still.
    assert_eq!(done(dir, &["resume", "--search", "card service"]), "resumed 3 executions\n");
    until("they failed again", || count(dir, "failed") == 3);
    drop(holder);
    let _holder = hold(dir, &[("REPAIRED", "1")]);
    assert_eq!(done(dir, &["resume", "--all"]), "resumed 3 executions\n");
    until("they wait", || count(dir, "waiting") == 14);
    let report = json(&run(dir, &["cancel", "--all", "--json"]));
    assert_eq!((report["done"].as_array().unwrap().len(), &report["next_cursor"]), (14, &serde_json::Value::Null));
    assert_eq!(done(dir, &["cancel", "--all"]), "cancelled 0 executions\n");
}

#[test]
fn free_store_cancels_many_without_their_undo_and_says_why_it_resumes_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    drop(hold(dir, &[]));
    let searched = done(dir, &["list", "card service"]);
    assert!(searched.contains("order/order-02"), "{searched}");
    let (out, _) = ended(dir, &["resume", "--status", "failed"], 0);
    assert!(
        out.starts_with("resumed 0 executions\nskipped 3 executions\n") && out.contains("no such #[flow]"),
        "{out}"
    );
    let (out, _) = ended(dir, &["cancel", "--tag", "shop"], 0);
    assert!(out.contains("skipped 11 executions") && out.contains("use .without_undo()"), "{out}");
    assert_eq!(done(dir, &["cancel", "--tag", "shop", "--without-undo"]), "cancelled 11 executions\n");
    assert_eq!(count(dir, "cancelled"), 11);
}

#[test]
fn stats_print_flows_and_the_store_whether_or_not_a_process_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let holder = hold(dir, &[]);
    let stats = done(dir, &["stats"]);
    for expected in
        ["FLOW ", "25/25", "22 waiting, 3 failed", "oldest wait ", "25 run, 0 replayed", "format 2", "queue "]
    {
        assert!(stats.contains(expected), "{expected}: {stats}");
    }
    drop(holder);
    let free = done(dir, &["stats"]);
    assert!(free.contains("22 waiting, 3 failed") && !free.contains("queue "), "{free}");
    let empty = tempfile::tempdir().unwrap();
    ended(empty.path(), &["stats"], 5);
}

#[test]
fn action_on_many_whose_holder_dies_is_repeated_without_harm() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let holder = hold(dir, &[]);
    let mut cancel = command(dir);
    cancel.args(["cancel", "--all", "--without-undo"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut cancel = cancel.spawn().unwrap();
    drop(holder);
    cancel.wait().unwrap();
    done(dir, &["cancel", "--all", "--without-undo"]);
    assert_eq!((count(dir, "waiting"), count(dir, "cancelled"), count(dir, "failed")), (0, 22, 3));
}
