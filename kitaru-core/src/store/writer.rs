//! The one thread that writes to a store. Owns group commit: all that is queued goes into one transaction, and what
//! arrives meanwhile is the next one; no timer is needed. Must not know what is written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::error::{Error, Kind};
use crate::store::{Durability, Key, Row, Store, Table, seal};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError, lock};

/// Who a submission belongs to. Called by the writer's thread only, and off its locks.
pub(crate) trait Owner: Send + Sync {
    /// The number of the owner's journal.
    fn journal(&self) -> u64;

    /// The number of the owner's next record. Asked in the order of commits; one whose commit fails is lost.
    fn number(&self) -> u64;

    /// Whether a submission for the journal was lost. None that comes behind it is written: a journal has no holes.
    fn is_cut(&self) -> bool;

    /// A submission is durable, its frame under this number, or is not.
    fn landed(&self, token: u64, result: Result<u64, Error>);
}

/// What is to become durable at once.
pub(crate) struct Submission {
    pub(crate) owner: Arc<dyn Owner>,
    /// Given back when it has landed.
    pub(crate) token: u64,
    pub(crate) rows: Vec<Row>,
    /// Goes to the end of the owner's journal.
    pub(crate) frame: Option<Vec<u8>>,
    pub(crate) activity: Activity,
}

/// Whether the execution is at work after this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    GoesOn,
    Ends,
}

/// The bounds of the writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterOptions {
    /// How many submissions one commit takes.
    pub(crate) batch_count: usize,
    /// How many bytes one commit takes, but for a single submission that is larger.
    pub(crate) batch_bytes: usize,
    /// How many bytes may wait for a commit.
    pub(crate) queue_bytes: usize,
    /// After how long without work the store is left so that it opens quickly.
    pub(crate) idle: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions {
            batch_count: 4_096,
            batch_bytes: 16 << 20,
            queue_bytes: 1 << 30,
            idle: Duration::from_millis(100),
        }
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
    /// A task, which gives way to whoever closes it.
    Task(Arc<Mutex<Thread>>),
    Gone,
}

/// How fast a writer in a task is, and who hears of a commit first. Must not be told what is written.
pub(crate) trait Pace: Send + Sync + 'static {
    /// Waits before a commit, between it and its acknowledgement, or between two of those.
    fn wait(&self, before: Before) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Which of so many journals hears first.
    fn first_of(&self, journals: usize) -> usize;
}

/// What a [`Pace`] puts off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Before {
    Commit,
    /// The first one of a commit.
    Acknowledgement,
    NextAcknowledgement,
}

