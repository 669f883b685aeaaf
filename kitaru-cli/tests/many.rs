//! Searching, cancelling and resuming many executions, and the numbers of a store, by the command `kitaru`, against a store that
//! another process holds, a free one, and one whose holder dies.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kitaru::{Kitaru, checkpoint, flow, wait};
use serde_json::Value;

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
    let Some(dir) = std::env::var_os("HELD") else { return };
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

/// A process that holds the store until it is dropped: then it is killed.
struct Holder(Child);

impl Holder {
    fn start(dir: &Path, environment: &[(&str, &str)]) -> Self {
        let mut holder = Command::new(std::env::current_exe().unwrap());
        holder.args(["--exact", "holder", "--nocapture"]).env("HELD", dir).envs(environment.iter().copied());
        let holder = Holder(holder.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("the orders are under way", || {
            let stats = json(&run(dir, &["stats", "--json"]));
            let at = |status: &str| stats["executions"][status].as_u64().unwrap_or_default();
            let there = at("waiting") + at("failed") + at("cancelled") + at("completed");
            there == ORDERS as u64 && run(dir, &["status"]).stdout.starts_with(b"process ")
        });
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kitaru")).args(args).env("KITARU_DIR", dir).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn done(dir: &Path, args: &[&str]) -> String {
    ended(dir, args, 0).0
}

/// What is printed, and the error.
fn ended(dir: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = run(dir, args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{error}");
    (out, error)
}

fn count(dir: &Path, status: &str) -> u64 {
    json(&run(dir, &["stats", "--json"]))["executions"][status].as_u64().unwrap()
}

#[test]
fn list_searches_ids_flows_tags_and_errors_by_one_word() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _holder = Holder::start(dir, &[]);
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
    let holder = Holder::start(dir, &[]);
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
    let _holder = Holder::start(dir, &[("REPAIRED", "1")]);
    assert_eq!(done(dir, &["resume", "--all"]), "resumed 3 executions\n");
    until("they wait", || count(dir, "waiting") == 14);
    let report = json(&run(dir, &["cancel", "--all", "--json"]));
    assert_eq!((report["done"].as_array().unwrap().len(), &report["next_cursor"]), (14, &Value::Null));
    assert_eq!(done(dir, &["cancel", "--all"]), "cancelled 0 executions\n");
}

#[test]
fn free_store_cancels_many_without_their_undo_and_says_why_it_resumes_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    drop(Holder::start(dir, &[]));
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
    let holder = Holder::start(dir, &[]);
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
    let mut holder = Holder::start(dir, &[]);
    let cancel = Command::new(env!("CARGO_BIN_EXE_kitaru"))
        .args(["cancel", "--all", "--without-undo"])
        .env("KITARU_DIR", dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    holder.0.kill().unwrap();
    cancel.unwrap().wait().unwrap();
    drop(holder);
    done(dir, &["cancel", "--all", "--without-undo"]);
    assert_eq!((count(dir, "waiting"), count(dir, "cancelled"), count(dir, "failed")), (0, 22, 3));
}
