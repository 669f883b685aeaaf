//! Section 6: errors are outcomes; faults are not.

use std::time::Duration;

use kitaru::{Error, Status, checkpoint, flow};
use serde::{Deserialize, Serialize};

use crate::support::{log, memory, names};

/// Fails while its log says so.
#[checkpoint]
async fn may_fail(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("ran {n}"));
    if log(&format!("{path}-fails")).count(&n.to_string()) > 0 {
        return Err(Error::msg(format!("no {n}")));
    }
    Ok(n)
}

#[flow]
async fn returns_its_error(path: String) -> Result<u32, Error> {
    let (a, b) = tokio::join!(may_fail(path.clone(), 1), may_fail(path, 2));
    Ok(a? + b?)
}

#[tokio::test]
async fn an_error_that_the_flow_returned_is_tried_again_by_the_next_attempt() {
    let (kitaru, _) = memory().await;
    let fails = log("returns-fails");
    fails.say("1");
    assert_eq!(returns_its_error("returns".into()).id("job").on(&kitaru).await.unwrap_err().to_string(), "no 1");
    assert_eq!(log("returns").take().len(), 2);
    fails.take();
    assert_eq!(returns_its_error("returns".into()).id("job").on(&kitaru).await.unwrap(), 3);
    assert_eq!(log("returns").take(), ["ran 1"], "the concurrent success is not paid for again");
    assert_eq!(names(&kitaru, "returns_its_error", "job").await.iter().filter(|name| *name == "may_fail").count(), 2);
}

#[flow]
async fn goes_past_its_error(path: String) -> Result<u32, Error> {
    let caught = may_fail(path.clone(), 1).await.is_err();
    let after = may_fail(path, 2).await?;
    Ok(u32::from(caught) * 100 + after)
}

#[tokio::test]
async fn error_that_the_flow_went_past_is_settled_before_anything_starts_after_it() {
    let (kitaru, _) = memory().await;
    let fails = log("past-fails");
    fails.say("1");
    fails.say("2");
    assert_eq!(goes_past_its_error("past".into()).id("job").on(&kitaru).await.unwrap_err().to_string(), "no 2");
    let execution = kitaru.execution(("goes_past_its_error", "job")).await.unwrap().unwrap();
    let settled: Vec<_> = execution.records().iter().map(|record| (record.name(), record.is_settled())).collect();
    assert_eq!(settled, [("may_fail", true), ("may_fail_2", false)]);
    fails.take();
    log("past").take();
    assert_eq!(goes_past_its_error("past".into()).id("job").on(&kitaru).await.unwrap(), 102);
    assert_eq!(log("past").take(), ["ran 2"], "the settled error is the same, though it would succeed now");
}

#[flow]
async fn fails_on_a_settled_error(path: String) -> Result<u32, Error> {
    let first = may_fail(path.clone(), 1).await;
    may_fail(path, 2).await?;
    first
}

