//! Cancelling and resuming many executions.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kitaru::{BulkReport, Error, Kitaru, Status, checkpoint, flow};

use crate::support::{ends, until_it_holds};

static WORKS: AtomicBool = AtomicBool::new(false);

#[checkpoint]
async fn charges(id: String) -> Result<String, Error> {
    if WORKS.load(Ordering::SeqCst) { Ok(id) } else { Err(Error::msg("the card service is down")) }
}

#[flow]
async fn charge(id: String) -> Result<String, Error> {
    charges(id).await
}

#[flow]
async fn delivery(_id: String) -> Result<u32, Error> {
    kitaru::signal::<u32>("arrived").await
}

async fn opened() -> Kitaru {
    Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap()
}

async fn deliveries(kitaru: &Kitaru, count: usize) {
    for n in 0..count {
        let id = format!("d{n}");
        drop(delivery(id.clone()).id(id).tag("today").on(kitaru).start().await.unwrap());
    }
    until_it_holds(async || kitaru.executions().status(Status::Waiting).await.unwrap().len() == count).await;
}

fn names(report: &BulkReport) -> Vec<&str> {
    report.done().iter().map(|execution| execution.id()).collect()
}

#[tokio::test]
async fn executions_that_a_filter_matches_are_cancelled_and_no_others() {
    let kitaru = opened().await;
    deliveries(&kitaru, 5).await;
    drop(delivery("other".to_owned()).id("other").on(&kitaru).start().await.unwrap());
    kitaru.signal(("delivery", "d4"), "arrived", &1).await.unwrap();
    until_it_holds(async || kitaru.executions().status(Status::Completed).await.unwrap().len() == 1).await;

    let today = || kitaru.executions().tag("today");
    let planned = today().cancel().dry_run().await.unwrap();
    assert_eq!(names(&planned), ["d3", "d2", "d1", "d0"], "d4 has ended");
    assert_eq!(today().status(Status::Waiting).await.unwrap().len(), 4, "a dry run changes nothing");
    let report = ends(today().limit(3).cancel()).await.unwrap();
    assert_eq!((names(&report), report.skipped().len(), report.failed().len()), (vec!["d3", "d2", "d1"], 0, 0));
    let rest = ends(today().limit(3).after(report.next_cursor().unwrap()).cancel()).await.unwrap();
    assert_eq!((names(&rest), rest.next_cursor()), (vec!["d0"], None));
    assert_eq!(kitaru.executions().status(Status::Cancelled).await.unwrap().len(), 4);
    assert_eq!(kitaru.executions().status(Status::Completed).await.unwrap().len(), 1);
    let other = kitaru.execution(("delivery", "other")).await.unwrap().unwrap();
    assert!(!other.status().is_final());
}

#[tokio::test]
async fn bulk_request_for_a_status_to_which_it_does_not_apply_is_refused() {
    let kitaru = opened().await;
    let error = kitaru.executions().status(Status::Completed).cancel().await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("take another status: queued, running"), "{error}");
    let error = kitaru.executions().status(Status::Failed).status(Status::Waiting).resume().await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("waiting"), "{error}");
}

#[tokio::test]
async fn generation_that_was_begun_over_is_skipped_with_the_reason() {
    let kitaru = opened().await;
    let refuses = || kitaru::dynamic::flow("refuses").run(|| async { Err::<u32, _>(Error::msg("no")) }).id("job");
    refuses().on(&kitaru).await.unwrap_err();
    refuses().fresh().on(&kitaru).await.unwrap_err();
    let report = kitaru.executions().status(Status::Failed).cancel().await.unwrap();
    assert_eq!(names(&report), ["job"]);
    let (_, why) = &report.skipped()[0];
    assert!(report.skipped().len() == 1 && why.to_string().contains("a newer one"), "{why}");
    // Its flow is not one of the program.
    let report = kitaru.executions().status(Status::Failed).resume().await.unwrap();
    assert!(report.skipped().iter().any(|(_, why)| why.to_string().contains("newer")), "{report:?}");
}

static RUNS: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static OPENS: AtomicBool = AtomicBool::new(false);

#[checkpoint]
async fn passes_the_gate() -> Result<u32, Error> {
    if !OPENS.load(Ordering::SeqCst) {
        return Err(Error::msg("the gate is shut"));
    }
    let runs = RUNS.fetch_add(1, Ordering::SeqCst) + 1;
    MOST.fetch_max(runs, Ordering::SeqCst);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    RUNS.fetch_sub(1, Ordering::SeqCst);
    Ok(1)
}

#[flow]
async fn many_gated(_n: usize) -> Result<u32, Error> {
    passes_the_gate().await
}

#[tokio::test]
async fn failed_executions_resume_no_more_concurrently_than_without_a_caller() {
    let kitaru = Kitaru::builder().in_memory().max_concurrent_recoveries(2).open().await.unwrap();
    for n in 0..20 {
        many_gated(n).id(format!("{n}")).on(&kitaru).await.unwrap_err();
    }
    OPENS.store(true, Ordering::SeqCst);
    let report = ends(kitaru.executions().search("the gate is shut").resume()).await.unwrap();
    assert_eq!((report.done().len(), report.skipped().len(), report.failed().len()), (20, 0, 0), "{report:?}");
    ends(until_it_holds(async || kitaru.executions().status(Status::Completed).await.unwrap().len() == 20)).await;
    assert_eq!(MOST.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn executions_that_failed_by_one_outage_resume_together() {
    let kitaru = opened().await;
    for n in 0..3 {
        charge(format!("c{n}")).id(format!("c{n}")).on(&kitaru).await.unwrap_err();
    }
    WORKS.store(true, Ordering::SeqCst);
    let planned = kitaru.executions().flow("charge").resume().dry_run().await.unwrap();
    assert_eq!(names(&planned), ["c2", "c1", "c0"]);
    let report = ends(kitaru.executions().flow("charge").resume()).await.unwrap();
    assert_eq!(report.done().len(), 3);
    ends(until_it_holds(async || kitaru.executions().status(Status::Completed).await.unwrap().len() == 3)).await;
    let report = kitaru.executions().flow("charge").resume().await.unwrap();
    assert!(report.done().is_empty() && report.looked_at() == 0, "{report:?}");
}