struct Shared {
    options: WriterOptions,
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// Rings in its place where a task does the work.
    bell: Option<Notify>,
    /// How many executions are at work.
    running: AtomicUsize,
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
        let (shared, thread) = Self::prepare(store, options, None);
        let thread = thread::Builder::new().name("kitaru-writer".to_owned()).spawn(move || thread.run());
        let thread = thread.map_err(|why| {
            let message =
                "cannot open the store: the system gives no thread for its writer; raise the limit of threads";
            Error::new(Kind::Store, message).because(why)
        })?;
        Ok(Writer { shared, hand: Mutex::new(Hand::Thread(thread)) })
    }

    /// A writer whose work is done by a task of this runtime, so that the order of everything is the runtime's.
    pub(crate) fn in_a_task(store: Arc<dyn Store>, options: WriterOptions, pace: Arc<dyn Pace>) -> Self {
        let (shared, thread) = Self::prepare(store, options, Some(Notify::new()));
        let thread = Arc::new(Mutex::new(thread));
        tokio::spawn(run_in_a_task(shared.clone(), thread.clone(), pace));
        Writer { shared, hand: Mutex::new(Hand::Task(thread)) }
    }

    fn prepare(store: Arc<dyn Store>, options: WriterOptions, bell: Option<Notify>) -> (Arc<Shared>, Thread) {
        let shared = Arc::new(Shared {
            options,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            bell,
            running: AtomicUsize::new(0),
        });
        let thread = Thread { shared: shared.clone(), store, last: Durability::QuickRepair, failure: None };
        (shared, thread)
    }

    /// Queues a submission. Those of one owner land in the order in which they were submitted.
    ///
    /// # Errors
    ///
    /// When the writer is closed, or too much waits already. The submission is dropped and never lands.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), Error> {
        let bytes = submission.bytes();
        let first = {
            let mut queue = self.shared.queue();
            if queue.closed {
                return Err(Error::new(Kind::Closed, "the store was closed; open it again to go on"));
            }
            let bound = self.shared.options.queue_bytes;
            if queue.bytes + bytes > bound && queue.bytes > 0 {
                return Err(Error::new(
                    Kind::TooLarge,
                    format!(
                        "{} bytes wait to be written, and {bytes} more are over the bound of {bound}: the disk does not \
                         keep up. Run fewer executions at once, or keep large data elsewhere",
                        queue.bytes
                    ),
                ));
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

    /// An execution is at work.
    pub(crate) fn enter(&self) {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
    }

    /// An execution is no longer at work, and has not said so with its last submission.
    pub(crate) fn leave(&self) {
        self.shared.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lands what is queued, leaves the store so that it opens quickly, and closes it. Blocks. Closing twice is no
    /// error.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.shared.close();
        let mut hand = lock(&self.hand);
        match std::mem::replace(&mut *hand, Hand::Gone) {
            Hand::Gone => Ok(()),
            Hand::Thread(thread) => thread.join().unwrap_or_else(|panic| Err(Error::panicked("the writer", panic))),
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
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// All that is queued.
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
        match &self.bell {
            Some(bell) => bell.notify_one(),
            None => self.arrived.notify_one(),
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
    let error = Error::new(
        Kind::Store,
        "what came before could not be written to the store; nothing that was acknowledged is lost. Call the flow again, \
         it goes on where it stopped",
    );
    match failure {
        Some(failure) => error.because(format!("{failure:#}")),
        None => error,
    }
}

/// What one commit takes, and who is told of it, with which number.
struct Batch {
    rows: Vec<Row>,
    /// As the queue counts them.
    bytes: usize,
    waiting: Vec<(Arc<dyn Owner>, u64, u64)>,
}

impl Batch {
    fn acknowledge(self, landed: &Result<(), Error>) {
        for (owner, token, number) in self.waiting {
            owner.landed(token, landed.clone().map(|()| number));
        }
    }

    /// The same, in any order that the contract allows: those of one journal in their order, and what belongs to none, which
    /// asks whether all before it have landed, behind all before it.
    async fn acknowledge_at(self, pace: &dyn Pace, landed: &Result<(), Error>) {
        let mut left = self.waiting.len();
        let mut waiting = self.waiting.into_iter().enumerate().peekable();
        while let Some(first) = waiting.next() {
            let mut queues: HashMap<u64, VecDeque<_>> = HashMap::new();
            let of_none = first.1.0.journal() == 0;
            queues.entry(first.1.0.journal()).or_default().push_back(first);
            while let Some(next) = waiting.next_if(|(_, (owner, ..))| !of_none && owner.journal() != 0) {
                queues.entry(next.1.0.journal()).or_default().push_back(next);
            }
            // The first of each journal, by its place.
            let mut firsts: BTreeMap<usize, u64> =
                queues.iter().filter_map(|(journal, queue)| Some((queue.front()?.0, *journal))).collect();
            while !firsts.is_empty() {
                let chosen = firsts.iter().nth(pace.first_of(firsts.len())).map(|(nth, journal)| (*nth, *journal));
                let Some((nth, journal)) = chosen else { unreachable!("one of so many is chosen") };
                firsts.remove(&nth);
                let queue = queues.get_mut(&journal);
                let Some((_, (owner, token, number))) = queue.and_then(VecDeque::pop_front) else { continue };
                if let Some((next, _)) = queues.get(&journal).and_then(VecDeque::front) {
                    firsts.insert(*next, journal);
                }
                owner.landed(token, landed.clone().map(|()| number));
                left -= 1;
                if left > 0 {
                    pace.wait(Before::NextAcknowledgement).await;
                }
            }
        }
    }
}

/// Its runtime may be dropped while something is queued, whose owners hold the queue.
struct Abandoned(Arc<Shared>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.close();
        // Off the lock: an owner may submit something while it is dropped.
        drop(self.0.take());
    }
}

/// The work of a writer, one batch after another.
async fn run_in_a_task(shared: Arc<Shared>, thread: Arc<Mutex<Thread>>, pace: Arc<dyn Pace>) {
    let locked = || lock(&thread);
    let _abandoned = Abandoned(shared.clone());
    while let Some(bell) = &shared.bell {
        let mut submissions = shared.take();
        while !submissions.is_empty() {
            pace.wait(Before::Commit).await;
            let (batch, landed) = {
                let mut thread = locked();
                let mut batch = thread.batch(&mut submissions);
                let landed = thread.land_rows(&mut batch);
                (batch, landed)
            };
            pace.wait(Before::Acknowledgement).await;
            batch.acknowledge_at(&*pace, &landed).await;
        }
        if shared.queue().closed {
            // Whoever has closed it has asked for nothing, or ends it itself.
            drop(locked().end());
            return;
        }
        bell.notified().await;
    }
}

struct Thread {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    /// How the last commit left the store.
    last: Durability,
    /// Why the last commit has failed, if it has.
    failure: Option<Error>,
}

/// What the thread does next.
enum Next {
    Commit(VecDeque<Submission>),
    /// Nothing has come for a while.
    Idle,
    Close,
}

impl Thread {
    fn run(mut self) -> Result<(), Error> {
        loop {
            match self.next() {
                Next::Commit(submissions) => self.land_all(submissions),
                Next::Idle => self.rest(),
                Next::Close => {
                    self.rest();
                    return self.store.close();
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut queue = self.shared.queue();
        loop {
            if !queue.submissions.is_empty() {
                return Next::Commit(std::mem::take(&mut queue.submissions));
            }
            if queue.closed {
                return Next::Close;
            }
            if self.last == Durability::QuickRepair {
                queue = self.shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (woken, waited) = self
                .shared
                .arrived
                .wait_timeout(queue, self.shared.options.idle)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if waited.timed_out() && queue.submissions.is_empty() && !queue.closed {
                return Next::Idle;
            }
        }
    }

    /// Lands what is queued, and closes the store.
    fn end(&mut self) -> Result<(), Error> {
        let submissions = self.shared.take();
        self.land_all(submissions);
        self.rest();
        self.store.close()
    }

    fn land_all(&mut self, mut submissions: VecDeque<Submission>) {
        while !submissions.is_empty() {
            self.land(&mut submissions);
        }
    }

    /// One commit, and everybody is told.
    fn land(&mut self, submissions: &mut VecDeque<Submission>) {
        let mut batch = self.batch(submissions);
        let landed = self.land_rows(&mut batch);
        batch.acknowledge(&landed);
    }

    /// Commits the rows of a batch, and lets them go.
    fn land_rows(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let landed = self.commit(&batch.rows);
        drop(std::mem::take(&mut batch.rows));
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
        let mut rows = Vec::new();
        let mut waiting = Vec::new();
        for Submission { owner, token, rows: own, frame, activity } in submissions {
            if activity == Activity::Ends {
                self.shared.running.fetch_sub(1, Ordering::SeqCst);
            }
            if owner.is_cut() {
                owner.landed(token, Err(cut(self.failure.as_ref())));
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
                let number = owner.number();
                let mut key = [0; 16];
                key[..8].copy_from_slice(&owner.journal().to_be_bytes());
                key[8..].copy_from_slice(&number.to_be_bytes());
                seal(Table::Journal, &key, &mut frame);
                rows.push(Row { table: Table::Journal, key: Key::from(key), value: Some(frame) });
                number
            });
            waiting.push((owner, token, number));
        }
        Batch { rows, bytes, waiting }
    }

    fn commit(&mut self, rows: &[Row]) -> Result<(), Error> {
        // A submission without rows only asks to be told when those before it have landed.
        if rows.is_empty() {
            return Ok(());
        }
        let durability = match self.shared.running.load(Ordering::SeqCst) {
            0 => Durability::QuickRepair,
            _ => Durability::Fast,
        };
        let committed = catch_unwind(AssertUnwindSafe(|| self.store.commit(rows, durability)))
            .unwrap_or_else(|panic| Err(Error::panicked("the store", panic)));
        self.last = durability;
        self.failure = committed.as_ref().err().cloned();
        committed
    }

    /// Leaves the store so that it opens quickly.
    fn rest(&mut self) {
        if self.last == Durability::Fast {
            self.last = Durability::QuickRepair;
            // Nobody waits for it, and a store that fails says so at the next commit.
            let rested = catch_unwind(AssertUnwindSafe(|| self.store.commit(&[], Durability::QuickRepair)));
            drop(rested);
        }
    }
}
