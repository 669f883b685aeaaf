//! Section 2: the same call continues the same execution.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kitaru::{Error, Handle, Kitaru, Reuse, Status, checkpoint, flow};
use tokio::sync::Notify;

use crate::support::{disk, log, memory, names, reopen};

#[checkpoint]
async fn step(name: String, n: u32) -> Result<u32, Error> {
    log(&name).say(format!("ran {n}"));
    Ok(n)
}

/// Fails between its two steps as often as the log says `break`.
#[flow]
async fn two_steps(name: String) -> Result<u32, Error> {
    let first = step(name.clone(), 1).await?;
    if log(&name).count("break") > 0 {
        return Err(Error::msg("broken"));
    }
    Ok(first + step(name, 2).await?)
}

#[tokio::test]
async fn failed_flow_resumes_where_it_stopped() {
    let (kitaru, _) = memory().await;
    let path = log("resumes");
    path.say("break");
    let error = two_steps("resumes".into()).on(&kitaru).await.unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert_eq!(path.take(), ["break", "ran 1"]);
    assert_eq!(two_steps("resumes".into()).on(&kitaru).await.unwrap(), 3);
    assert_eq!(path.take(), ["ran 2"]);
    let execution = kitaru.executions().await.unwrap();
    assert_eq!((execution[0].status(), execution[0].attempts()), (Status::Completed, 2));
}

#[tokio::test]
async fn a_completed_execution_gives_its_result_and_runs_nothing() {
    let (kitaru, dir) = disk().await;
    assert_eq!(two_steps("cached".into()).on(&kitaru).await.unwrap(), 3);
    log("cached").take();
    assert_eq!(two_steps("cached".into()).on(&kitaru).await.unwrap(), 3);
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    assert_eq!(two_steps("cached".into()).on(&kitaru).await.unwrap(), 3);
    assert!(log("cached").take().is_empty());
}

#[tokio::test]
async fn the_id_is_the_callers_or_a_digest_of_the_input() {
    let (kitaru, _) = memory().await;
    let named = two_steps("ids".into()).id("job-42").on(&kitaru).start().await.unwrap();
    assert_eq!((named.id(), named.flow()), ("job-42", "two_steps"));
    let first = two_steps("ids".into()).on(&kitaru).start().await.unwrap();
    let same = two_steps("ids".into()).on(&kitaru).start().await.unwrap();
    let other = two_steps("ids-2".into()).on(&kitaru).start().await.unwrap();
    assert_eq!(first.id(), same.id());
    assert_ne!(first.id(), other.id());
    for handle in [named, first, same, other] {
        handle.await.unwrap();
    }
}

#[tokio::test]
async fn same_id_with_another_input_is_an_error_that_names_both_and_runs_nothing() {
    let (kitaru, _) = memory().await;
    two_steps("mine".into()).id("job").on(&kitaru).await.unwrap();
    let error = two_steps("yours".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_conflict());
    let message = error.to_string();
    assert!(message.contains("mine") && message.contains("yours") && message.contains(".fresh()"), "{message}");
    assert!(log("yours").take().is_empty());
}

#[tokio::test]
async fn fresh_begins_a_new_generation_and_the_older_one_stays_readable() {
    let (kitaru, _) = memory().await;
    for _ in 0..2 {
        two_steps("again".into()).id("job").fresh().on(&kitaru).await.unwrap();
    }
    assert_eq!(log("again").take(), ["ran 1", "ran 2", "ran 1", "ran 2"]);
    let newest = kitaru.execution(("two_steps", "job")).await.unwrap().unwrap();
    assert_eq!(newest.generation(), 2);
    let older = kitaru.execution(("two_steps", "job")).generation(1).await.unwrap().unwrap();
    assert_eq!((older.generation(), older.records().len()), (1, 2));
    assert!(kitaru.execution(("two_steps", "job")).generation(3).await.unwrap().is_none());
}

/// Runs until the gate opens.
static GATE: Notify = Notify::const_new();
static ENTERED: Notify = Notify::const_new();

#[checkpoint]
async fn waits_at_the_gate() -> Result<u32, Error> {
    ENTERED.notify_one();
    GATE.notified().await;
    Ok(7)
}

#[flow]
async fn gated(n: u32) -> Result<u32, Error> {
    Ok(n + waits_at_the_gate().await?)
}

