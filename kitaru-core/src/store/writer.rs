//! The one thread that writes to a store. Owns group commit: all that is queued goes into one transaction, and what
//! arrives meanwhile is the next one; no timer is needed. Must not know what is written.

mod commits;
#[cfg(feature = "testkit")]
mod paced;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Kind, cannot};
use crate::store::{Row, RowKey, Store, Table, seal};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, lock};

pub(crate) use commits::{CLASS_BOUNDS_US, CommitTimes};
#[cfg(feature = "testkit")]
pub(crate) use paced::{Before, Pace};

/// Who a submission belongs to. Called by the writer's thread only, and off its locks.
pub(crate) trait Submitter: Send + Sync {
    /// The number of the submitter's journal.
    fn journal(&self) -> u64;

    /// The number of the submitter's next record. Asked in the order of commits; one whose commit fails is lost.
    fn number(&self) -> u64;

    /// Whether a submission for the journal was lost. None that comes behind it is written: a journal has no holes.
    fn is_cut(&self) -> bool;

    /// A submission is durable, its frame under this number, or is not.
    fn landed(&self, token: u64, result: Result<u64, Error>);
}

/// Rows that become durable together.
pub(crate) struct Submission {
    pub(crate) submitter: Arc<dyn Submitter>,
    /// Given back when it has landed.
    pub(crate) token: u64,
    pub(crate) rows: Vec<Row>,
    /// Goes to the end of the submitter's journal.
    pub(crate) frame: Option<Vec<u8>>,
}

/// What waits for a writer, and what it has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterLoad {
    /// How many submissions no commit has taken yet.
    pub(crate) queued: usize,
    /// The bytes of these, and of those that are being committed.
    pub(crate) queued_bytes: usize,
    pub(crate) commits: CommitTimes,
}

/// With more queued submissions their bytes are not counted again: that would happen for each batch.
const MOST_RECOUNTED: usize = 256;

/// The bounds of the writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterOptions {
    /// How many submissions one commit takes.
    pub(crate) batch_count: usize,
    /// How many bytes one commit takes, but for a single submission that is larger.
    pub(crate) batch_bytes: usize,
    /// How many bytes may wait for a commit.
    pub(crate) queue_bytes: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions { batch_count: 4_096, batch_bytes: 16 << 20, queue_bytes: 1 << 30 }
    }
}

/// A handle on the writer's thread. Dropped, it lets the thread finish what is queued and close the store.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    hand: Mutex<Hand>,
}

/// Who does a writer's work.
enum Hand {
    Thread(JoinHandle<Result<(), Error>>),
    /// A task, which gives way to the caller that closes it.
    #[cfg(feature = "testkit")]
    Task(Arc<Mutex<Thread>>),
    Gone,
}

struct Shared {
    options: WriterOptions,
    queue: Mutex<Queue>,
    arrived: Condvar,
    commits: commits::CommitCounter,
    /// Rings in its place where a task does the work.
    #[cfg(feature = "testkit")]
    bell: Option<tokio::sync::Notify>,
}

#[derive(Default)]
struct Queue {
    submissions: VecDeque<Submission>,
    /// Of these and of those that a commit has taken and that have not landed.
    bytes: usize,
    closed: bool,
}

