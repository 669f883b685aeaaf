//! The writer: submissions, the order in which they land, acknowledgements, closing, and a store that fails.

use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::orders::try_orders;
use crate::store::{Order, Range, Row, Store, Submission, Submitter, Table, Visit, Writer, WriterOptions};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, PoisonError, lock, thread};

/// A disk that takes its time, and refuses one of the commits.
struct Disk {
    /// The keys of the records that are durable, in the order in which they became so.
    records: Mutex<Vec<Vec<u8>>>,
    commits: AtomicUsize,
    refuses: usize,
    closed: AtomicBool,
}

impl Disk {
    fn new(refuses: usize) -> Arc<Self> {
        Arc::new(Disk {
            records: Mutex::new(Vec::new()),
            commits: AtomicUsize::new(0),
            refuses,
            closed: AtomicBool::new(false),
        })
    }

    /// The numbers of a journal's records.
    fn journal(&self, journal: u64) -> Vec<u64> {
        let records = lock(&self.records);
        let own = records.iter().filter(|key| key[..8] == journal.to_be_bytes());
        own.map(|key| u64::from_be_bytes(key[8..].try_into().expect("eight bytes"))).collect()
    }
}

impl Store for Disk {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        assert!(!self.closed.load(Ordering::SeqCst), "a commit to a closed store");
        let nth = self.commits.fetch_add(1, Ordering::SeqCst);
        if nth == self.refuses {
            return Err(Error::new(Kind::Store, "on demand"));
        }
        // The sync takes its time.
        thread::yield_now();
        let records = rows.iter().filter(|row| row.table == Table::Journal);
        lock(&self.records).extend(records.map(|row| row.key.as_bytes().to_vec()));
        Ok(())
    }

    fn get(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn scan(&self, _: Table, _: Range<'_>, _: Order, _: Visit<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// An execution, as the writer sees it.
struct Execution {
    journal: u64,
    disk: Arc<Disk>,
    next: AtomicUsize,
    cut: AtomicBool,
    landed: Mutex<Vec<(u64, bool)>>,
    told: Condvar,
}

impl Execution {
    fn new(journal: u64, disk: &Arc<Disk>) -> Arc<Self> {
        Arc::new(Execution {
            journal,
            disk: disk.clone(),
            next: AtomicUsize::new(1),
            cut: AtomicBool::new(false),
            landed: Mutex::new(Vec::new()),
            told: Condvar::new(),
        })
    }

    fn send(self: &Arc<Self>, writer: &Writer, token: u64) -> Result<(), Error> {
        let (rows, frame) = (Vec::new(), Some(vec![token as u8]));
        writer.submit(Submission { submitter: self.clone(), token, rows, frame })
    }

    /// Submits so many records together; how many were accepted.
    fn submit(self: &Arc<Self>, writer: &Writer, records: u64) -> u64 {
        for token in 0..records {
            if let Err(error) = self.send(writer, token) {
                assert!(error.is_closed(), "{error:#}");
                return token;
            }
        }
        records
    }

    /// Submits a record when the one before was acknowledged.
    fn submit_one_by_one(self: &Arc<Self>, writer: &Writer, records: u64) {
        for token in 0..records {
            self.send(writer, token).expect("it is open");
            self.wait(token as usize + 1);
        }
    }

    /// Waits until so many were acknowledged.
    fn wait(&self, count: usize) {
        let mut landed = lock(&self.landed);
        while landed.len() < count {
            landed = self.told.wait(landed).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Every accepted record was acknowledged once, in order, and when it was durable.
    fn check(&self, taken: u64) {
        let landed = lock(&self.landed);
        let tokens: Vec<u64> = landed.iter().map(|(token, _)| *token).collect();
        assert_eq!(tokens, (0..taken).collect::<Vec<_>>(), "every accepted record is acknowledged once, in order");
        let durable = landed.iter().take_while(|(_, durable)| *durable).count();
        assert!(
            landed[durable..].iter().all(|(_, durable)| !durable),
            "nothing lands behind what was lost: {landed:?}"
        );
        let records = self.disk.journal(self.journal);
        assert_eq!(records, (1..=durable as u64).collect::<Vec<_>>(), "a journal has no holes");
    }
}

impl Submitter for Execution {
    fn journal(&self) -> u64 {
        self.journal
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst) as u64
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    fn landed(&self, token: u64, result: Result<u64, Error>) {
        if let Ok(number) = &result {
            assert!(self.disk.journal(self.journal).contains(number), "it is acknowledged before it is durable");
        } else {
            self.cut.store(true, Ordering::SeqCst);
        }
        lock(&self.landed).push((token, result.is_ok()));
        self.told.notify_one();
    }
}

fn options() -> WriterOptions {
    // Small, so that what is queued takes several commits.
    WriterOptions { batch_count: 2, ..WriterOptions::default() }
}

fn nobody_refuses() -> usize {
    usize::MAX
}

#[test]
fn submission_is_acknowledged_once_in_order_and_when_it_is_durable() {
    try_orders(|| {
        let disk = Disk::new(nobody_refuses());
        let writer = Arc::new(Writer::start(disk.clone(), options()).unwrap());
        let [at_once, one_by_one] = [1, 2].map(|journal| Execution::new(journal, &disk));
        let threads = {
            let (at_once, one_by_one) = (at_once.clone(), one_by_one.clone());
            let (first, second) = (writer.clone(), writer.clone());
            [
                thread::spawn(move || assert_eq!(at_once.submit(&first, 3), 3)),
                thread::spawn(move || one_by_one.submit_one_by_one(&second, 3)),
            ]
        };
        // It need not be closed for that.
        at_once.wait(3);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        writer.close().unwrap();
        [at_once, one_by_one].iter().for_each(|execution| execution.check(3));
        assert!(disk.closed.load(Ordering::SeqCst));
    });
}

#[test]
fn submission_while_the_writer_closes_lands_or_is_refused() {
    try_orders(|| {
        let disk = Disk::new(nobody_refuses());
        let writer = Arc::new(Writer::start(disk.clone(), options()).unwrap());
        let executions: Vec<_> = (1..=2).map(|journal| Execution::new(journal, &disk)).collect();
        let threads: Vec<_> = executions
            .iter()
            .map(|execution| {
                let (execution, writer) = (execution.clone(), writer.clone());
                thread::spawn(move || execution.submit(&writer, 2))
            })
            .collect();
        writer.close().unwrap();
        let taken: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        executions.iter().zip(taken).for_each(|(execution, taken)| execution.check(taken));
    });
}

#[test]
fn journal_of_a_refused_commit_is_cut_and_the_others_continue() {
    for refuses in 0..3 {
        try_orders(move || {
            let disk = Disk::new(refuses);
            let writer = Arc::new(Writer::start(disk.clone(), options()).unwrap());
            let executions: Vec<_> = (1..=2).map(|journal| Execution::new(journal, &disk)).collect();
            let threads: Vec<_> = executions
                .iter()
                .map(|execution| {
                    let (execution, writer) = (execution.clone(), writer.clone());
                    thread::spawn(move || execution.submit(&writer, 3))
                })
                .collect();
            threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 3));
            writer.close().unwrap();
            executions.iter().for_each(|execution| execution.check(3));
        });
    }
}
