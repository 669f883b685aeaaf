//! `kitaru logs`, of a program with the layer, of one without it, and of a store that no process holds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kitaru::{Kitaru, checkpoint, flow, wait};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

mod support;

use support::{Holder, command, held, out, refused, run};

#[checkpoint]
async fn reserve(items: u32) -> anyhow::Result<u32> {
    tracing::info!(items, place = "shelf 7", "reserving\u{1b}[2J");
    tracing::warn!("few are left");
    Ok(items)
}

#[flow]
async fn order(items: u32) -> anyhow::Result<u32> {
    reserve(items).await?;
    let yes = wait::<bool>("approval").await?;
    tracing::info!(yes, "answered");
    Ok(items)
}

/// The program that holds the store, in a process of its own.
#[test]
fn holder() {
    let Some(dir) = held() else { return };
    if std::env::var_os("LAYER").is_some() {
        tracing_subscriber::registry().with(kitaru::log_layer()).init();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        drop(order(2).id("order-1").on(&kitaru).start().await.unwrap());
        std::future::pending::<()>().await;
    });
}

fn hold(dir: &Path, environment: &[(&str, &str)]) -> Holder {
    Holder::start(dir, environment, "the order waits", || out(&run(dir, &["waits"])).contains("approval"))
}

#[test]
fn logs_are_shown_by_level_as_json_and_followed_until_the_execution_ends() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let _holder = hold(dir, &[("LAYER", "1")]);
    let all = out(&run(dir, &["logs", "order-1"]));
    let reserving = "INFO  reserve: reserving\\u{1b}[2J items=2 place=\"shelf 7\"";
    assert!(all.contains(reserving) && all.contains("Flow `order` started") && !all.contains('\u{1b}'), "{all}");
    let severe = out(&run(dir, &["logs", "order-1", "--level", "warn"]));
    assert!(severe.ends_with("WARN  reserve: few are left\n") && severe.lines().count() == 1, "{severe}");
    let json: serde_json::Value = serde_json::from_slice(&run(dir, &["logs", "order-1", "--json"]).stdout).unwrap();
    assert!(json["events"].as_array().unwrap().iter().any(|event| event["fields"]["items"] == 2), "{json}");

    let follows = command(dir).args(["logs", "order-1", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    run(dir, &["answer", "order-1", "yes"]);
    let followed = out(&follows.wait_with_output().unwrap());
    assert!(followed.contains(reserving) && followed.contains("answered yes=true"), "{followed}");
    assert!(followed.contains("Flow `order` finished"), "{followed}");
}

#[test]
fn program_without_the_layer_and_a_free_store_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    drop(hold(dir.path(), &[]));
    refused(dir.path(), &["logs", "order-1"], 1, "no process holds the store");
    let _holder = hold(dir.path(), &[]);
    refused(dir.path(), &["logs", "order-1"], 1, "add `kitaru::log_layer()`, of the feature `logs`");
}
