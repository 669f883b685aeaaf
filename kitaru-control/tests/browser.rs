//! The dashboard in a real browser. `KITARU_PICTURES=docs/dashboard cargo test -p kitaru-control --test browser` keeps the
//! pictures.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, RunError};
use kitaru::{Kitaru, checkpoint, flow, wait};
use kitaru_control::{router, serve_tcp};
use serde_json::json;

#[checkpoint]
async fn reserve(items: u32) -> anyhow::Result<String> {
    anyhow::ensure!(items < 100, "only 12 are left");
    Ok(format!("shelf {items}"))
}

#[flow]
async fn order(customer: String, items: u32) -> anyhow::Result<String> {
    let shelf = reserve(items).await?;
    let approved = wait::<bool>("approval").question(format!("Ship {items} items to {customer}?")).await?;
    anyhow::ensure!(approved, "not approved");
    Ok(format!("parcel from {shelf}"))
}

/// Pays an invoice.
#[kitaru::tool(requires_approval)]
async fn pay(invoice: String, euros: u32) -> String {
    format!("{euros} € are paid for {invoice}")
}

#[flow]
async fn clerk(invoice: String) -> Result<String, RunError> {
    let model = FunctionModel::new("clerk", |request| match request.tool_returns().last() {
        None => {
            let arguments = json!({ "invoice": request.prompt(), "euros": 250 });
            Ok(ModelResponse::tool_call("call_1", "pay", arguments.to_string()))
        }
        Some(given) => Ok(ModelResponse::text(format!("Done: {}.", given.content))),
    });
    let agent = Agent::builder(model).name("clerk").tool(pay()).build()?;
    Ok(KitaruAgent::new(agent).run(invoice).await?.output)
}

/// Why the browser cannot be used, if it cannot.
fn missing() -> Option<&'static str> {
    if !Path::new("/usr/bin/chromium").exists() {
        return Some("chromium is not installed; `apt-get install chromium` to run this test");
    }
    let has_driver = Command::new("python3").args(["-c", "import playwright.sync_api"]).output();
    match has_driver.is_ok_and(|has| has.status.success()) {
        true => None,
        false => Some("playwright is not installed; `pip install playwright==1.65.2` to run this test"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_shows_an_approval_takes_a_changed_argument_and_shows_the_end_live() {
    if let Some(why) = missing() {
        assert!(std::env::var_os("KITARU_SKIP").is_none_or(|skips| skips != "never"), "skipped: {why}");
        eprintln!("skipped: {why}");
        return;
    }
    let kitaru = Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap();
    for (id, customer, items) in [("order-1", "Ada", 2), ("order-2", "Edsger", 500)] {
        drop(order(customer.to_owned(), items).id(id).tag("web").on(&kitaru).start().await.unwrap());
    }
    drop(clerk("invoice-7".to_owned()).id("invoice-7").on(&kitaru).start().await.unwrap());
    while !kitaru.executions().status(kitaru::Status::Running).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let router = router(&kitaru).token("a token", [format!("127.0.0.1:{port}")]).allow_actions();
    let _server = serve_tcp(router, ([127, 0, 0, 1], port).into()).unwrap();

    let temporary = tempfile::tempdir().unwrap();
    let kept =
        std::env::var_os("KITARU_PICTURES").map(|dir| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(dir));
    let pictures: PathBuf = kept.unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&pictures).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/dashboard.py");
    let mut command = Command::new("python3");
    command.args([script, &format!("http://127.0.0.1:{port}"), "a token"]).arg(&pictures);
    let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