impl Writer {
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start(store: Arc<dyn Store>, options: WriterOptions) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(options));
        let thread = Thread::new(shared.clone(), store);
        let thread = thread::Builder::new().name("kitaru-writer".to_owned()).spawn(move || thread.run());
        let thread = thread.map_err(|why| {
            cannot!(
                Kind::Store,
                "open the store",
                "the system gives no thread for its writer",
                "raise the limit of threads"
            )
            .because(why)
        })?;
        Ok(Writer { shared, hand: Mutex::new(Hand::Thread(thread)) })
    }

    /// Queues a submission. Those of one submitter land in the order in which they were submitted.
    ///
    /// # Errors
    ///
    /// When the writer is closed, or too much waits already. The submission is dropped and never lands.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), Error> {
        let bytes = submission.bytes();
        let first = {
            let mut queue = self.shared.queue();
            if queue.closed {
                return Err(cannot!(Kind::Closed, "write", "the store was closed", "open it again"));
            }
            let bound = self.shared.options.queue_bytes;
            if queue.bytes + bytes > bound && queue.bytes > 0 {
                return Err({
                    let waiting = queue.bytes;
                    cannot!(
                        Kind::TooLarge,
                        "write {bytes} bytes",
                        "{waiting} bytes wait, the bound is {bound}",
                        "run fewer executions concurrently, or keep large data elsewhere"
                    )
                });
            }
            queue.bytes += bytes;
            queue.submissions.push_back(submission);
            queue.submissions.len() == 1
        };
        // The thread sleeps only on an empty queue.
        if first {
            self.shared.ring();
        }
        Ok(())
    }

    pub(crate) fn load(&self) -> WriterLoad {
        let (queued, queued_bytes) = {
            let queue = self.shared.queue();
            (queue.submissions.len(), queue.bytes)
        };
        WriterLoad { queued, queued_bytes, commits: self.shared.commits.so_far() }
    }

    /// Lands what is queued, and closes the store. Blocks. Closing twice is not
    /// an error.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.shared.close();
        let mut hand = lock(&self.hand);
        match std::mem::replace(&mut *hand, Hand::Gone) {
            Hand::Gone => Ok(()),
            Hand::Thread(thread) => thread.join().unwrap_or_else(|panic| Err(Error::panicked("the writer", panic))),
            #[cfg(feature = "testkit")]
            Hand::Task(thread) => lock(&thread).end(),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread is not waited for: this may be a runtime's.
        self.shared.close();
    }
}

impl Shared {
    fn new(options: WriterOptions) -> Self {
        Shared {
            options,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            commits: commits::CommitCounter::default(),
            #[cfg(feature = "testkit")]
            bell: None,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// All that is queued.
    #[cfg(feature = "testkit")]
    fn take(&self) -> VecDeque<Submission> {
        std::mem::take(&mut self.queue().submissions)
    }

    /// So many bytes are in memory no longer.
    fn landed(&self, bytes: usize) {
        let mut queue = self.queue();
        debug_assert!(queue.bytes >= bytes, "what has landed was counted when it came");
        queue.bytes -= bytes;
    }

    fn close(&self) {
        self.queue().closed = true;
        self.ring();
    }

    fn ring(&self) {
        #[cfg(feature = "testkit")]
        if let Some(bell) = &self.bell {
            return bell.notify_one();
        }
        self.arrived.notify_one();
    }
}

impl Queue {
    /// Counts the bytes again, while no commit has taken any.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, where the count differs.
    fn recount(&self) {
        if cfg!(debug_assertions) && self.submissions.len() <= MOST_RECOUNTED {
            let bytes: usize = self.submissions.iter().map(Submission::bytes).sum();
            assert_eq!(self.bytes, bytes, "bytes that wait to be written");
        }
    }
}

impl Submission {
    /// As much as the queue counts of it.
    fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().filter_map(|row| row.value.as_ref()).map(Vec::len).sum();
        rows + self.frame.as_ref().map_or(0, Vec::len)
    }
}

/// Why something is not written; `failure` is that of the last commit.
fn cut(failure: Option<&Error>) -> Error {
    let error =
        cannot!(Kind::Store, "write", "an earlier record could not be written", "call the flow again, it resumes");
    match failure {
        Some(failure) => error.because(format!("{failure:#}")),
        None => error,
    }
}

/// The rows of one commit, and the submitters to notify, each with its number.
struct Batch {
    rows: Vec<Row>,
    /// As the queue counts them.
    bytes: usize,
    waiting: Vec<(Arc<dyn Submitter>, u64, u64)>,
}

impl Batch {
    fn acknowledge(self, landed: &Result<(), Error>) {
        for (submitter, token, number) in self.waiting {
            submitter.landed(token, landed.clone().map(|()| number));
        }
    }
}

struct Thread {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    /// Why the last commit has failed, if it has.
    failure: Option<Error>,
}

/// What the thread does next.
enum Next {
    Commit(VecDeque<Submission>),
    Close,
}

impl Thread {
    fn new(shared: Arc<Shared>, store: Arc<dyn Store>) -> Self {
        Thread { shared, store, failure: None }
    }

