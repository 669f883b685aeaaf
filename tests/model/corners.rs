//! Combinations of two features: parking and closing, forgetting and answering, published values and new attempts.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::support::{disk, log, memory, reopen};

const HOUR: Duration = Duration::from_secs(3_600);

async fn until(kitaru: &Kitaru, flow: &str, id: &str, status: Status) {
    while kitaru.execution((flow, id)).await.unwrap().is_none_or(|found| found.status() != status) {
        tokio::task::yield_now().await;
    }
}

#[flow]
async fn corner_waits(_path: String) -> Result<u32, Error> {
    kitaru::wait::<u32>("approval").await
}

/// The last handle is dropped while an execution is parked: the store is closed.
#[tokio::test]
async fn dropping_the_last_handle_closes_a_store_with_parked_flows() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Kitaru::builder().dir(dir.path().join("store")).lock_timeout(Duration::from_secs(3)).open();
    let kitaru = open().await.unwrap();
    drop(corner_waits("a".into()).id("job").on(&kitaru).start().await.unwrap());
    until(&kitaru, "corner_waits", "job", Status::Waiting).await;
    drop(kitaru);
    open().await.unwrap();
}

#[flow]
async fn corner_loses_a_wait(_path: String) -> Result<u32, Error> {
    let _ = kitaru::timeout(Duration::from_millis(20), kitaru::wait::<u32>("approval")).await;
    Ok(1)
}

/// A completed execution whose wait lost against a timer.
#[tokio::test]
async fn dropping_the_last_handle_closes_a_store_with_a_wait_that_lost_a_race() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Kitaru::builder().dir(dir.path().join("store")).lock_timeout(Duration::from_secs(3)).open();
    let kitaru = open().await.unwrap();
    assert_eq!(corner_loses_a_wait("a".into()).id("job").on(&kitaru).await.unwrap(), 1);
    drop(kitaru);
    open().await.unwrap();
}

#[checkpoint]
async fn corner_step(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("step {n}"));
    if n == 3 && log(&path).count("step 3") == 1 { Err(Error::msg("no luck")) } else { Ok(n) }
}

#[flow]
async fn corner_changed(path: String) -> Result<u32, Error> {
    corner_step(path.clone(), 1).await?;
    let new = kitaru::patched("charge twice");
    log(&path).say(format!("new {new}"));
    corner_step(path.clone(), 2).await?;
    corner_step(path.clone(), 3).await
}

#[tokio::test]
async fn change_passed_with_the_new_code_stays_so_even_if_records_are_forgotten() {
    let (kitaru, _) = memory().await;
    let path = "corners: patched";
    corner_changed(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).take(), ["step 1", "new true", "step 2", "step 3"]);
    log(path).say("step 3");
    kitaru.resume(("corner_changed", "job")).after("corner_step").await.unwrap();
    until(&kitaru, "corner_changed", "job", Status::Completed).await;
    assert_eq!(log(path).take()[1..], ["new true", "step 2", "step 3"]);
}

#[checkpoint]
async fn corner_gate(path: String) -> Result<String, Error> {
    log(&path).say("gate");
    if log(&path).count("gate") == 1 {
        return Err(Error::msg("no luck"));
    }
    while log(&path).count("open") == 0 {
        tokio::task::yield_now().await;
    }
    Ok(path)
}

#[flow]
async fn corner_input(path: String) -> Result<String, Error> {
    corner_gate(path).await
}

