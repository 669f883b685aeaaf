//! Finished executions that are kept for a limited time.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kitaru::testkit::store::{Memory, Order, Range, Row, Store, Table, Visit};
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow, signal};

use crate::support::{Rows, ends, log};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A store that outlives its owner, for inspection.
#[derive(Clone, Default)]
struct Shared(Arc<Memory>, Arc<AtomicUsize>);

impl Store for Shared {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.commit(rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.0.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Shared {
    fn rows(&self) -> usize {
        let mut rows = 0;
        for table in [Table::Execution, Table::Name, Table::Unfinished, Table::Journal, Table::Aside] {
            let all = (Bound::Unbounded, Bound::Unbounded);
            self.0
                .scan(table, all, Order::Ascending, &mut |_, _| {
                    rows += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
        rows
    }

    async fn open(&self, clock: &Clock) -> Kitaru {
        let builder = kitaru::testkit::store::builder(self.clone()).clock(clock.clone()).retention(DAY * 7);
        builder.open().await.unwrap()
    }
}

#[checkpoint]
async fn pay(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(kitaru::idempotency_key());
    if path.contains("fails") { Err(Error::msg("no luck")) } else { Ok(n) }
}

#[flow]
async fn pays_in_parts(path: String, payments: u32) -> Result<u32, Error> {
    kitaru::publish("progress", &payments)?;
    kitaru::log("customer", "ACME")?;
    for n in 0..payments {
        pay(path.clone(), n).await?;
    }
    if path.contains("waits") {
        signal::<u32>("end").await?;
    }
    Ok(payments)
}

async fn comes_about(holds: impl Fn() -> bool) {
    ends(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Whether it is deleted after an hour or more: the current sweep may have begun before the clock advanced.
pub(crate) async fn is_gone(kitaru: &Kitaru, clock: &Clock, flow: &str, id: &str) -> bool {
    for _ in 0..40 {
        // The time of a sweep on a slow machine.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {
            if kitaru.execution((flow, id)).await.unwrap().is_none() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(3_600));
    }
    false
}

#[tokio::test]
async fn execution_finished_for_long_is_deleted_and_a_call_starts_it_again() {
    let (shared, clock) = (Shared::default(), Clock::manual());
    let kitaru = shared.open(&clock).await;
    let path = "retention: old";
    // More rows than one commit takes.
    assert_eq!(pays_in_parts(path.into(), 2_500).id("old").on(&kitaru).await.unwrap(), 2_500);
    let before = log(path).take();
    pays_in_parts("retention: fails".into(), 1).id("failed").on(&kitaru).await.unwrap_err();
    let waits = pays_in_parts("retention: waits".into(), 1).id("waits").on(&kitaru).start().await.unwrap();
    clock.advance(DAY * 3);
    pays_in_parts("retention: young".into(), 1).id("young").on(&kitaru).await.unwrap();
    pays_in_parts("retention: newest".into(), 1).id("newest").on(&kitaru).await.unwrap();
    let rows = shared.rows();
    clock.advance(DAY * 4);

    assert!(is_gone(&kitaru, &clock, "pays_in_parts", "old").await);
    // The first commit of its deletion hides it.
    comes_about(|| shared.rows() < rows - 2_500).await;
    for (id, status) in [("failed", Status::Failed), ("waits", Status::Waiting), ("young", Status::Completed)] {
        assert_eq!(kitaru.execution(("pays_in_parts", id)).await.unwrap().unwrap().status(), status, "{id}");
    }
    assert_eq!(pays_in_parts("retention: young".into(), 1).id("young").on(&kitaru).await.unwrap(), 1);
    assert_eq!(log("retention: young").take().len(), 1, "what is kept is not paid for again");

    // In another process the deleted execution is unknown, and its keys do not recur.
    kitaru.close().await.unwrap();
    drop(waits);
    let kitaru = shared.open(&clock).await;
    assert_eq!(pays_in_parts(path.into(), 2).id("old").on(&kitaru).await.unwrap(), 2);
    let again = log(path).take();
    assert_eq!(again.len(), 2);
    assert!(!before.contains(&again[0]), "a service that knows the old key is to see another payment");
    assert_eq!(kitaru.execution(("pays_in_parts", "old")).await.unwrap().unwrap().generation(), 2);

    // All of its rows were deleted.
    clock.advance(DAY * 8);
    assert!(is_gone(&kitaru, &clock, "pays_in_parts", "young").await);
    kitaru.close().await.unwrap();
}

#[flow]
async fn kept_part(n: u32) -> Result<u32, Error> {
    Ok(n)
}

/// Hangs after its child's result, which it may ask for again after a crash.
#[flow]
async fn has_a_kept_part(path: String) -> Result<u32, Error> {
    let n = kept_part(1).await?;
    signal::<u32>("end").await?;
    log(&path).say("continued");
    Ok(n)
}

#[tokio::test]
async fn a_child_stays_as_long_as_its_parent_may_ask_for_it() {
    let (shared, clock) = (Shared::default(), Clock::manual());
    let kitaru = shared.open(&clock).await;
    let handle = has_a_kept_part("retention: parent".into()).id("job").on(&kitaru).start().await.unwrap();
    while kitaru.execution(("has_a_kept_part", "job")).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    let child = kitaru.execution(("has_a_kept_part", "job")).await.unwrap().unwrap().children()[0].clone();
    pays_in_parts("retention: other".into(), 1).id("other").on(&kitaru).await.unwrap();
    pays_in_parts("retention: newest".into(), 1).id("newest").on(&kitaru).await.unwrap();
    clock.advance(DAY * 8);
    assert!(is_gone(&kitaru, &clock, "pays_in_parts", "other").await);
    assert!(kitaru.execution((child.flow(), child.id())).await.unwrap().is_some());
    kitaru.signal(&handle, "end", &1).await.unwrap();
    assert_eq!(handle.await.unwrap(), 1);
    clock.advance(DAY * 8);
    assert!(is_gone(&kitaru, &clock, child.flow(), child.id()).await);
}

#[tokio::test]
async fn many_go_in_few_commits_so_that_they_go_as_fast_as_they_come() {
    let (shared, clock) = (Shared::default(), Clock::manual());
    let kitaru = shared.open(&clock).await;
    for n in 0..100 {
        pays_in_parts(format!("retention: many {n}"), 1).id(format!("{n:02}")).on(&kitaru).await.unwrap();
    }
    clock.advance(DAY * 8);
    let commits = shared.1.load(Ordering::SeqCst);
    assert!(is_gone(&kitaru, &clock, "pays_in_parts", "98").await);
    let commits = shared.1.load(Ordering::SeqCst) - commits;
    assert!(commits <= 5, "98 executions went in {commits} commits");
}

/// One generation for each signal, for ever.
#[flow]
async fn endless(round: u32) -> Result<u32, Error> {
    match signal::<u32>("next").await? {
        0 => Ok(round),
        _ => endless(round + 1).continue_as_new().await,
    }
}

#[tokio::test]
async fn older_generations_of_an_endless_flow_are_deleted_and_their_keys_still_count() {
    let (shared, clock) = (Shared::default(), Clock::manual());
    let kitaru = shared.open(&clock).await;
    let handle = endless(0).id("job").on(&kitaru).start().await.unwrap();
    for n in 1..=20u32 {
        kitaru.signal(&handle, "next", &n).key(format!("signal {n}")).await.unwrap();
        let generation = n + 1;
        while kitaru.execution(("endless", "job")).await.unwrap().unwrap().generation() < generation {
            tokio::task::yield_now().await;
        }
        while kitaru.execution(("endless", "job")).await.unwrap().unwrap().status() != Status::Waiting {
            tokio::task::yield_now().await;
        }
    }
    let rows = shared.rows();
    clock.advance(DAY * 8);
    while kitaru.execution(("endless", "job")).generation(20).await.unwrap().is_some() {
        clock.advance(Duration::from_secs(3_600));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(shared.rows() + 60 < rows, "{} of {rows} rows", shared.rows());
    kitaru.signal(&handle, "next", &7).key("signal 7").await.unwrap();
    kitaru.signal(&handle, "next", &0).await.unwrap();
    assert_eq!(
        handle.await.unwrap(),
        20,
        "a signal that was sent before the first generations went is not taken again"
    );
    pays_in_parts("retention: newest".into(), 1).id("newest").on(&kitaru).await.unwrap();
    clock.advance(DAY * 8);
    assert!(is_gone(&kitaru, &clock, "endless", "job").await);
    pays_in_parts("retention: newer".into(), 0).id("newer").on(&kitaru).await.unwrap();
    clock.advance(DAY * 8);
    assert!(is_gone(&kitaru, &clock, "pays_in_parts", "newest").await);
    assert!(shared.rows() <= 8, "nothing is left behind: {} rows", shared.rows());
}

#[tokio::test]
async fn execution_with_an_interrupted_deletion_is_deleted_by_the_next_process() {
    let (rows, clock, path) = (Rows::default(), Clock::manual(), "retention: cut off");
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    // More rows than one commit takes.
    assert_eq!(pays_in_parts(path.into(), 2_500).id("job").on(&kitaru).await.unwrap(), 2_500);
    let before = log(path).take();
    life.dies(kitaru).await;
    clock.advance(DAY * 8);

    let (builder, life) = rows.process(&clock);
    life.ends_after(1);
    let kitaru = builder.retention(DAY * 7).open().await.unwrap();
    comes_about(|| life.has_ended()).await;
    life.dies(kitaru).await;

    let (builder, life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    let left = rows.len();
    assert!(left > 1_000, "{left} rows");
    assert!(kitaru.execution(("pays_in_parts", "job")).await.unwrap().is_none());
    assert!(
        kitaru.export(("pays_in_parts", "job")).await.unwrap_err().to_string().contains("the store has no execution")
    );
    let listed = kitaru.executions().await.unwrap();
    assert!(listed.is_empty() && listed.unreadable().is_empty(), "{listed:?}");
    assert_eq!(pays_in_parts(path.into(), 1).id("job").on(&kitaru).await.unwrap(), 1);
    let again = log(path).take();
    assert!(again.len() == 1 && !before.contains(&again[0]), "a key is not given twice");
    life.dies(kitaru).await;

    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.retention(DAY * 7).open().await.unwrap();
    comes_about(|| rows.len() < 100).await;
    assert_eq!(kitaru.execution(("pays_in_parts", "job")).await.unwrap().unwrap().generation(), 2);
}

#[tokio::test]
async fn failed_generation_that_was_begun_over_is_deleted_with_its_successor() {
    let (shared, clock) = (Shared::default(), Clock::manual());
    let kitaru = shared.open(&clock).await;
    let call = || pays_in_parts("retention: begun over".into(), 1).id("job").on(&kitaru);
    pays_in_parts("retention: begun over fails".into(), 1).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(call().fresh().await.unwrap(), 1);
    let paid = log("retention: begun over").take();
    clock.advance(DAY * 8);
    assert!(is_gone(&kitaru, &clock, "pays_in_parts", "job").await, "nor does the failed one come back");
    assert_eq!(call().await.unwrap(), 1);
    let again = log("retention: begun over").take();
    assert!(again.len() == 1 && again != paid, "a key is not given twice");
}