    fn run(mut self) -> Result<(), Error> {
        loop {
            match self.next() {
                Next::Commit(submissions) => self.land_all(submissions),
                Next::Close => return self.store.close(),
            }
        }
    }

    fn next(&self) -> Next {
        let mut queue = self.shared.queue();
        loop {
            queue.recount();
            if !queue.submissions.is_empty() {
                return Next::Commit(std::mem::take(&mut queue.submissions));
            }
            if queue.closed {
                return Next::Close;
            }
            queue = self.shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lands what is queued, and closes the store.
    #[cfg(feature = "testkit")]
    fn end(&mut self) -> Result<(), Error> {
        let submissions = self.shared.take();
        self.land_all(submissions);
        self.store.close()
    }

    fn land_all(&mut self, mut submissions: VecDeque<Submission>) {
        while !submissions.is_empty() {
            self.land(&mut submissions);
        }
    }

    /// Makes one commit, and notifies all submitters.
    fn land(&mut self, submissions: &mut VecDeque<Submission>) {
        let mut batch = self.batch(submissions);
        let landed = self.land_rows(&mut batch);
        batch.acknowledge(&landed);
    }

    /// Commits the rows of a batch, and lets them go.
    fn land_rows(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let landed = self.commit(std::mem::take(&mut batch.rows));
        self.shared.landed(batch.bytes);
        landed
    }

    /// What the next commit takes.
    fn batch(&mut self, submissions: &mut VecDeque<Submission>) -> Batch {
        let WriterOptions { batch_count, batch_bytes, .. } = self.shared.options;
        let (mut count, mut bytes) = (0, 0);
        for submission in submissions.iter().take(batch_count) {
            let more = submission.bytes();
            if count > 0 && bytes + more > batch_bytes {
                break;
            }
            (count, bytes) = (count + 1, bytes + more);
        }
        let submissions = submissions.drain(..count);
        let mut rows = Vec::with_capacity(2 * count);
        let mut waiting = Vec::with_capacity(count);
        for Submission { submitter, token, rows: own, frame } in submissions {
            if submitter.is_cut() {
                submitter.landed(token, Err(cut(self.failure.as_ref())));
                continue;
            }
            for Row { table, key, value } in own {
                let value = value.map(|mut value| {
                    seal(table, key.as_bytes(), &mut value);
                    value
                });
                rows.push(Row { table, key, value });
            }
            let number = frame.map_or(0, |mut frame| {
                let number = submitter.number();
                let mut key = [0; 16];
                key[..8].copy_from_slice(&submitter.journal().to_be_bytes());
                key[8..].copy_from_slice(&number.to_be_bytes());
                seal(Table::Journal, &key, &mut frame);
                rows.push(Row { table: Table::Journal, key: RowKey::from(key), value: Some(frame) });
                number
            });
            waiting.push((submitter, token, number));
        }
        Batch { rows, bytes, waiting }
    }

    fn commit(&mut self, rows: Vec<Row>) -> Result<(), Error> {
        // A submission without rows only waits until those before it have landed.
        if rows.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let committed = catch_unwind(AssertUnwindSafe(|| self.store.commit(rows)))
            .unwrap_or_else(|panic| Err(Error::panicked("a call of the store", panic)));
        self.shared.commits.add(begun.elapsed(), committed.is_ok());
        self.failure = committed.as_ref().err().cloned();
        committed
    }
}
