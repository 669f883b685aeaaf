//! Which finished executions are kept, and how often the store is swept for them.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kitaru::testkit::store::{Durability, Memory, Order, Range, Row, Store, Table, Visit};
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};

use crate::retention::is_gone;
use crate::support::log;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A store that counts its reads, and the sweeps through its executions.
#[derive(Clone, Default)]
pub struct Counting {
    memory: Arc<Memory>,
    pub reads: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
}

impl Store for Counting {
    fn commit(&self, rows: &[Row], durability: Durability) -> Result<(), Error> {
        self.memory.commit(rows, durability)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.memory.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        if table == Table::Execution && order == Order::Ascending {
            self.looks.fetch_add(1, Ordering::SeqCst);
        }
        self.memory.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Counting {
    async fn open(&self, clock: &Clock, keep: Duration) -> Kitaru {
        kitaru::testkit::store::builder(self.clone()).clock(clock.clone()).retention(keep).open().await.unwrap()
    }

    fn journals(&self) -> Vec<u64> {
        let mut journals = Vec::new();
        let all = (Bound::Unbounded, Bound::Unbounded);
        let mut see = |key: &[u8], _: &[u8]| {
            journals.push(u64::from_be_bytes(key[..8].try_into().unwrap()));
            ControlFlow::Continue(())
        };
        self.memory.scan(Table::Execution, all, Order::Ascending, &mut see).unwrap();
        journals
    }
}

#[checkpoint]
async fn part(path: String) -> Result<u32, Error> {
    if path.contains("fails") && log(&path).count("mended") == 0 { Err(Error::msg("no luck")) } else { Ok(1) }
}

#[flow]
async fn holds_something_private(path: String) -> Result<u32, Error> {
    part(path).await
}

#[tokio::test]
async fn newest_execution_is_deleted_like_others_and_its_number_is_not_reused() {
    let (store, clock) = (Counting::default(), Clock::manual());
    let kitaru = store.open(&clock, DAY).await;
    for id in ["first", "last"] {
        holds_something_private("keeping: private".into()).id(id).on(&kitaru).await.unwrap();
    }
    let newest = store.journals().pop().unwrap();
    clock.advance(DAY * 2);
    assert!(is_gone(&kitaru, &clock, "holds_something_private", "last").await);
    assert!(store.journals().is_empty());
    kitaru.close().await.unwrap();
    let kitaru = store.open(&clock, DAY).await;
    holds_something_private("keeping: private".into()).id("next").on(&kitaru).await.unwrap();
    assert_eq!(store.journals(), [newest + 1]);
}

#[tokio::test]
async fn store_is_swept_once_a_second_at_most() {
    for keep in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(1), Duration::from_millis(999)] {
        let (store, clock) = (Counting::default(), Clock::manual());
        let kitaru = store.open(&clock, keep).await;
        holds_something_private("keeping: often".into()).id("failed").on(&kitaru).await.unwrap();
        let looks = || store.looks.load(Ordering::SeqCst);
        while looks() == 0 {
            tokio::task::yield_now().await;
        }
        let some_time = async || {
            for _ in 0..200 {
                let _ = kitaru.execution(("holds_something_private", "failed")).await.unwrap();
            }
        };
        some_time().await;
        let before = looks();
        for _ in 0..99 {
            clock.advance(Duration::from_millis(10));
            let _ = kitaru.execution(("holds_something_private", "failed")).await.unwrap();
        }
        some_time().await;
        assert_eq!(looks(), before, "{keep:?}");
        clock.advance(Duration::from_secs(60));
        while looks() == before {
            tokio::task::yield_now().await;
        }
    }
}

#[checkpoint]
async fn costs(path: String) -> Result<u32, Error> {
    log(&path).say("paid");
    Ok(1)
}

#[flow]
async fn costly_part(path: String) -> Result<u32, Error> {
    costs(path).await
}

#[flow]
async fn has_a_costly_part(path: String) -> Result<u32, Error> {
    let started = costly_part(path.clone()).id("part").start().await?;
    let failed = part(path.clone()).await;
    failed?;
    started.await
}

mod before {
    #[kitaru::checkpoint]
    pub async fn measured() -> (u32, u32) {
        (1, 2)
    }
}

mod after {
    #[kitaru::checkpoint]
    pub async fn measured() -> [u8; 2] {
        [9, 9]
    }
}

/// Its second version cannot read the records of its first one.
#[flow]
async fn gets_stuck(path: String) -> Result<u32, Error> {
    let started = costly_part(path.clone()).id("stuck part").start().await?;
    if log(&path).count("new") == 1 {
        after::measured().await;
    } else {
        before::measured().await;
    }
    if log(&path).count("new") == 0 { Err(Error::msg("to be replaced")) } else { started.await }
}

#[tokio::test]
async fn a_child_stays_while_its_parent_is_stuck_and_may_be_resumed() {
    let (store, clock) = (Counting::default(), Clock::manual());
    let kitaru = store.open(&clock, DAY).await;
    let path = "keeping: stuck";
    gets_stuck(path.into()).id("job").on(&kitaru).await.unwrap_err();
    log(path).say("new");
    assert!(gets_stuck(path.into()).id("job").on(&kitaru).await.unwrap_err().is_stuck());
    while kitaru.execution(("costly_part", "stuck part")).await.unwrap().unwrap().status() != Status::Completed {
        tokio::task::yield_now().await;
    }
    clock.advance(DAY * 30);
    assert!(!is_gone(&kitaru, &clock, "costly_part", "stuck part").await);
    // The code that can read it is back.
    log(path).say("new");
    kitaru.resume(("gets_stuck", "job")).await.unwrap();
    assert_eq!(gets_stuck(path.into()).id("job").on(&kitaru).await.unwrap(), 1);
    assert_eq!(log(path).count("paid"), 1, "and is not paid for again");
}

#[tokio::test]
async fn a_child_stays_while_its_parent_has_failed_and_may_be_called_again() {
    let (store, clock) = (Counting::default(), Clock::manual());
    let kitaru = store.open(&clock, DAY).await;
    let path = "keeping: fails";
    has_a_costly_part(path.into()).id("job").on(&kitaru).await.unwrap_err();
    while kitaru.execution(("costly_part", "part")).await.unwrap().unwrap().status() != Status::Completed {
        tokio::task::yield_now().await;
    }
    clock.advance(DAY * 30);
    assert!(!is_gone(&kitaru, &clock, "costly_part", "part").await);
    log(path).say("mended");
    assert_eq!(has_a_costly_part(path.into()).id("job").on(&kitaru).await.unwrap(), 1);
    assert_eq!(log(path).count("paid"), 1, "and is not paid for again");
    clock.advance(DAY * 30);
    assert!(is_gone(&kitaru, &clock, "costly_part", "part").await);
}
