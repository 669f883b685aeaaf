//! Section 1: a call reads like the function.

use std::time::Duration;

use kitaru::{Error, checkpoint, flow, testkit};

use crate::support::{log, memory, names};

#[checkpoint]
async fn outer(path: String) -> Result<u32, Error> {
    Ok(inner(path).await? + 1)
}

#[checkpoint(retries = 2, backoff = "1ms")]
async fn inner(path: String) -> Result<u32, Error> {
    log(&path).say("inner");
    if log(&path).count("inner") < 3 { Err(Error::msg("busy")) } else { Ok(1) }
}

#[flow]
async fn nests(path: String) -> Result<u32, Error> {
    outer(path).await
}

#[tokio::test]
async fn checkpoint_in_a_body_runs_plainly_with_its_retries_and_no_record() {
    let kitaru = kitaru::Kitaru::builder().in_memory().open().await.unwrap();
    assert_eq!(nests("nests".into()).id("job").on(&kitaru).await.unwrap(), 2);
    assert_eq!(names(&kitaru, "nests", "job").await, ["outer"]);
}

#[flow]
async fn flows_in_a_flow(path: String) -> Result<u32, Error> {
    nests(path).await
}

#[checkpoint]
async fn flows_in_a_body(path: String) -> Result<u32, Error> {
    nests(path).await
}

#[flow]
async fn calls_a_body_that_flows(path: String) -> Result<u32, Error> {
    flows_in_a_body(path).await
}

#[tokio::test]
async fn a_flow_called_in_a_body_is_an_error_that_names_the_way_out() {
    let (kitaru, _) = memory().await;
    let error = calls_a_body_that_flows("x".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("outside flows"), "{error}");
}

#[checkpoint]
async fn spawns_in_a_body(path: String) -> Result<u32, Error> {
    log(&path).say("spawns");
    Ok(kitaru::spawn(async { 1 }).await)
}

#[flow]
async fn calls_a_body_that_spawns(path: String) -> Result<u32, Error> {
    spawns_in_a_body(path).await
}

#[tokio::test]
async fn a_branch_split_off_in_a_body_is_an_error_that_names_the_way_out() {
    let (kitaru, _) = memory().await;
    let error = calls_a_body_that_spawns("spawns".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("use tokio::spawn"), "{error}");
    assert_eq!(log("spawns").count("spawns"), 1);
}

mod first {
    #[kitaru::checkpoint]
    pub async fn twin() -> u32 {
        1
    }
}

mod second {
    #[kitaru::checkpoint]
    pub async fn twin() -> u32 {
        2
    }
}

#[flow]
async fn meets_twins(n: u32) -> Result<u32, Error> {
    Ok(n + first::twin().await + second::twin().await)
}

#[tokio::test]
async fn checkpoints_of_one_name_in_an_execution_are_an_error_that_asks_for_another() {
    let (kitaru, _) = memory().await;
    let error = meets_twins(0).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("name = \"…\""), "{error}");
}

#[tokio::test]
async fn a_checkpoint_called_where_no_flow_is_in_scope_names_the_way_out() {
    let error = inner("outside".into()).await.unwrap_err();
    for part in ["`inner`", "#[flow]", "kitaru::spawn", "testkit::plain"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(log("outside").take().is_empty(), "it is never silently not durable");
    let panic = tokio::spawn(async { first::twin().await }).await.unwrap_err().into_panic();
    assert!(panic.downcast_ref::<String>().unwrap().contains("no flow is in scope"));
}

#[allow(deprecated)]
#[flow]
async fn loses_the_flow(path: String) -> Result<u32, Error> {
    tokio::spawn(inner(path)).await.map_err(Error::msg)?
}

#[tokio::test]
async fn a_call_polled_outside_its_flow_ends_the_attempt() {
    let (kitaru, _) = memory().await;
    let error = loses_the_flow("loses".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("kitaru::spawn"), "{error}");
    assert!(log("loses").take().is_empty());
}

#[tokio::test]
async fn plain_runs_checkpoints_as_plain_functions() {
    assert!(testkit::plain(inner("plain".into())).await.unwrap_err().is_misuse(), "made outside");
    assert_eq!(testkit::plain(async { inner("plain".into()).await }).await.unwrap(), 1);
    assert_eq!(log("plain").take().len(), 3);
}

#[checkpoint]
async fn tagged(path: String, tag: u32) -> u32 {
    log(&path).say(format!("ran {tag}"));
    tag
}

#[flow]
async fn makes_before_it_polls(path: String) -> Result<(), Error> {
    let a = tagged(path.clone(), 1);
    let b = tagged(path.clone(), 2);
    let never = tagged(path.clone(), 3);
    assert!(log(&path).take().is_empty(), "nothing runs before it is polled");
    let (b, a) = (b.await, a.await);
    assert_eq!((a, b), (1, 2));
    drop(never);
    Ok(())
}

#[tokio::test]
async fn a_call_claims_its_name_when_it_is_made_and_runs_when_it_is_polled() {
    let (kitaru, _) = memory().await;
    makes_before_it_polls("made".into()).id("job").on(&kitaru).await.unwrap();
    assert_eq!(names(&kitaru, "makes_before_it_polls", "job").await, ["tagged_2", "tagged"]);
    assert_eq!(log("made").take(), ["ran 2", "ran 1"]);
}

#[checkpoint(blocking)]
fn sums(upto: u64) -> Result<u64, Error> {
    std::thread::sleep(Duration::from_millis(1));
    Ok((1..=upto).sum())
}

#[flow]
async fn blocks(n: u64) -> Result<u64, Error> {
    let calls: Vec<_> = (0..4).map(|_| sums(n)).collect();
    futures::future::join_all(calls).await.into_iter().sum()
}

#[tokio::test]
async fn a_blocking_body_runs_on_the_blocking_pool() {
    let (kitaru, _) = memory().await;
    assert_eq!(blocks(10).on(&kitaru).await.unwrap(), 220);
}