/// One test, because there is one gate.
#[tokio::test]
async fn calls_attach_to_a_running_execution_and_dropping_them_detaches() {
    let (kitaru, _) = memory().await;
    let first = gated(1).id("job").on(&kitaru).start().await.unwrap();
    ENTERED.notified().await;
    let running = kitaru.execution(("gated", "job")).await.unwrap().unwrap();
    assert_eq!(running.status(), Status::Running);

    let refused = gated(1).id("job").fresh().on(&kitaru).start().await.unwrap_err();
    assert!(refused.is_conflict() && refused.to_string().contains("running"), "{refused}");
    let refused = gated(2).id("job").on(&kitaru).start().await.unwrap_err();
    assert!(refused.is_conflict(), "{refused}");

    let second = gated(1).id("job").on(&kitaru).start().await.unwrap();
    let by_name: Handle<Result<u32, Error>> = kitaru.handle(("gated", "job")).await.unwrap();
    // Neither a dropped handle nor a dropped call cancels.
    drop(first);
    let mut call = Box::pin(gated(1).id("job").on(&kitaru));
    assert!(futures::poll!(call.as_mut()).is_pending());
    drop(call);
    GATE.notify_one();
    assert_eq!(second.await.unwrap(), 8);
    assert_eq!(by_name.await.unwrap(), 8);
    let after: Handle<Result<u32, Error>> = kitaru.handle(("gated", "job")).await.unwrap();
    assert_eq!(after.await.unwrap(), 8);

    // Closing interrupts running flows, and a later call is refused.
    let cut = gated(3).id("cut").on(&kitaru).start().await.unwrap();
    ENTERED.notified().await;
    let closing = kitaru.clone();
    closing.close().grace(Duration::ZERO).await.unwrap();
    assert!(cut.await.unwrap_err().is_closed());
    assert!(gated(4).on(&kitaru).await.unwrap_err().is_closed());
}

#[tokio::test]
async fn a_started_execution_is_durable_before_its_handle_is_returned() {
    let (kitaru, _) = memory().await;
    let handle = two_steps("durable".into()).id("job").on(&kitaru).start().await.unwrap();
    assert!(kitaru.execution(("two_steps", "job")).await.unwrap().is_some());
    handle.await.unwrap();
}

static COUNT: AtomicU32 = AtomicU32::new(0);

#[checkpoint]
async fn counts() -> u32 {
    COUNT.fetch_add(1, Ordering::SeqCst)
}

#[flow(reuse = "unfinished")]
async fn runs_each_time() -> Result<u32, Error> {
    Ok(counts().await)
}

#[flow(reuse = "24h")]
async fn runs_daily(n: u32) -> Result<u32, Error> {
    let _ = n;
    Ok(counts().await)
}

#[tokio::test]
async fn a_flow_says_how_long_its_results_are_reused_and_a_call_says_otherwise() {
    let (kitaru, clock) = memory().await;
    let first = runs_each_time().on(&kitaru).await.unwrap();
    let second = runs_each_time().on(&kitaru).await.unwrap();
    assert_ne!(first, second, "only what is unfinished is continued");
    assert_eq!(runs_each_time().reuse(Reuse::Always).on(&kitaru).await.unwrap(), second);

    let first = runs_daily(1).on(&kitaru).await.unwrap();
    clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(runs_daily(1).on(&kitaru).await.unwrap(), first);
    assert_ne!(runs_daily(1).reuse(Duration::from_secs(3600)).on(&kitaru).await.unwrap(), first);
    clock.advance(Duration::from_secs(25 * 3600));
    let execution = runs_daily(1).on(&kitaru).start().await.unwrap();
    let id = execution.id().to_owned();
    execution.await.unwrap();
    assert_eq!(kitaru.execution(("runs_daily", &id)).await.unwrap().unwrap().generation(), 3);
}

#[tokio::test]
async fn fresh_over_an_unfinished_execution_cancels_it() {
    let (kitaru, dir) = disk().await;
    // A runtime that is dropped leaves it unfinished.
    let worker = {
        let kitaru = kitaru.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let call = never_ends("cancelled".into()).id("job").on(&kitaru);
                tokio::time::timeout(Duration::from_millis(50), call).await.unwrap_err();
            });
        })
    };
    worker.join().unwrap();
    let left = kitaru.execution(("never_ends", "job")).await.unwrap().unwrap();
    assert_eq!(left.status(), Status::Interrupted);
    log("cancelled").say("end");
    never_ends("cancelled".into()).id("job").fresh().on(&kitaru).await.unwrap();
    let older = kitaru.execution(("never_ends", "job")).generation(1).await.unwrap().unwrap();
    assert_eq!(older.status(), Status::Cancelled);
    assert!(older.error().unwrap().contains(".fresh()"));
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    let older = kitaru.execution(("never_ends", "job")).generation(1).await.unwrap().unwrap();
    assert_eq!(older.status(), Status::Cancelled);
}

