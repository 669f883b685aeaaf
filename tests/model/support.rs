//! Helpers of the tests: stores, a log that flows write to, and random delays.

use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kitaru::testkit::store::{Memory, Order, Range, Row, Store, Table, Visit, VisitAll};
use kitaru::{Clock, Error, Kitaru, KitaruBuilder};

/// A store in memory, and its manual clock.
pub async fn memory() -> (Kitaru, Clock) {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.expect("a store in memory opens");
    (kitaru, clock)
}

/// A store on disk, in a folder that is removed with the value.
pub async fn disk() -> (Kitaru, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    (reopen(&dir).await, dir)
}

/// Opens the store again, without automatic recovery.
pub async fn reopen(dir: &tempfile::TempDir) -> Kitaru {
    Kitaru::builder()
        .dir(dir.path().join("store"))
        .recovery(kitaru::Recovery::Manual)
        .open()
        .await
        .expect("the store opens")
}

/// Events in their order. A log is not part of a key: checkpoints skip it.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn say(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    /// The lines since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|said| *said == line).count()
    }

    pub async fn until(&self, line: &str) {
        ends(async {
            while self.count(line) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// A log by its name, for flows, whose arguments need serde.
pub fn log(name: &str) -> Log {
    static LOGS: Mutex<Vec<(String, Log)>> = Mutex::new(Vec::new());
    let mut logs = LOGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, log)) = logs.iter().find(|(known, _)| known == name) {
        return log.clone();
    }
    let log = Log::default();
    logs.push((name.to_owned(), log.clone()));
    log
}

/// A random value or pause of the system.
pub fn chance() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::thread::current().id())
}

/// The visible names of an execution's records.
pub async fn names(kitaru: &Kitaru, flow: &str, id: &str) -> Vec<String> {
    let execution = kitaru.execution((flow, id)).await.expect("the store reads").expect("the execution is there");
    execution.records().iter().map(|record| record.name().to_owned()).collect()
}

/// Gives other threads time: as much as some executions take from begin to end.
pub async fn lets_others_move(kitaru: &Kitaru) {
    for _ in 0..50 {
        let passes = kitaru::dynamic::flow("passes").run(|| async { Ok::<_, Error>(()) });
        passes.id("others").fresh().on(kitaru).await.unwrap();
    }
}

/// Awaits a future that has to end, and fails if it does not: a test that hangs does not say what is wrong. The bound is far
/// longer than anything takes here.
pub async fn ends<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future.into_future()).await.expect("it ends")
}

/// Rows that outlive the processes that write them.
#[derive(Clone, Default)]
pub struct Rows(Arc<Memory>);

/// The rows as one process sees them: none, once it has crashed.
#[derive(Clone, Default)]
pub struct Life {
    rows: Rows,
    dead: Arc<AtomicBool>,
    /// The number of commits until the process ends, if that is set.
    left: Arc<Mutex<Option<usize>>>,
}

impl Rows {
    /// Another process.
    pub fn process(&self, clock: &Clock) -> (KitaruBuilder, Life) {
        let life = Life { rows: self.clone(), ..Life::default() };
        (kitaru::testkit::store::builder(life.clone()).clock(clock.clone()), life)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        let mut rows = 0;
        for table in Table::ALL {
            let all = (Bound::Unbounded, Bound::Unbounded);
            let mut see = |_: &[u8], _: &[u8]| {
                rows += 1;
                ControlFlow::Continue(())
            };
            self.0.scan(table, all, Order::Ascending, &mut see).unwrap();
        }
        rows
    }
}

/// The key of the highest journal that lacks its rows in the index.
const UNINDEXED: &[u8] = b"unindexed";

impl Rows {
    /// The keys of a table, in their order.
    pub fn keys(&self, table: Table) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let all = (Bound::Unbounded, Bound::Unbounded);
        let mut see = |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        };
        self.0.scan(table, all, Order::Ascending, &mut see).unwrap();
        keys
    }

    /// Makes the store one that was written before there were indexes.
    pub fn forget_indexes(&self) {
        let row = |table, key: Vec<u8>| Row { table, key: key.into(), value: None };
        let mut gone: Vec<_> = self.keys(Table::Index).into_iter().map(|key| row(Table::Index, key)).collect();
        gone.push(row(Table::Meta, UNINDEXED.to_vec()));
        self.0.commit(gone).unwrap();
    }

    /// Whether every generation has its rows in the index.
    pub fn is_indexed(&self) -> bool {
        self.0.get(Table::Meta, UNINDEXED).unwrap().is_some_and(|row| row.starts_with(&[0; 8]))
    }

    /// Damages all rows of a table.
    pub fn damage(&self, table: Table) {
        let damaged = |key: Vec<u8>| Row { table, key: key.into(), value: Some(vec![0; 4]) };
        let rows: Vec<_> = self.keys(table).into_iter().map(damaged).collect();
        self.0.commit(rows).unwrap();
    }
}

impl Life {
    /// Whether the process writes nothing any more.
    pub fn has_ended(&self) -> bool {
        self.dead.load(Atomic::SeqCst)
    }

    /// Stops all writes of the process.
    pub fn end(&self) {
        self.dead.store(true, Atomic::SeqCst);
    }

    /// Stops all writes after so many commits.
    pub fn ends_after(&self, commits: usize) {
        *self.left.lock().unwrap() = Some(commits);
    }

    /// The process is killed.
    pub async fn dies(&self, kitaru: Kitaru) {
        self.end();
        let closed = kitaru.close().grace(Duration::ZERO).await;
        drop(closed);
    }

    fn rows(&self) -> Result<&Memory, Error> {
        if self.dead.load(Atomic::SeqCst) { Err(Error::msg("the process is dead")) } else { Ok(&self.rows.0) }
    }
}

impl Store for Life {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        let is_empty = rows.is_empty();
        self.rows()?.commit(rows)?;
        if let Some(left) = self.left.lock().unwrap().as_mut().filter(|_| !is_empty) {
            *left -= 1;
            if *left == 0 {
                self.end();
            }
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.rows()?.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.rows()?.scan(table, range, order, visit)
    }

    fn scan_all(&self, visit: VisitAll<'_>) -> Result<(), Error> {
        self.rows()?.scan_all(visit)
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Lets others move until something holds.
pub async fn until_it_holds(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}
