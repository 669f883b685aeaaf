//! The command `kitaru`, against a store that another process holds, a free one, one whose holder was killed, and a socket that
//! no process serves.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kitaru::{Kitaru, checkpoint, flow, signal, undo, wait};
use tempfile::TempDir;

mod support;

use support::{Holder, done, held, json, refused, run, status, until};

#[checkpoint]
async fn reserve(items: u32) -> anyhow::Result<String> {
    anyhow::ensure!(items < 100 || std::env::var_os("RESTOCKED").is_some(), "only 12 are left\u{1b}[2J");
    Ok(format!("shelf {items}"))
}

#[checkpoint(sensitive)]
async fn token() -> String {
    "hush-hush".to_owned()
}

#[checkpoint]
async fn ship(shelf: &str) -> anyhow::Result<String> {
    Ok(format!("parcel from {shelf}"))
}

#[flow]
async fn order(customer: String, items: u32) -> anyhow::Result<String> {
    let shelf = reserve(items).await?;
    token().await;
    undo(|| async { Ok::<_, kitaru::Error>(()) });
    let approved = wait::<bool>("approval").question(format!("Ship {items} items to {customer}?")).await?;
    anyhow::ensure!(approved, "not approved");
    ship(&shelf).await
}

#[flow]
async fn courier(name: String) -> anyhow::Result<u32> {
    let parcels = signal::<u32>("parcels").await?;
    anyhow::ensure!(!name.is_empty(), "no name");
    Ok(parcels)
}

/// The program that holds the store, in a process of its own.
#[test]
fn holder() {
    let Some(dir) = held() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        for (id, items) in [("order-1", 2), ("order-2", 5), ("order-3", 500)] {
            let call = order("Ada".to_owned(), items).id(id).tag("web");
            // It has failed before, if the process is not the first one.
            let _ = call.on(&kitaru).start().await;
        }
        let _ = courier("Bob".to_owned()).id("bob/1").on(&kitaru).start().await;
        println!("held");
        std::future::pending::<()>().await;
    });
}

fn hold(dir: &Path, environment: &[(&str, &str)]) -> Holder {
    Holder::start(dir, environment, "the orders are under way", || {
        let listed = json(&run(dir, &["list", "--json"]));
        let all = listed["executions"].as_array();
        all.is_some_and(|all| all.len() == 4 && all.iter().all(|execution| execution["status"] != "running"))
    })
}