#[tokio::test]
async fn a_job_that_failed_on_a_settled_error_gives_it_again() {
    let (kitaru, _) = memory().await;
    log("settled-fails").say("1");
    for attempt in 0..2 {
        let error = fails_on_a_settled_error("settled".into()).on(&kitaru).await.unwrap_err();
        assert_eq!(error.to_string(), "no 1");
        assert_eq!(log("settled").take().len(), if attempt == 0 { 2 } else { 0 });
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Refusal {
    NoPaper { sheets: u32 },
    Kitaru(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Kitaru(error)
    }
}

#[checkpoint]
async fn refuses(sheets: u32) -> Result<u32, Refusal> {
    Err(Refusal::NoPaper { sheets })
}

/// No serde: it is rebuilt from a `kitaru::Error`.
#[derive(Debug)]
enum Opaque {
    Empty,
    Kitaru(Error),
}

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Opaque::Empty => f.write_str("the tray is empty"),
            Opaque::Kitaru(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Opaque {}

impl From<Error> for Opaque {
    fn from(error: Error) -> Self {
        Opaque::Kitaru(error)
    }
}

#[checkpoint]
async fn refuses_opaquely() -> Result<u32, Opaque> {
    Err(Opaque::Empty)
}

#[checkpoint]
async fn refuses_in_a_chain() -> anyhow::Result<u32> {
    Err(anyhow::anyhow!("the cause").context("the context"))
}

#[checkpoint]
async fn refuses_in_a_box() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Err("boxed".into())
}

#[flow]
async fn sees_errors(path: String) -> Result<(), Error> {
    let path = log(&path);
    path.say(format!("{:?}", refuses(3).await));
    path.say(match refuses_opaquely().await.unwrap_err() {
        Opaque::Empty => "the variant".to_owned(),
        Opaque::Kitaru(error) => format!("rebuilt: {error}"),
    });
    path.say(format!("{:#}", refuses_in_a_chain().await.unwrap_err()));
    path.say(refuses_in_a_box().await.unwrap_err().to_string());
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn flow_receives_the_decoded_or_rebuilt_error_on_the_first_run_too() {
    let (kitaru, _) = memory().await;
    // The last error is not settled, so its body runs again; the flow receives the same.
    for _ in 0..3 {
        sees_errors("sees".into()).on(&kitaru).await.unwrap_err();
        assert_eq!(
            log("sees").take(),
            ["Err(NoPaper { sheets: 3 })", "rebuilt: the tray is empty", "the context: the cause", "boxed"]
        );
    }
}

#[checkpoint]
async fn panics() -> Result<u32, Error> {
    panic!("out of paper")
}

#[checkpoint]
async fn panics_plainly() -> u64 {
    panic!("out of ink")
}

#[flow]
async fn meets_a_panic(plainly: u32) -> Result<u64, Error> {
    if plainly == 2 {
        panic!("in the flow");
    }
    let caught = panics().await.unwrap_err();
    assert!(caught.is_panic());
    if plainly == 0 { Err(caught) } else { Ok(panics_plainly().await) }
}

#[tokio::test]
async fn panic_in_a_body_is_an_error_and_one_in_a_flow_fails_the_attempt() {
    let (kitaru, _) = memory().await;
    let error = meets_a_panic(0).on(&kitaru).await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("`panics`: it panicked: out of paper"), "{error}");
    let error = meets_a_panic(1).on(&kitaru).await.unwrap_err();
    assert!(error.to_string().contains("`panics_plainly`: it panicked: out of ink"), "a u64 cannot hold it: {error}");
    let error = meets_a_panic(2).id("flow").on(&kitaru).await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("in the flow"), "{error}");
    assert_eq!(kitaru.execution(("meets_a_panic", "flow")).await.unwrap().unwrap().status(), Status::Failed);
}

#[checkpoint(timeout = "1s")]
async fn hangs(n: u32) -> Result<u32, Error> {
    let _ = n;
    std::future::pending().await
}

#[checkpoint(retries = 2, backoff = "10s")]
async fn flaky(path: String) -> Result<u32, Error> {
    log(&path).say("try");
    if log(&path).count("try") < 3 { Err(Error::msg("busy")) } else { Ok(1) }
}

#[flow]
async fn takes_time(path: String) -> Result<u32, Error> {
    let timeout = hangs(1).timeout(Duration::from_secs(60)).await.unwrap_err();
    assert!(timeout.is_timeout(), "{timeout}");
    flaky(path).await
}

#[tokio::test]
async fn retries_and_timeouts_wait_by_the_clock_and_each_try_counts() {
    let (kitaru, clock) = memory().await;
    let handle = takes_time("flaky".into()).id("job").on(&kitaru).start().await.unwrap();
    let turner = tokio::spawn(async move {
        loop {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_secs(1));
        }
    });
    assert_eq!(handle.await.unwrap(), 1);
    turner.abort();
    let execution = kitaru.execution(("takes_time", "job")).await.unwrap().unwrap();
    let tries: Vec<_> = execution.records().iter().map(|record| (record.name(), record.tries())).collect();
    assert_eq!(tries, [("hangs", 1), ("flaky", 3)]);
}

/// Neither `Clone` nor serde for reading.
#[derive(Serialize)]
struct Once(u32);

#[checkpoint]
async fn takes_once(path: String, once: Once) -> Result<u32, Error> {
    log(&path).say("ran");
    Ok(once.0)
}

#[flow]
async fn retries_what_cannot_be(path: String) -> Result<u32, Error> {
    takes_once(path, Once(1)).retries(1).await
}

#[tokio::test]
async fn retries_with_arguments_that_cannot_be_copied_are_refused_before_any_run() {
    let (kitaru, _) = memory().await;
    let error = retries_what_cannot_be("once".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("Clone"), "{error}");
    assert!(log("once").take().is_empty());
}

#[tokio::test]
async fn a_failed_execution_says_why() {
    let (kitaru, _) = memory().await;
    sees_errors("why".into()).id("job").on(&kitaru).await.unwrap_err();
    let execution = kitaru.execution(("sees_errors", "job")).await.unwrap().unwrap();
    assert_eq!((execution.status(), execution.error()), (Status::Failed, Some("the end")));
}
