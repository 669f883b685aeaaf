//! Retries: their number, their errors, their pauses and their total time.

use std::time::Duration;

use futures::FutureExt as _;
use kitaru::{Backoff, Clock, Error, Kitaru, RecordStatus, Status, checkpoint, flow};

use crate::support::{ends, lets_others_move, log, memory};

const MINUTE: Duration = Duration::from_secs(60);

/// Fails as its log says: `fails 3` is three times.
#[checkpoint(retries = 9, backoff = "1m", max_backoff = "10m")]
async fn flaky(path: String) -> Result<u32, Error> {
    let log = log(&path);
    log.say("tried");
    let nth = log.count("tried");
    if path.contains("fatal") {
        return Err(Error::msg("no such card").fatal());
    }
    if path.contains("429") && nth == 1 {
        return Err(Error::msg("too many requests").retry_after(MINUTE * 7));
    }
    if nth <= 3 { Err(Error::msg(format!("busy {nth}"))) } else { Ok(7) }
}

#[flow]
async fn persists(path: String) -> Result<u32, Error> {
    flaky(path).await
}

async fn until_tried(path: &str, times: usize) {
    let tried = async {
        while log(path).count("tried") < times {
            tokio::task::yield_now().await;
        }
    };
    ends(tried).await;
}

async fn until_waiting(kitaru: &Kitaru, flow: &str) {
    while kitaru.execution((flow, "job")).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn long_pause_between_tries_is_recorded_and_parks_the_flow() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open();
    let kitaru = open().await.unwrap();
    let path = "retrying: parks";
    drop(persists(path.into()).id("job").on(&kitaru).start().await.unwrap());
    until_waiting(&kitaru, "persists").await;
    let execution = kitaru.execution(("persists", "job")).await.unwrap().unwrap();
    let record = &execution.records()[0];
    assert_eq!((record.status(), record.tries()), (RecordStatus::Waiting, 1));
    assert_eq!(record.failed_tries().next().unwrap().error(), "busy 1");

    // Another process waits for the rest of the pause, and continues the count.
    kitaru.close().await.unwrap();
    let kitaru = open().await.unwrap();
    let handle = kitaru.handle::<u32, Error>(("persists", "job")).await.unwrap();
    for tries in 1..=3 {
        until_waiting(&kitaru, "persists").await;
        assert_eq!(log(path).count("tried"), tries, "not before its time");
        clock.advance(MINUTE * 5);
        until_tried(path, tries + 1).await;
    }
    assert_eq!(handle.await.unwrap(), 7);
    let execution = kitaru.execution(("persists", "job")).await.unwrap().unwrap();
    let [record] = execution.records() else { panic!("{:?}", execution.records()) };
    assert_eq!((record.status(), record.tries()), (RecordStatus::Completed, 4));
    let failed: Vec<&str> = record.failed_tries().map(|failed| failed.error()).collect();
    assert_eq!(failed, ["busy 1", "busy 2", "busy 3"]);
    let pauses: Vec<u64> = record.failed_tries().map(|failed| failed.pause().as_secs()).collect();
    for (pause, middle) in pauses.into_iter().zip([60, 120, 240]) {
        assert!((middle * 8 / 10..=middle * 12 / 10).contains(&pause), "{pause} s around {middle} s");
    }
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn long_pause_next_to_other_work_is_recorded_too() {
    let (kitaru, clock) = memory().await;
    let path = "retrying: concurrent";
    let both = kitaru::dynamic::flow("concurrent").run(move || async move {
        let hangs = kitaru::dynamic::checkpoint("hangs").run(std::future::pending::<Result<u32, Error>>);
        kitaru::race((hangs, flaky(path.into()))).await
    });
    let handle = both.id("job").on(&kitaru).start().await.unwrap();
    for tries in 1..=3 {
        until_tried(path, tries).await;
        // Its rows show the pause.
        while kitaru.execution(("concurrent", "job")).await.unwrap().unwrap().records().is_empty() {
            tokio::task::yield_now().await;
        }
        clock.advance(MINUTE * 10);
    }
    assert_eq!(handle.await.unwrap(), 7);
}

#[tokio::test]
async fn an_error_says_whether_and_when_it_is_tried_again() {
    let (kitaru, clock) = memory().await;
    let path = "retrying: fatal";
    assert_eq!(ends(persists(path.into()).on(&kitaru)).await.unwrap_err().to_string(), "no such card");
    assert_eq!(log(path).count("tried"), 1);

    let path = "retrying: 429";
    let mut handle = persists(path.into()).id("job").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "persists").await;
    clock.advance(MINUTE * 7 - Duration::from_secs(1));
    lets_others_move(&kitaru).await;
    assert_eq!(log(path).count("tried"), 1, "longer than the backoff would be");
    clock.advance(Duration::from_secs(1));
    until_tried(path, 2).await;
    assert!((&mut handle).now_or_never().is_none());
}

