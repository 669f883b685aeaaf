//! What all executions of one store share: the ledger, the clock, the bounds. Must not know what an execution is doing.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::director::Direction;
use crate::id::ExecutionId;
use crate::ledger::{Archive, Ledger};

pub(crate) use crate::sync::lock;

/// The bound on an encoded outcome or input, unless set.
pub(crate) const DEFAULT_MAX_OUTCOME_BYTES: usize = 64 << 20;

pub(crate) struct Runtime {
    pub(crate) archive: Archive,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) max_outcome_bytes: usize,
    /// A flow is parked if all its waits end later than this.
    pub(crate) park_after_ms: u64,
    /// Watchers of published values.
    pub(crate) watchers: Watchers,
    pub(crate) counters: Counters,
    /// The director, in a test.
    pub(crate) direction: Direction,
}

/// What this process has done since the store was opened. Each count is one addition, under no lock.
pub(crate) struct Counters {
    pub(crate) opened_ms: u64,
    /// Bodies of checkpoints whose outcome was recorded.
    ran: AtomicU64,
    /// Calls of checkpoints that a record answered.
    replayed: AtomicU64,
    /// Tries that failed and were followed by another one.
    retried: AtomicU64,
}

impl Counters {
    pub(crate) fn since(opened_ms: u64) -> Self {
        let [ran, replayed, retried] = [0; 3].map(AtomicU64::new);
        Counters { opened_ms, ran, replayed, retried }
    }

    pub(crate) fn count_run(&self) {
        self.ran.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_replay(&self) {
        self.replayed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    /// How many checkpoints ran, and were replayed, and how many tries were repeated.
    pub(crate) fn so_far(&self) -> [u64; 3] {
        [&self.ran, &self.replayed, &self.retried].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Watchers that wait until an execution publishes something, or ends.
#[derive(Default)]
pub(crate) struct Watchers {
    /// Read for each published value, so it is outside the lock.
    any: AtomicBool,
    watched: Mutex<HashMap<ExecutionId, watch::Sender<u64>>>,
}

impl Watchers {
    /// Notifies when something may have changed.
    pub(crate) fn of(&self, execution: &ExecutionId) -> watch::Receiver<u64> {
        let mut watched = lock(&self.watched);
        self.any.store(true, Ordering::SeqCst);
        watched.entry(execution.clone()).or_default().subscribe()
    }

    /// A watcher is gone.
    pub(crate) fn forget(&self, execution: &ExecutionId) {
        let mut watched = lock(&self.watched);
        if watched.get(execution).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(execution);
        }
        self.any.store(!watched.is_empty(), Ordering::SeqCst);
    }

    pub(crate) fn notify(&self, execution: &ExecutionId) {
        if self.any.load(Ordering::SeqCst)
            && let Some(sender) = lock(&self.watched).get(execution)
        {
            sender.send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn notify_all(&self) {
        lock(&self.watched).values().for_each(|sender| sender.send_modify(|count| *count += 1));
    }
}
