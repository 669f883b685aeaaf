//! Clocks that are set back, and runtimes whose time is paused.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::keeping::Counting;
use crate::support::{lets_others_move, log};

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(2);

#[checkpoint(retries = 3, backoff = "2s")]
async fn fails_once(path: String) -> Result<(), Error> {
    log(&path).say("try");
    if log(&path).count("try") == 1 { Err(Error::msg("no luck")) } else { Ok(()) }
}

#[checkpoint]
async fn never() -> Result<(), Error> {
    std::future::pending().await
}

/// Waits for two seconds, in one of the possible ways.
#[flow]
async fn waits_two_seconds(way: String, path: String) -> Result<String, Error> {
    let two = Duration::from_secs(2);
    let came = match way.as_str() {
        "sleep" => {
            kitaru::sleep(two).await;
            Ok(())
        }
        "timeout" => kitaru::timeout(two, never()).await.unwrap_or_else(Err),
        "deadline of a wait" => kitaru::wait::<()>("answer").deadline(two).await,
        "pause" => fails_once(path).await,
        "total" => never().total_timeout(two).await,
        "sleep_until" => {
            kitaru::sleep_until(kitaru::now() + two).await;
            Ok(())
        }
        _ => never().await,
    };
    Ok(came.map_or_else(|error| error.to_string(), |()| "over".to_owned()))
}

async fn is_over(kitaru: &Kitaru) -> bool {
    for _ in 0..200 {
        let execution = kitaru.execution(("waits_two_seconds", "job")).await.unwrap().unwrap();
        if execution.status().is_final() || execution.status() == Status::Failed {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn ends(kitaru: &Kitaru, what: &str) {
    let ended = async {
        while !is_over(kitaru).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap_or_else(|_| panic!("{what} does not end"));
}

/// Begins a wait of two seconds, and sets the clock back by an hour during it.
async fn set_back(way: &str, park_after: Duration) -> (Kitaru, Clock) {
    let clock = Clock::manual();
    let builder = Kitaru::builder().in_memory().clock(clock.clone()).park_after(park_after);
    let kitaru = builder.open().await.unwrap();
    let path = format!("clocks: {way} {park_after:?}");
    let call = waits_two_seconds(way.into(), path.clone()).id("job");
    let call = if way == "deadline" { call.deadline(Duration::from_secs(2)) } else { call };
    drop(call.on(&kitaru).start().await.unwrap());
    // Its wait has begun by then.
    lets_others_move(&kitaru).await;
    clock.advance(Duration::from_secs(1));
    clock.set_back(HOUR);
    assert!(!is_over(&kitaru).await, "{way} is not over early");
    (kitaru, clock)
}

#[tokio::test]
async fn wait_for_a_duration_is_not_longer_when_the_clock_is_set_back() {
    for way in ["sleep", "timeout", "deadline of a wait", "pause", "total", "deadline"] {
        for park_after in [Duration::ZERO, HOUR] {
            let (kitaru, clock) = set_back(way, park_after).await;
            clock.advance(Duration::from_millis(1_500));
            ends(&kitaru, &format!("{way}, {park_after:?}")).await;
        }
    }
}

#[tokio::test]
async fn a_wait_for_a_time_of_the_day_waits_until_the_clock_shows_it() {
    for park_after in [Duration::ZERO, HOUR] {
        let (kitaru, clock) = set_back("sleep_until", park_after).await;
        clock.advance(HOUR - Duration::from_secs(1));
        assert!(!is_over(&kitaru).await, "{park_after:?}");
        clock.advance(Duration::from_secs(2));
        ends(&kitaru, &format!("{park_after:?}")).await;
    }
}

#[tokio::test]
async fn a_start_at_a_time_of_the_day_waits_until_the_clock_shows_it() {
    let clock = Clock::manual();
    let store = Counting::default();
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
    let path = "clocks: start";
    let call = waits_two_seconds("pause".into(), path.into()).id("job").start_at(clock.now() + Duration::from_secs(2));
    drop(call.on(&kitaru).start().await.unwrap());
    clock.set_back(HOUR);
    for (by, begins) in [(HOUR, false), (Duration::from_secs(3), true)] {
        clock.advance(by);
        let before = store.reads.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let reads = store.reads.load(Ordering::SeqCst) - before;
        assert!(begins || reads < 20, "it is read a single time, and not all the time: {reads} reads");
        while begins && log(path).count("try") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(log(path).count("try") > 0, begins);
    }
}

#[tokio::test(start_paused = true)]
async fn a_durable_wait_where_time_is_paused_is_an_error_that_names_the_testkit() {
    for park_after in [Duration::ZERO, HOUR] {
        let kitaru = Kitaru::builder().in_memory().park_after(park_after).open().await.unwrap();
        for way in ["sleep", "timeout", "deadline of a wait", "pause", "total", "sleep_until"] {
            let call = waits_two_seconds(way.into(), format!("clocks: paused {way} {park_after:?}")).id(way);
            let error = call.on(&kitaru).await.unwrap_err();
            assert!(error.is_misuse() && error.to_string().contains("Testkit"), "{way}: {error}");
        }
        let call = || waits_two_seconds("never".into(), "clocks: paused".into());
        let error = call().id("deadline").deadline(HOUR).on(&kitaru).await.unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains("Testkit"), "{error}");
        let later = SystemTime::now() + HOUR;
        let error = call().id("later").start_at(later).on(&kitaru).start().await.unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains("Testkit"), "{error}");
    }
}

#[checkpoint(timeout = "1h")]
async fn slow() -> Result<(), Error> {
    std::future::pending().await
}

#[flow]
async fn waits_for_a_body() -> Result<String, Error> {
    Ok(slow().await.unwrap_err().to_string())
}

#[tokio::test(start_paused = true)]
async fn a_flow_without_durable_waits_runs_where_time_is_paused() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let begun = std::time::Instant::now();
    assert!(waits_for_a_body().on(&kitaru).await.unwrap().contains("timed out"));
    assert!(begun.elapsed() < Duration::from_secs(60), "a body's timeout takes the runtime's time");
}

#[flow]
async fn sleeps_a_part_of_a_millisecond() -> Result<u64, Error> {
    let before = kitaru::now();
    kitaru::sleep(Duration::from_micros(1)).await;
    Ok(kitaru::now().duration_since(before).unwrap().as_millis() as u64)
}

#[tokio::test]
async fn a_part_of_a_millisecond_is_a_wait() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).park_after(HOUR).open().await.unwrap();
    let handle = sleeps_a_part_of_a_millisecond().id("job").on(&kitaru).start().await.unwrap();
    let mut handle = Box::pin(handle);
    let begun = async || kitaru.execution(("sleeps_a_part_of_a_millisecond", "job")).await.unwrap().unwrap();
    while begun().await.records().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert!(futures::poll!(handle.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    clock.advance(SHORT);
    assert_eq!(handle.await.unwrap(), 2);
}

#[flow]
async fn takes_the_longest_durations(path: String) -> Result<u32, Error> {
    let longest = Duration::MAX;
    kitaru::timeout(longest, async {}).await?;
    fails_with_a_word(path.clone()).retries(1).await.unwrap_err();
    fails_once(path)
        .backoff(kitaru::Backoff::starting_at(Duration::ZERO))
        .timeout(longest)
        .total_timeout(longest)
        .await?;
    Ok(1)
}

#[checkpoint]
async fn fails_with_a_word(path: String) -> Result<(), Error> {
    log(&path).say("asked");
    Err(Error::msg("busy").retry_after(Duration::ZERO))
}

#[tokio::test]
async fn the_longest_duration_is_one_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let longest = Duration::MAX;
    let builder = Kitaru::builder().dir(dir.path()).lock_timeout(longest).park_after(longest).retention(longest);
    let kitaru = builder.open().await.unwrap();
    let call = takes_the_longest_durations("clocks: longest".into()).deadline(longest);
    assert_eq!(call.on(&kitaru).await.unwrap(), 1);
    kitaru.close().grace(longest).await.unwrap();
}