fn store() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn list_show_and_waits_read_a_store_that_another_process_holds() {
    let dir = store();
    let dir = dir.path();
    let _holder = hold(dir, &[]);

    let listed = done(dir, &["list"]);
    for expected in ["failed   order/order-3", "waiting  order/order-2", "waiting  courier/bob/1", "customer=\"Ada\""] {
        assert!(listed.contains(expected), "{listed}");
    }
    let failed = done(dir, &["list", "--status", "failed", "--tag", "web", "--flow", "order"]);
    assert!(failed.contains("order-3") && !failed.contains("order-1"), "{failed}");
    let first = json(&run(dir, &["list", "--limit", "1", "--json"]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = json(&run(dir, &["list", "--limit", "1", "--cursor", cursor, "--json"]));
    assert_ne!(first["executions"][0]["id"], second["executions"][0]["id"]);

    let shown = done(dir, &["show", "order-1"]);
    for expected in ["order/order-1  waiting", "Ship 2 items to Ada?", "completed  reserve", "\"shelf 2\"", "tags"] {
        assert!(shown.contains(expected), "{shown}");
    }
    assert!(!shown.contains("hush") && shown.contains("(sensitive)"), "{shown}");
    let failed = done(dir, &["show", "order/order-3"]);
    assert!(failed.contains("only 12 are left\\u{1b}[2J") && !failed.contains('\u{1b}'), "{failed}");
    let page = json(&run(dir, &["show", "order-1", "--limit", "1", "--json"]));
    let after = page["records"]["next_after"].to_string();
    let next = json(&run(dir, &["show", "order-1", "--limit", "1", "--after", &after, "--json"]));
    assert_eq!(
        (&page["records"]["records"][0]["name"], &next["records"]["records"][0]["name"]),
        (&"reserve".into(), &"token".into())
    );

    let waits = done(dir, &["waits"]);
    assert!(
        waits.contains("order/order-1") && waits.contains("Ship 5 items to Ada?") && !waits.contains("bob"),
        "{waits}"
    );
}

#[test]
fn answer_send_cancel_and_resume_steer_a_store_that_another_process_holds() {
    let dir = store();
    let dir = dir.path();
    let _holder = hold(dir, &[]);

    refused(dir, &["answer", "order-1", "maybe"], 1, "expected a boolean");
    assert_eq!(done(dir, &["answer", "order-1", "yes"]), "answered approval of order/order-1\n");
    until("order-1 is shipped", || status(dir, "order-1") == "completed");
    refused(dir, &["answer", "order-1", "yes"], 3, "no open question");

    assert_eq!(done(dir, &["send", "courier/bob/1", "parcels", "7"]), "sent parcels to courier/bob/1\n");
    until("the courier is back", || status(dir, "courier/bob/1") == "completed");
    assert!(done(dir, &["show", "bob/1"]).contains("result      7"));

    assert_eq!(done(dir, &["cancel", "order-2"]), "cancelled order/order-2\n");
    until("order-2 is cancelled", || status(dir, "order-2") == "cancelled");
    done(dir, &["resume", "order-3", "--forget", "reserve"]);
    until("order-3 fails again", || json(&run(dir, &["show", "order-3", "--json"]))["execution"]["attempts"] == 2);
    refused(dir, &["resume", "order-1"], 2, "it has ended");
    assert!(done(dir, &["tail", "order-1"]).ends_with("completed \"parcel from shelf 2\"\n"));
    assert!(json(&run(dir, &["export", "order-1"])).is_object());
}

#[test]
fn store_without_a_holder_is_read_and_takes_answers_for_the_next_process() {
    let dir = store();
    let dir = dir.path();
    drop(hold(dir, &[]));
    // Killed: its socket is stale, and the log has what redb has not.
    assert!(dir.join("control.sock").exists());
    assert_eq!(done(dir, &["status"]), "no process holds the store\n");
    assert!(done(dir, &["show", "order-1"]).contains("Ship 2 items to Ada?"));
    let before = std::fs::metadata(dir.join("store.redb")).unwrap().modified().unwrap();
    done(dir, &["list"]);
    assert_eq!(std::fs::metadata(dir.join("store.redb")).unwrap().modified().unwrap(), before, "a list writes nothing");

    let answered = done(dir, &["answer", "order-1", "yes"]);
    assert!(answered.contains("the next process that opens the store takes it"), "{answered}");
    refused(dir, &["cancel", "order-2"], 2, "start one that has it, or use .without_undo()");
    assert_eq!(done(dir, &["cancel", "order-2", "--without-undo"]), "cancelled order/order-2\n");
    refused(dir, &["resume", "order-3"], 2, "no such #[flow]");
    let _holder = hold(dir, &[("RESTOCKED", "1")]);
    until("order-1 is shipped", || status(dir, "order-1") == "completed");
    assert_eq!(status(dir, "order-2"), "cancelled");
}

#[test]
fn execution_that_is_not_there_or_not_the_only_one_is_refused_with_the_candidates() {
    let dir = store();
    let dir = dir.path();
    let _holder = hold(dir, &[]);
    refused(dir, &["show", "order"], 1, "order/order-3, order/order-2, order/order-1");
    refused(dir, &["show", "nothing"], 3, "look at `kitaru list`");
    refused(dir, &["show", "order/nothing"], 3, "cannot find execution order/nothing");
    refused(dir, &["cancel", "order/nothing"], 3, "cannot find execution order/nothing");
    refused(dir, &["list", "--status", "lost"], 2, "continued_as_new");
}

#[test]
fn folder_without_a_store_and_a_store_without_a_socket_are_refused_with_what_to_do() {
    let dir = store();
    refused(&dir.path().join("nothing"), &["list"], 5, "the folder is missing; name the folder of a store");
    refused(dir.path(), &["list"], 5, "store");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is made there");

    let _holder = hold(dir.path(), &[]);
    std::fs::remove_file(dir.path().join("control.sock")).unwrap();
    refused(dir.path(), &["list"], 5, "feature `control`");
}

#[test]
fn socket_belongs_to_its_owner_and_goes_with_its_store() {
    let dir = store();
    let socket = dir.path().join("control.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let kitaru = Kitaru::builder().dir(dir.path()).open().await.unwrap();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        kitaru.close().await.unwrap();
        assert!(!socket.exists());
        // Dropped and not closed.
        drop(Kitaru::builder().dir(dir.path()).open().await.unwrap());
        assert!(!socket.exists());
    });
}

#[test]
fn socket_that_cannot_be_made_does_not_keep_a_store_from_opening() {
    let dir = store();
    std::fs::create_dir(dir.path().join("control.sock")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let kitaru = Kitaru::builder().dir(dir.path()).open().await.unwrap();
        assert!(kitaru.executions().await.unwrap().is_empty());
        kitaru.close().await.unwrap();
    });
    assert!(dir.path().join("control.sock").is_dir(), "what is there stays");
}

#[test]
fn output_has_colour_on_a_terminal_only_and_may_be_closed_early() {
    let dir = store();
    let dir = dir.path();
    let _holder = hold(dir, &[]);
    assert!(!done(dir, &["list"]).contains('\u{1b}'));
    let mut list = Command::new(env!("CARGO_BIN_EXE_kitaru"))
        .args(["list", "--watch"])
        .env("KITARU_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(list.stdout.take());
    assert_eq!(list.wait().unwrap().code(), Some(0));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(done(Path::new("nowhere"), &["completions", shell]).contains("kitaru"), "{shell}");
    }
}
