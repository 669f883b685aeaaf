//! The defaults.

use std::sync::Arc;
use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, flow};
use tokio::sync::Barrier;

use crate::support::{ends, lets_others_move, log, memory};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

#[flow]
async fn naps_for(path: String, ms: u64) -> Result<u64, Error> {
    log(&path).say("began");
    kitaru::sleep(Duration::from_millis(ms)).await;
    Ok(ms)
}

async fn status(kitaru: &Kitaru, flow: &str, id: &str) -> Option<Status> {
    kitaru.execution((flow, id)).await.unwrap().map(|execution| execution.status())
}

/// Lets everything move until the condition holds; otherwise fails.
async fn comes_about<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = std::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come about that {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn flow_is_parked_for_a_wait_of_more_than_ten_seconds_unless_set() {
    if std::env::var_os("KITARU_PARK").is_some() {
        return;
    }
    let (kitaru, clock) = memory().await;
    let short = naps_for("defaults: short".into(), 10_000).id("short").on(&kitaru).start().await.unwrap();
    comes_about("the short wait begins", async || log("defaults: short").count("began") > 0).await;
    let long = naps_for("defaults: long".into(), 10_001).id("long").on(&kitaru).start().await.unwrap();
    comes_about("the long wait is parked", async || status(&kitaru, "naps_for", "long").await == Some(Status::Waiting))
        .await;
    assert_eq!(status(&kitaru, "naps_for", "short").await, Some(Status::Running), "10 s are not more than 10 s");
    clock.advance(11 * SECOND);
    assert_eq!((ends(short).await.unwrap(), ends(long).await.unwrap()), (10_000, 10_001));
}

#[tokio::test]
async fn grace_time_of_closing_is_ten_seconds_unless_set() {
    let (kitaru, _) = memory().await;
    let closing = format!("{:?} {:?}", kitaru.close(), kitaru.close().grace(SECOND));
    assert!(closing.contains("grace: 10s") && closing.contains("grace: 1s"), "{closing}");
}

#[flow]
async fn ends_soon(path: String) -> Result<u32, Error> {
    if path.ends_with("fails") { Err(Error::msg("no luck")) } else { Ok(1) }
}

#[tokio::test]
async fn sweep_for_finished_executions_runs_hourly_with_any_retention() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).retention(10 * DAY).open().await.unwrap();
    assert_eq!(ends_soon("old".into()).id("old").on(&kitaru).await.unwrap(), 1);
    ends_soon("fails".into()).id("failed").on(&kitaru).await.unwrap_err();
    let waits = naps_for("defaults: cancelled".into(), 60_000).id("cancelled").on(&kitaru).start().await.unwrap();
    kitaru.cancel(&waits).await.unwrap();
    clock.advance(DAY);
    assert_eq!(ends_soon("young".into()).id("young").on(&kitaru).await.unwrap(), 1);
    // The sweep of that day is over before the clock advances again.
    lets_others_move(&kitaru).await;
    clock.advance(9 * DAY);
    comes_about("the old one is deleted", async || status(&kitaru, "ends_soon", "old").await.is_none()).await;
    comes_about("a cancelled one is deleted", async || status(&kitaru, "naps_for", "cancelled").await.is_none()).await;
    assert!(status(&kitaru, "ends_soon", "young").await.is_some(), "it is nine days old");
    // An hour at a time, until a slow machine has swept once: far less than ten days.
    let mut hours = 0;
    while status(&kitaru, "ends_soon", "young").await.is_some() {
        hours += 1;
        assert!(hours < 5 * 24, "it is not looked once an hour");
        clock.advance(HOUR);
        lets_others_move(&kitaru).await;
    }
    assert!(hours >= 24, "it went before it was ten days old: after {hours} h more");
    assert_eq!(status(&kitaru, "ends_soon", "failed").await, Some(Status::Failed), "it may be resumed");
}

#[tokio::test]
async fn builder_has_the_bounds_that_the_docs_give() {
    let said = format!("{:?}", Kitaru::builder().in_memory());
    for expected in ["lock_timeout: 5s", "max_outcome_bytes: 67108864", "recovery: Some(256)", "retention: None"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let said =
        format!("{:?}", Kitaru::builder().recovery(kitaru::Recovery::Manual).recovery(kitaru::Recovery::Automatic));
    assert!(said.contains("recovery: Some(256)"), "{said}");
    assert!(format!("{:?}", Kitaru::builder().recovery(kitaru::Recovery::Manual)).contains("recovery: None"));
}

#[tokio::test]
async fn page_of_executions_has_a_hundred_unless_set() {
    let (kitaru, _) = memory().await;
    for id in 0..101 {
        assert_eq!(ends_soon(String::new()).id(id.to_string()).on(&kitaru).await.unwrap(), 1);
    }
    let page = kitaru.executions().await.unwrap();
    assert_eq!((page.iter().count(), page.iter().next().unwrap().id()), (100, "100"), "the newest first");
    let rest = kitaru.executions().after(page.next_cursor().unwrap()).await.unwrap();
    assert_eq!(rest.iter().map(|summary| summary.id()).collect::<Vec<_>>(), ["0"]);
}

#[tokio::test]
async fn map_without_a_limit_runs_all_items_side_by_side() {
    let barrier = Arc::new(Barrier::new(500));
    let met = kitaru::map(0..500).all().run(|n| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            n
        }
    });
    let met = tokio::time::timeout(5 * SECOND, met).await.expect("all meet");
    assert!(met.into_iter().eq(0..500));
}
