//! A writer in a task of the runtime that opens the store, at the pace of a test. Owns the orders in which that may happen;
//! must not know what is written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Batch, Hand, Shared, Thread, Writer, WriterOptions};
use crate::error::Error;
use crate::store::Store;
use crate::sync::{Mutex, lock};

/// How fast a writer in a task is, and which submitter learns of a commit first. Must not know what is written.
pub(crate) trait Pace: Send + Sync + 'static {
    /// Waits before a commit, between it and its acknowledgement, or between two of those.
    fn wait(&self, before: Before) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Which of this many journals is notified first.
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

impl Writer {
    /// A writer whose work is done by a task of this runtime, so that the order of everything is the runtime's.
    pub(crate) fn in_a_task(store: Arc<dyn Store>, options: WriterOptions, pace: Arc<dyn Pace>) -> Self {
        let shared = Arc::new(Shared { bell: Some(Notify::new()), ..Shared::new(options) });
        let thread = Arc::new(Mutex::new(Thread::new(shared.clone(), store)));
        tokio::spawn(run_in_a_task(shared.clone(), thread.clone(), pace));
        Writer { shared, hand: Mutex::new(Hand::Task(thread)) }
    }
}

impl Batch {
    /// The same, in any order that the contract allows: those of one journal in their order, and what belongs to none, which
    /// asks whether all before it have landed, behind all before it.
    async fn acknowledge_at(self, pace: &dyn Pace, landed: &Result<(), Error>) {
        let mut left = self.waiting.len();
        let mut waiting = self.waiting.into_iter().enumerate().peekable();
        while let Some(first) = waiting.next() {
            let mut queues: HashMap<u64, VecDeque<_>> = HashMap::new();
            let of_none = first.1.0.journal() == 0;
            queues.entry(first.1.0.journal()).or_default().push_back(first);
            while let Some(next) = waiting.next_if(|(_, (submitter, ..))| !of_none && submitter.journal() != 0) {
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
                let Some((_, (submitter, token, number))) = queue.and_then(VecDeque::pop_front) else { continue };
                if let Some((next, _)) = queues.get(&journal).and_then(VecDeque::front) {
                    firsts.insert(*next, journal);
                }
                submitter.landed(token, landed.clone().map(|()| number));
                left -= 1;
                if left > 0 {
                    pace.wait(Before::NextAcknowledgement).await;
                }
            }
        }
    }
}

/// Its runtime may be dropped while something is queued, whose submitters hold the queue.
struct Abandoned(Arc<Shared>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.close();
        // Off the lock: a submitter may submit something while it is dropped.
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
            // The caller that closed it waits for nothing, or ends it itself.
            drop(locked().end());
            return;
        }
        bell.notified().await;
    }
}
