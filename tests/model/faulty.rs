//! A store that fails or blocks a read on request of a test.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kitaru::Error;
use kitaru::testkit::store::{Memory, Order, Range, Row, Store, Table, Visit};

/// A store in memory, one commit or read of which fails.
#[derive(Clone)]
pub struct Faulty {
    pub memory: Arc<Memory>,
    /// The number of commits that succeed before one fails; negative after that.
    pub until: Arc<AtomicI64>,
    /// Whether the failing commit is written nevertheless, as if only its acknowledgement was lost.
    pub lands: bool,
    pub commits: Arc<AtomicUsize>,
    /// The number of further commits with a record that fail.
    pub full_for: Arc<AtomicI64>,
    /// The number of reads that succeed before one fails; negative after that.
    pub reads_until: Arc<AtomicI64>,
    /// The journal whose header cannot be read.
    pub damaged: Arc<AtomicU64>,
    pub gate: Arc<Gate>,
}

/// Where a read waits, with its result, until the test releases it.
#[derive(Default)]
pub struct Gate {
    shut: Mutex<Option<Table>>,
    arrived: AtomicUsize,
    passed: AtomicUsize,
}

impl Gate {
    /// For the next read of this table.
    pub fn shut(&self, table: Table) {
        *self.shut.lock().unwrap() = Some(table);
    }

    pub fn open(&self) {
        self.passed.fetch_add(1, Ordering::SeqCst);
    }

    pub async fn until_arrived(&self, nth: usize) {
        while self.arrived.load(Ordering::SeqCst) < nth {
            tokio::task::yield_now().await;
        }
    }

    fn pass(&self, table: Table) {
        if self.shut.lock().unwrap().take_if(|shut| *shut == table).is_some() {
            let nth = self.arrived.fetch_add(1, Ordering::SeqCst);
            while self.passed.load(Ordering::SeqCst) <= nth {
                std::thread::yield_now();
            }
        }
    }
}

impl Faulty {
    pub fn new(until: i64, lands: bool) -> Self {
        Faulty {
            memory: Arc::default(),
            until: Arc::new(AtomicI64::new(until)),
            lands,
            commits: Arc::default(),
            full_for: Arc::default(),
            reads_until: Arc::new(AtomicI64::new(-1)),
            damaged: Arc::default(),
            gate: Arc::default(),
        }
    }

    fn read(&self) -> Result<(), Error> {
        let fails = self.reads_until.fetch_sub(1, Ordering::SeqCst) == 0;
        if fails { Err(Error::store("the disk is gone for a moment")) } else { Ok(()) }
    }
}

impl Store for Faulty {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        let is_full = rows.iter().any(|row| row.table == Table::Journal)
            && self.full_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n > 0).then(|| n - 1)).is_ok();
        let fails = self.until.fetch_sub(1, Ordering::SeqCst) == 0 || is_full;
        if !fails || self.lands {
            self.memory.commit(rows)?;
        }
        if fails { Err(Error::store("the disk is gone for a moment")) } else { Ok(()) }
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read()?;
        if table == Table::Execution && key == self.damaged.load(Ordering::SeqCst).to_be_bytes() {
            return Err(Error::store("the header is damaged"));
        }
        let found = self.memory.get(table, key);
        self.gate.pass(table);
        found
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.read()?;
        let scanned = self.memory.scan(table, range, order, visit);
        self.gate.pass(table);
        scanned
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