/// Another input while a person has the execution resume.
#[tokio::test]
async fn another_input_is_refused_while_an_execution_is_resumed_too() {
    let (kitaru, _) = memory().await;
    corner_input("corners: input A".into()).id("job").on(&kitaru).await.unwrap_err();
    kitaru.resume(("corner_input", "job")).await.unwrap();
    while log("corners: input A").count("gate") < 2 {
        tokio::task::yield_now().await;
    }
    let other = corner_input("corners: input B".into()).id("job").on(&kitaru).start().await;
    log("corners: input A").say("open");
    let error = match other {
        Ok(handle) => handle.await.unwrap_err(),
        Err(error) => error,
    };
    let message = error.to_string();
    assert!(error.is_conflict() && message.contains("input A") && message.contains("input B"), "{message}");
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn corner_transfers(path: String) -> Result<u32, Error> {
    log(&path).say("transferred");
    if log(&path).count("hang") > 0 {
        std::future::pending::<()>().await;
    }
    Ok(1)
}

#[flow]
async fn corner_settles(path: String) -> Result<u32, Error> {
    corner_transfers(path).await
}

/// A person lets it fail, and then has that forgotten. After another crash, its question is open again.
#[tokio::test]
async fn answer_about_one_body_has_no_effect_on_a_later_one() {
    let path = "corners: stale";
    let (kitaru, dir) = disk().await;
    log(path).say("hang");
    let began = async |n: usize| {
        while log(path).count("transferred") < n {
            tokio::task::yield_now().await;
        }
    };
    let handle = corner_settles(path.into()).id("job").on(&kitaru).start().await.unwrap();
    began(1).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop((handle, kitaru));
    let kitaru = reopen(&dir).await;
    let handle = corner_settles(path.into()).id("job").on(&kitaru).start().await.unwrap();
    until(&kitaru, "corner_settles", "job", Status::Waiting).await;
    kitaru.answer(&handle, "corner_transfers", &kitaru::Resolution::fail("first time")).await.unwrap();
    handle.await.unwrap_err();
    kitaru.resume(("corner_settles", "job")).forget("corner_transfers").await.unwrap();
    began(2).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(kitaru);
    let kitaru = reopen(&dir).await;
    let handle = corner_settles(path.into()).id("job").on(&kitaru).start().await.unwrap();
    until(&kitaru, "corner_settles", "job", Status::Waiting).await;
    assert_eq!(
        kitaru.execution(("corner_settles", "job")).await.unwrap().unwrap().waits().len(),
        1,
        "it is asked once more"
    );
    drop(handle);
}

#[checkpoint(retries = 9, backoff = "1s", max_backoff = "1s")]
async fn corner_flaky(path: String) -> Result<u32, Error> {
    log(&path).say("tried");
    Err(Error::msg("busy"))
}

#[flow]
async fn corner_persists(path: String) -> Result<u32, Error> {
    corner_flaky(path).await
}

/// Nothing starts once the store is being closed.
#[tokio::test]
async fn closing_store_begins_no_try() {
    let (kitaru, clock) = memory().await;
    let path = "corners: closing";
    let _handle = corner_persists(path.into()).id("job").on(&kitaru).start().await.unwrap();
    while log(path).count("tried") == 0 {
        tokio::task::yield_now().await;
    }
    // Closing does not wait for the current pause or the grace time: the clock stands still.
    kitaru.close().await.unwrap();
    clock.advance(HOUR);
    assert_eq!(log(path).count("tried"), 1);
}

#[checkpoint]
async fn corner_pays(path: String) -> Result<u32, Error> {
    log(&path).say("pay");
    if log(&path).count("pay") == 1 { Err(Error::msg("card refused")) } else { Ok(1) }
}

#[flow]
async fn corner_tells(path: String) -> Result<u32, Error> {
    match corner_pays(path).await {
        Ok(n) => {
            kitaru::publish("state", "paid")?;
            kitaru::log("state", "paid")?;
            Ok(n)
        }
        Err(error) => {
            kitaru::publish("state", "failed")?;
            kitaru::log("state", "failed")?;
            Err(error)
        }
    }
}

#[tokio::test]
async fn published_values_of_a_failed_attempt_give_way_to_those_of_the_next() {
    let (kitaru, _) = memory().await;
    corner_tells("corners: tells".into()).id("job").on(&kitaru).await.unwrap_err();
    corner_tells("corners: tells".into()).id("job").on(&kitaru).await.unwrap();
    let state = kitaru.published::<String>(&("corner_tells", "job"), "state").await.unwrap();
    let execution = kitaru.execution(("corner_tells", "job")).await.unwrap().unwrap();
    assert_eq!(
        (state.as_deref(), execution.metadata()["state"].as_str(), execution.status()),
        (Some("paid"), Some("paid"), Status::Completed)
    );
}

static STORE: std::sync::OnceLock<Kitaru> = std::sync::OnceLock::new();

#[checkpoint]
async fn corner_fails(path: String) -> Result<u32, Error> {
    let _ = path;
    Err(Error::msg("no"))
}

#[checkpoint(at_most_once)]
async fn corner_once(path: String) -> Result<u32, Error> {
    if log(&path).count("seen") > 0 {
        let kitaru = STORE.get().unwrap();
        let execution = kitaru.execution(("corner_settling", &path)).await.unwrap().unwrap();
        let record = execution.records().iter().find(|record| record.name() == "corner_fails").unwrap();
        log("corners: settling").say(if record.is_settled() { "settled" } else { "unsettled" });
    }
    Ok(1)
}

#[flow]
async fn corner_settling(path: String) -> Result<u32, Error> {
    let fails = async {
        let came = corner_fails(path.clone()).await;
        log(&path).say("seen");
        came
    };
    let once = corner_once(path.clone());
    let (_, once) = tokio::join!(fails, once);
    once
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_whose_intent_is_being_written_waits_for_the_flows_outcomes() {
    let (kitaru, _dir) = disk().await;
    let _ = STORE.set(kitaru.clone());
    for n in 0..60 {
        corner_settling(format!("corners: s{n}")).id(format!("corners: s{n}")).on(&kitaru).await.unwrap();
    }
    let log = log("corners: settling");
    assert_eq!(log.count("unsettled"), 0, "settled: {}", log.count("settled"));
}

#[flow]
async fn corner_in_time(path: String) -> Result<u32, Error> {
    log(&path).say("waits");
    kitaru::wait::<u32>("approval").deadline(HOUR).await
}

/// An answer hours after the deadline.
#[tokio::test]
async fn answer_after_the_deadline_is_refused_and_the_deadline_counts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let open = || {
        Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).recovery(kitaru::Recovery::Manual).open()
    };
    let kitaru = open().await.unwrap();
    drop(corner_in_time("a".into()).id("job").on(&kitaru).start().await.unwrap());
    until(&kitaru, "corner_in_time", "job", Status::Waiting).await;
    kitaru.close().await.unwrap();
    drop(kitaru);
    clock.advance(HOUR * 5);
    let kitaru = open().await.unwrap();
    let answered = kitaru.answer(("corner_in_time", "job"), "approval", &7).await;
    let came = corner_in_time("a".into()).id("job").on(&kitaru).await;
    assert!(answered.is_err() && came.as_ref().is_err_and(Error::is_timeout), "{answered:?} {came:?}");
}
