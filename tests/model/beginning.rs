//! The cost of beginning a flow.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use kitaru::testkit::store::{Durability, Memory, Order, Range, Row, Store, Table, Visit};
use kitaru::{Error, checkpoint, flow};

/// A store that counts its commits, and commits slowly.
struct Counting {
    rows: Memory,
    commits: Arc<AtomicUsize>,
}

impl Store for Counting {
    fn commit(&self, rows: &[Row], durability: Durability) -> Result<(), Error> {
        if !rows.is_empty() {
            std::thread::sleep(Duration::from_millis(2));
            self.commits.fetch_add(1, Ordering::SeqCst);
        }
        self.rows.commit(rows, durability)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.rows.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.rows.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        self.rows.close()
    }
}

#[checkpoint]
async fn counted(n: u32) -> u32 {
    n
}

#[flow]
async fn counts_commits(job: u32, n: u32) -> Result<u32, Error> {
    let mut sum = job;
    for n in 0..n {
        sum += counted(n).await;
    }
    Ok(sum)
}

#[tokio::test]
async fn a_beginning_costs_a_commit_which_those_that_begin_together_share() {
    let commits = Arc::new(AtomicUsize::new(0));
    let store = Counting { rows: Memory::new(), commits: commits.clone() };
    let kitaru = kitaru::testkit::store::builder(store).open().await.unwrap();
    let before = commits.swap(0, Ordering::SeqCst);
    assert!(before <= 1, "the store's secret: {before}");
    counts_commits(0, 10).on(&kitaru).await.unwrap();
    // Ten records, the end, and one before the flow begins.
    assert_eq!(commits.swap(0, Ordering::SeqCst), 12);
    let calls: Vec<_> = (1..=200).map(|job| counts_commits(job, 1).on(&kitaru)).collect();
    for outcome in join_all(calls.into_iter().map(IntoFuture::into_future)).await {
        outcome.unwrap();
    }
    let together = commits.load(Ordering::SeqCst);
    // About ten on an idle machine.
    assert!(together <= 60, "{together} commits for 200 flows");
}