#[checkpoint(retries = 1)]
async fn is_told_to_wait(path: String, seconds: u64) -> Result<(), Error> {
    log(&path).say("try");
    Err(Error::msg("busy").retry_after(Duration::from_secs(seconds)))
}

#[flow]
async fn obeys(path: String, seconds: u64) -> Result<(), Error> {
    is_told_to_wait(path, seconds).await
}

#[tokio::test]
async fn pause_that_a_server_asks_for_may_exceed_the_backoff_up_to_a_day() {
    for (seconds, hours) in [(7_200, 2), (u64::MAX, 24)] {
        let clock = Clock::manual();
        let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
        let path = format!("clocks: server {hours}");
        let handle = obeys(path.clone(), seconds).id("job").on(&kitaru).start().await.unwrap();
        while kitaru.execution(("obeys", "job")).await.unwrap().unwrap().status() != Status::Waiting {
            tokio::task::yield_now().await;
        }
        clock.advance(HOUR * hours - SHORT);
        for _ in 0..100 {
            let _ = kitaru.execution(("obeys", "job")).await.unwrap();
        }
        assert_eq!(log(&path).count("try"), 1);
        clock.advance(SHORT);
        let came = tokio::time::timeout(Duration::from_secs(10), handle).await;
        came.expect("it waits no longer").unwrap_err();
        assert_eq!(log(&path).count("try"), 2);
    }
}