#[flow]
async fn never_ends(name: String) -> Result<u32, Error> {
    let n = step(name.clone(), 1).await?;
    if log(&name).count("end") == 0 {
        std::future::pending::<()>().await;
    }
    Ok(n)
}

#[tokio::test]
async fn executions_are_listed_newest_first_in_pages() {
    let (kitaru, _) = memory().await;
    for n in 0..5 {
        two_steps(format!("listed-{n}")).id(format!("job-{n}")).on(&kitaru).await.unwrap();
    }
    let page = kitaru.executions().limit(2).await.unwrap();
    assert_eq!(page.iter().map(|summary| summary.id()).collect::<Vec<_>>(), ["job-4", "job-3"]);
    let page = kitaru.executions().limit(2).after(page.next_cursor().unwrap()).await.unwrap();
    assert_eq!(page.iter().map(|summary| summary.id()).collect::<Vec<_>>(), ["job-2", "job-1"]);
    let page = kitaru.executions().limit(2).after(page.next_cursor().unwrap()).await.unwrap();
    assert_eq!((page.len(), page.next_cursor()), (1, None));
    assert!(page[0].input().contains("listed-0"), "{}", page[0].input());
}

#[tokio::test]
async fn a_handle_without_input_is_refused_where_there_is_nothing_to_attach_to() {
    let (kitaru, _) = memory().await;
    let error = kitaru.handle::<u32, Error>(("two_steps", "absent")).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("absent"), "{error}");
}

async fn records_of(kitaru: &Kitaru, id: &str) -> Vec<String> {
    names(kitaru, "memoizes", id).await
}

#[checkpoint(memo)]
async fn costly(name: String, n: u32) -> Result<u32, Error> {
    log(&name).say(format!("costly {n}"));
    Ok(n * 2)
}

#[checkpoint(memo(max_age = "1h"))]
async fn costly_for_an_hour(name: String, n: u32) -> Result<u32, Error> {
    log(&name).say(format!("hourly {n}"));
    Ok(n * 2)
}

#[flow]
async fn memoizes(name: String, job: u32) -> Result<u32, Error> {
    Ok(job + costly(name.clone(), 1).await? + costly_for_an_hour(name, 1).await?)
}

#[tokio::test]
async fn a_memo_crosses_executions_within_its_age_and_not_into_a_fresh_one() {
    let (kitaru, clock) = memory().await;
    let path = log("memo");
    memoizes("memo".into(), 1).id("a").on(&kitaru).await.unwrap();
    assert_eq!(path.take(), ["costly 1", "hourly 1"]);
    memoizes("memo".into(), 2).id("b").on(&kitaru).await.unwrap();
    assert!(path.take().is_empty());
    assert_eq!(records_of(&kitaru, "b").await, ["costly", "costly_for_an_hour"]);
    let copied = kitaru.execution(("memoizes", "b")).await.unwrap().unwrap();
    assert!(copied.records().iter().all(|record| record.is_from_memo()), "a hit is copied into the own journal");
    clock.advance(Duration::from_secs(3_601));
    memoizes("memo".into(), 3).id("c").on(&kitaru).await.unwrap();
    assert_eq!(path.take(), ["hourly 1"]);
    memoizes("memo".into(), 4).id("d").fresh().on(&kitaru).await.unwrap();
    assert_eq!(path.take(), ["costly 1", "hourly 1"]);
}

#[flow]
async fn closes_its_own_store(n: u32) -> Result<u32, Error> {
    let kitaru = CLOSES.get().expect("the test has set it").clone();
    kitaru.close().await?;
    Ok(n)
}

static CLOSES: std::sync::OnceLock<kitaru::Kitaru> = std::sync::OnceLock::new();

#[tokio::test]
async fn flow_that_closes_its_own_store_is_interrupted_and_the_store_is_released() {
    let (kitaru, dir) = crate::support::disk().await;
    CLOSES.set(kitaru.clone()).ok().unwrap();
    assert!(closes_its_own_store(1).id("job").on(&kitaru).await.unwrap_err().is_closed());
    let kitaru = crate::support::reopen(&dir).await;
    let execution = kitaru.execution(("closes_its_own_store", "job")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Interrupted);
}
