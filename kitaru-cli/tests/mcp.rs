//! `kitaru mcp` and `/mcp` of `kitaru serve`, with the official MCP SDK for Python as the assistant. Skipped, with a line that
//! says so, if that is not installed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kitaru::{Kitaru, checkpoint, flow, wait};
use serde_json::{Value, json};

mod support;

use support::{Holder, command, done, held, status, until};

#[checkpoint(sensitive)]
async fn token() -> String {
    "hush-hush".to_owned()
}

#[flow]
async fn order(customer: String) -> anyhow::Result<String> {
    token().await;
    let approved = wait::<bool>("approval").question(format!("Ship to {customer}?")).await?;
    anyhow::ensure!(approved, "not approved");
    Ok(format!("a parcel for {customer}"))
}

/// The program that holds the store, in a process of its own.
#[test]
fn holder() {
    let Some(dir) = held() else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        for id in ["order-1", "order-2"] {
            let _ = order("Ada".to_owned()).id(id).on(&kitaru).start().await;
        }
        std::future::pending::<()>().await;
    });
}

/// A server that is killed when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hold(dir: &Path) -> Holder {
    let wait = || ["order-1", "order-2"].iter().all(|order| status(dir, order) == "waiting");
    Holder::start(dir, &[], "the orders wait", wait)
}

/// The names of the tools, and of each call the text of its result, and whether it is an error.
type Assisted = (Vec<String>, Vec<(String, bool)>);

/// Calls tools as an assistant does. None if the SDK is not installed.
fn assist(server: &Value, mode: &str, calls: &Value) -> Option<Assisted> {
    let has_sdk = Command::new("python3").args(["-c", "import mcp.server.mcpserver"]).stderr(Stdio::null()).status();
    if !has_sdk.is_ok_and(|status| status.success()) {
        let why = "the MCP SDK for Python is not installed; `pip install mcp==2.3.0` to run this test";
        assert!(std::env::var_os("KITARU_SKIP").is_none_or(|skips| skips != "never"), "skipped: {why}");
        eprintln!("skipped: {why}");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assistant/assistant.py");
    let done = Command::new("python3").args([script, &server.to_string(), &calls.to_string(), mode]).output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{out}{}", String::from_utf8_lossy(&done.stderr));
    assert!(!out.contains("hush"), "{out}");
    let mut lines = out.lines();
    let tools = serde_json::from_str(lines.next().unwrap()).unwrap();
    let result = |line: &str| {
        let result: Value = serde_json::from_str(line).unwrap();
        (result["text"].as_str().unwrap().to_owned(), result["is_error"] == true)
    };
    Some((tools, lines.map(result).collect()))
}

fn stdio(dir: &Path, args: &[&str]) -> Value {
    let mut all = vec!["mcp"];
    all.extend(args);
    json!({ "command": env!("CARGO_BIN_EXE_kitaru"), "args": all, "env": { "KITARU_DIR": dir } })
}

#[test]
fn assistant_over_stdio_looks_and_cannot_act() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _holder = hold(dir);
    let calls = json!([
        ["waits", {}],
        ["show", { "execution": "order/order-1" }],
        ["answer", { "execution": "order/order-1", "wait": "approval", "value": true }],
    ]);
    for mode in ["auto", "legacy"] {
        let Some((tools, results)) = assist(&stdio(dir, &[]), mode, &calls) else { return };
        assert!(tools.contains(&"list".to_owned()) && !tools.contains(&"answer".to_owned()), "{tools:?}");
        assert!(results[0].0.contains("Ship to Ada?") && results[1].0.contains("\"sensitive\":true"), "{results:?}");
        assert!(results[2].1 && results[2].0.contains("--allow-write"), "{results:?}");
    }
    assert_eq!(status(dir, "order-1"), "waiting");
}

#[test]
fn assistant_over_stdio_that_may_write_answers_and_cancels() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let calls = json!([
        ["answer", { "execution": "order/order-1", "wait": "approval", "value": "yes" }],
        ["answer", { "execution": "order/order-1", "wait": "approval", "value": true }],
        ["cancel", { "execution": "order/order-2" }],
    ]);
    let unreachable = assist(&stdio(dir, &["--allow-write"]), "auto", &calls);
    let Some((tools, results)) = unreachable else { return };
    assert!(tools.contains(&"answer".to_owned()), "{tools:?}");
    assert!(results.iter().all(|(text, is_error)| *is_error && text.contains("store")), "{results:?}");

    let _holder = hold(dir);
    let (_, results) = assist(&stdio(dir, &["--allow-write"]), "auto", &calls).unwrap();
    assert!(results[0].1 && results[0].0.contains("expected a boolean"), "{results:?}");
    assert_eq!(results[1], ("{\"done\":\"answered approval of order/order-1\"}".to_owned(), false));
    assert_eq!(results[2], ("{\"done\":\"cancelled order/order-2\"}".to_owned(), false));
    until("order-1 is shipped", || status(dir, "order-1") == "completed");
    assert_eq!(status(dir, "order-2"), "cancelled");
    let shown = done(dir, &["show", "order-2"]);
    assert!(shown.contains("assistant via "), "{shown}");
}

#[test]
fn assistant_over_http_looks_with_the_token_and_acts_where_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _holder = hold(dir);
    let answer = json!([["answer", { "execution": "order/order-1", "wait": "approval", "value": true }]]);
    let looking = (&["serve", "--port", "0"][..], "legacy", false);
    for (args, mode, acts) in [looking, (&["serve", "--port", "0", "--mcp-allow-write"], "auto", true)] {
        let mut serves = command(dir);
        let mut server =
            Server(serves.args(args).env("KITARU_TOKEN", "a token").stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("/login").next().unwrap();
        let http = json!({ "url": format!("{address}/mcp"), "token": "a token" });
        let Some((tools, results)) = assist(&http, mode, &answer) else { return };
        assert_eq!(tools.contains(&"answer".to_owned()), acts, "{tools:?}");
        assert_eq!(results[0].1, !acts, "{results:?}");
    }
    until("order-1 is shipped", || status(dir, "order-1") == "completed");
}

#[test]
fn command_speaks_lines_of_json_and_ends_with_its_input() {
    let dir = tempfile::tempdir().unwrap();
    let _holder = hold(dir.path());
    let mut server = command(dir.path()).arg("mcp").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
    let client = json!({ "name": "test", "version": "1" });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
                "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "list", "arguments": {} } }),
    ] {
        writeln!(input, "{message}").unwrap();
    }
    let mut answer = |id: u32| {
        let line: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["id"], id, "{line}");
        line["result"].clone()
    };
    assert_eq!(answer(1)["serverInfo"]["name"], "kitaru");
    let listed = answer(2)["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(listed.contains("order/order-2"), "{listed}");
    drop(input);
    assert_eq!(server.wait().unwrap().code(), Some(0));
    // Without a word.
    let silent = command(dir.path()).arg("mcp").stdin(Stdio::null()).output().unwrap();
    assert_eq!((silent.status.code(), silent.stdout.len()), (Some(0), 0));
}