fn is_passing(error: &Error) -> bool {
    error.to_string() == "passing"
}

#[checkpoint(retries = 5, backoff = "1ms", retry_if = is_passing)]
async fn picky(path: String) -> Result<u32, Error> {
    log(&path).say("tried");
    let nth = log(&path).count("tried");
    Err(Error::msg(if nth < 3 { "passing" } else { "lasting" }))
}

#[flow]
async fn picks(path: String) -> Result<u32, Error> {
    picky(path).await
}

#[tokio::test]
async fn only_errors_for_which_the_predicate_holds_are_tried_again() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let path = "retrying: picky";
    assert_eq!(picks(path.into()).on(&kitaru).await.unwrap_err().to_string(), "lasting");
    assert_eq!(log(path).count("tried"), 3);
}

#[checkpoint(retries = 99, backoff = "1m", max_backoff = "10m", total_timeout = "5m")]
async fn hurries(path: String) -> Result<u32, Error> {
    log(&path).say("tried");
    if path.contains("hangs") && log(&path).count("tried") == 2 {
        std::future::pending::<()>().await;
    }
    Err(Error::msg("busy"))
}

#[flow]
async fn hurried(path: String) -> Result<u32, Error> {
    hurries(path).await
}

#[tokio::test]
async fn all_tries_together_are_bounded_in_time_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open();

    // A try that could only begin after the total time is not waited for.
    let path = "retrying: hurried";
    let kitaru = open().await.unwrap();
    drop(hurried(path.into()).id("job").on(&kitaru).start().await.unwrap());
    until_waiting(&kitaru, "hurried").await;
    clock.advance(MINUTE * 4);
    kitaru.close().await.unwrap();
    let kitaru = open().await.unwrap();
    until_tried(path, 2).await;
    let handle = kitaru.handle::<u32, Error>(("hurried", "job")).await.unwrap();
    let error = ends(handle).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), log(path).count("tried")), ("busy", 2));
    kitaru.close().await.unwrap();

    // A try that runs at that time is cancelled.
    let path = "retrying: hurried hangs";
    let kitaru = open().await.unwrap();
    let handle = hurried(path.into()).id("hangs").on(&kitaru).start().await.unwrap();
    while kitaru.execution(("hurried", "hangs")).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    clock.advance(MINUTE * 2);
    until_tried(path, 2).await;
    clock.advance(MINUTE * 3);
    let error = handle.await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("all its tries"), "{error}");
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn a_call_says_its_own_policy() {
    let (kitaru, clock) = memory().await;
    let path = "retrying: call";
    let call = kitaru::dynamic::flow("own policy").run(move || async move {
        let quick = Backoff::starting_at(Duration::from_secs(1)).up_to(Duration::from_secs(1));
        flaky(path.into()).retries(1).backoff(quick).await
    });
    let handle = call.on(&kitaru).start().await.unwrap();
    until_tried(path, 1).await;
    while log(path).count("tried") < 2 {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.await.unwrap_err().to_string(), "busy 2");
}
