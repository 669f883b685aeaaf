//! The tools of assistants, asked over streamable HTTP without an SDK: what they give, what they refuse, and their bounds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kitaru::{Kitaru, checkpoint, flow, wait};
use kitaru_control::{Body, Router, router};
use serde_json::{Value, json};

const HOST: &str = "127.0.0.1:7420";
/// The longest result of a tool.
const MOST_BYTES: usize = 40_000;

#[checkpoint]
async fn note(text: String) -> String {
    text
}

#[checkpoint(sensitive)]
async fn secret() -> String {
    "hush-hush".to_owned()
}

#[flow]
async fn asks(topic: String) -> anyhow::Result<String> {
    let note = note(topic).await;
    secret().await;
    let approved = wait::<bool>("approval").question("Is it good?").await?;
    anyhow::ensure!(approved, "not good");
    Ok(note)
}

#[flow]
async fn long(count: u32, bytes: usize) -> anyhow::Result<String> {
    for nth in 0..count {
        note(format!("{nth} {}", "ü".repeat(bytes / 2))).await;
    }
    Ok("ü".repeat(bytes / 2))
}

async fn opened() -> Kitaru {
    Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap()
}

async fn asking(kitaru: &Kitaru, id: &str) {
    drop(asks("tides".to_owned()).id(id).tag("web").on(kitaru).start().await.unwrap());
    for _ in 0..2_000 {
        if status(kitaru, id).await == "waiting" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{id} does not wait");
}

async fn status(kitaru: &Kitaru, id: &str) -> String {
    kitaru.execution(("asks", id)).await.unwrap().unwrap().status().to_string()
}

fn looking(kitaru: &Kitaru) -> Router {
    router(kitaru).outer_server_authenticates([HOST]).allow_actions()
}

fn acting(kitaru: &Kitaru) -> Router {
    looking(kitaru).allow_assistants_to_act()
}

async fn post(router: &Router, headers: &[(&str, &str)], message: &Value) -> Response<Body> {
    let mut request = Request::post("/mcp").header("content-type", "application/json");
    request = request.header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.answer(request.body(Full::new(Bytes::from(message.to_string()))).unwrap()).await
}

async fn request(router: &Router, method: &str, params: Value) -> Value {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let response = post(router, &[("host", HOST), ("mcp-protocol-version", "2025-06-18")], &message).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).unwrap();
    answer["result"].clone()
}

/// The text of a tool's result, and whether it is an error.
async fn called(router: &Router, tool: &str, arguments: Value) -> (String, bool) {
    let result = request(router, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {result}")).to_owned();
    assert!(text.len() <= MOST_BYTES + 200, "{tool}: {} bytes", text.len());
    (text, result["isError"] == true)
}

async fn call(router: &Router, tool: &str, arguments: Value) -> Value {
    let (text, is_error) = called(router, tool, arguments).await;
    assert!(!is_error, "{tool}: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn refused(router: &Router, tool: &str, arguments: Value, says: &str) {
    let (text, is_error) = called(router, tool, arguments).await;
    assert!(is_error && text.contains(says), "{tool}: {text}");
}

async fn tools(router: &Router) -> Vec<String> {
    let listed = request(router, "tools/list", json!({})).await;
    let tools = listed["tools"].as_array().unwrap();
    assert!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object"), "{listed}");
    let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    let looks = |tool: &&Value| tool["annotations"]["readOnlyHint"] == true;
    let looking: Vec<_> = tools.iter().filter(looks).map(name).collect();
    assert!(looking.contains(&"list".to_owned()) && !looking.contains(&"cancel".to_owned()), "{looking:?}");
    tools.iter().map(name).collect()
}

#[tokio::test]
async fn assistant_looks_and_is_given_no_sensitive_value() {
    let kitaru = opened().await;
    asking(&kitaru, "job").await;
    let router = looking(&kitaru);
    let tools = tools(&router).await;
    assert!(!tools.iter().any(|tool| ["answer", "cancel", "resume", "fork", "delete"].contains(&&**tool)), "{tools:?}");

    let listed = call(&router, "list", json!({ "status": ["waiting"], "tag": ["web"] })).await;
    assert_eq!(
        (&listed["executions"][0]["execution"], &listed["executions"][0]["tags"][0]),
        (&json!("asks/job"), &json!("web"))
    );
    assert!(listed["executions"][0]["created"].as_str().unwrap().ends_with('Z'), "{listed}");
    let shown = call(&router, "show", json!({ "execution": "asks/job" })).await;
    assert_eq!(
        (&shown["execution"]["status"], &shown["records"][0]["value"]["json"]),
        (&json!("waiting"), &json!("tides"))
    );
    assert_eq!(shown["records"][1]["value"]["sensitive"], true);
    let hidden = call(&router, "value", json!({ "execution": "asks/job", "of": "2" })).await;
    assert_eq!(hidden, json!({ "sensitive": true }));
    let stats = call(&router, "stats", json!({})).await;
    assert_eq!(stats["executions"]["waiting"], 1, "{stats}");
    let waits = call(&router, "waits", json!({})).await;
    assert_eq!(
        (&waits["waits"][0]["name"], &waits["waits"][0]["schema"]["type"]),
        (&json!("approval"), &json!("boolean"))
    );
    assert_eq!(call(&router, "waits", json!({ "execution": "asks/job" })).await, waits);
    for shown in [listed, shown, waits] {
        assert!(!shown.to_string().contains("hush"), "{shown}");
    }
}

#[tokio::test]
async fn assistant_that_may_only_look_is_refused_every_action() {
    let kitaru = opened().await;
    asking(&kitaru, "job").await;
    let shows = router(&kitaru).outer_server_authenticates([HOST]).allow_assistants_to_act();
    for router in [looking(&kitaru), shows] {
        for tool in ["answer", "cancel", "fork", "resume"] {
            let arguments = json!({ "execution": "asks/job", "wait": "approval", "value": true });
            refused(&router, tool, arguments, "this server only looks").await;
        }
    }
    assert_eq!(status(&kitaru, "job").await, "waiting");
}

#[tokio::test]
async fn assistant_that_may_act_answers_cancels_and_learns_why_it_is_refused() {
    let kitaru = opened().await;
    asking(&kitaru, "job").await;
    asking(&kitaru, "other").await;
    let router = acting(&kitaru);
    assert!(tools(&router).await.ends_with(&["answer", "cancel", "fork", "resume"].map(str::to_owned)));
    let answer = |wait: &str, value: Value| json!({ "execution": "asks/job", "wait": wait, "value": value });
    refused(&router, "answer", answer("approval", json!("maybe")), "expected a boolean").await;
    refused(&router, "answer", json!({ "execution": "asks/job", "value": true }), "missing field `wait`").await;
    refused(&router, "answer", json!({ "execution": "job", "wait": "approval", "value": true }), "cannot").await;
    refused(&router, "show", json!({ "execution": "asks/nothing" }), "the store has none; look at the list").await;
    refused(&router, "show", json!({ "execution": "asks/job", "records": 1 }), "unknown field `records`").await;
    refused(&router, "list", json!({ "status": ["lost"] }), "lost").await;
    refused(&router, "fork", json!({ "execution": "asks/job", "from": "lost" }), "lost").await;
    let planned = call(&router, "fork", json!({ "execution": "asks/job", "dry_run": true })).await;
    assert_eq!((&planned["begun"], &planned["execution"]), (&json!(false), &json!("asks/job-fork-1")), "{planned}");
    let forked = call(&router, "fork", json!({ "execution": "asks/job", "id": "tried" })).await;
    assert_eq!((&forked["begun"], &forked["original"]["execution"]), (&json!(true), &json!("asks/job")), "{forked}");
    let diff = call(&router, "diff", json!({ "first": "asks/job", "second": "asks/tried" })).await;
    assert!(diff["same_input"] == true && diff["equal_records"].as_u64() > Some(0), "{diff}");
    refused(&router, "delete", json!({ "execution": "asks/job" }), "not a tool of this server").await;
    let done = call(&router, "answer", answer("approval", json!(true))).await;
    assert_eq!(done["done"], "answered approval of asks/job");
    call(&router, "cancel", json!({ "execution": "asks/other" })).await;
    assert_eq!(status(&kitaru, "other").await, "cancelled");
    refused(&router, "resume", json!({ "execution": "asks/other" }), "cannot resume").await;
    for _ in 0..2_000 {
        if status(&kitaru, "job").await == "completed" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the answer is not taken");
}

#[tokio::test]
async fn assistant_needs_the_token_a_host_of_the_server_and_no_foreign_origin() {
    let kitaru = opened().await;
    let router = router(&kitaru).token("secret", [HOST]).allow_actions();
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let (host, token) = (("host", HOST), ("authorization", "Bearer secret"));
    let refused: [(&[(&str, &str)], _); 5] = [
        (&[host], StatusCode::UNAUTHORIZED),
        (&[host, ("authorization", "Bearer wrong")], StatusCode::UNAUTHORIZED),
        (&[("host", "evil.example"), token], StatusCode::MISDIRECTED_REQUEST),
        (&[host, token, ("origin", "http://evil.example")], StatusCode::MISDIRECTED_REQUEST),
        // A browser sends the cookie by itself.
        (&[host, ("cookie", "kitaru_token=secret")], StatusCode::FORBIDDEN),
    ];
    for (headers, expected) in refused {
        let response = post(&router, headers, &list).await;
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(post(&router, &[host, token], &list).await.status(), StatusCode::OK);
    let get = Request::get("/mcp").header("host", HOST).header("authorization", "Bearer secret");
    let response = router.answer(get.body(Full::new(Bytes::new())).unwrap()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "there is no session, and so no stream");
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "x": "x".repeat(5 << 20) } });
    assert_eq!(post(&router, &[host, token], &long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn results_are_bounded_in_items_and_bytes_with_a_cursor_to_the_rest() {
    let kitaru = opened().await;
    long(300, 4_000).id("job").on(&kitaru).await.unwrap();
    for nth in 0..30 {
        asking(&kitaru, &format!("{nth:02}-{}", "i".repeat(500))).await;
    }
    let router = looking(&kitaru);

    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = call(&router, "list", json!({ "flow": "asks", "limit": 500, "cursor": cursor })).await;
        seen.extend(page["executions"].as_array().unwrap().iter().map(|found| found["execution"].to_string()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 30);

    let (mut records, mut after) = (0, Value::Null);
    loop {
        let page = call(&router, "show", json!({ "execution": "long/job", "limit": 50, "after": after })).await;
        let given = page["records"].as_array().unwrap();
        assert!(given[0]["value"]["json"]["beginning"].as_str().unwrap().contains('ü'), "{}", given[0]);
        records += given.len();
        after = page["next_after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(records, 300);

    let (mut waits, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = call(&router, "waits", json!({ "limit": 7, "cursor": cursor })).await;
        waits.extend(page["waits"].as_array().unwrap().iter().map(|wait| wait["execution"].to_string()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    waits.dedup();
    assert_eq!(waits.len(), 30);
}

#[tokio::test]
async fn long_value_is_given_whole_in_pieces() {
    let kitaru = opened().await;
    long(1, 50_000).id("job").on(&kitaru).await.unwrap();
    let router = looking(&kitaru);
    let (mut whole, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let piece = call(&router, "value", json!({ "execution": "long/job", "of": "1", "offset": offset })).await;
        whole += piece["piece"].as_str().unwrap();
        offset = piece["next_offset"].clone();
    }
    assert_eq!(serde_json::from_str::<String>(&whole).unwrap(), format!("0 {}", "ü".repeat(25_000)));
    let input = call(&router, "value", json!({ "execution": "long/job", "of": "input" })).await;
    assert_eq!(input["piece"], "[1,50000]");
    assert!(
        call(&router, "value", json!({ "execution": "long/job", "of": "result" })).await["next_offset"].is_number()
    );
    refused(&router, "value", json!({ "execution": "long/job", "of": "7" }), "cannot find record 7").await;
    refused(&router, "value", json!({ "execution": "long/job", "of": "note" }), "the number of a record").await;
    refused(&router, "value", json!({ "execution": "long/job", "of": "1", "offset": 4 }), "next_offset").await;
}
