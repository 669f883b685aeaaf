//! Executions that are to be woken at a time. Owns when the next of them is due; must not know how one is woken.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::id::JournalId;
use crate::machine::Cause;
use crate::sync::{Mutex, lock};

/// What is due when, the earliest first. Each takes 24 bytes; a waiting flow takes no other memory. An entry may be stale: who
/// wakes the execution reads where it stands.
#[derive(Default)]
pub(super) struct Sleepers {
    due: Mutex<BTreeSet<Sleeper>>,
    pub(super) changed: Notify,
    ended: AtomicBool,
}

/// The execution to wake, and when, in steady time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sleeper {
    pub(super) due_ms: u64,
    pub(super) journal: JournalId,
    pub(super) cause: Cause,
}

impl Sleepers {
    /// Wakes an execution at that time.
    pub(super) fn push(&self, sleeper: Sleeper) {
        let is_first = {
            let mut due = lock(&self.due);
            due.insert(sleeper);
            due.first() == Some(&sleeper)
        };
        if is_first {
            self.changed.notify_one();
        }
    }

    /// It is awake. A flow that something else wakes again and again does not keep one entry for each of its times.
    pub(super) fn forget(&self, sleeper: Sleeper) {
        lock(&self.due).remove(&sleeper);
    }

    /// Wakes nothing more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub(super) fn first_ms(&self) -> Option<u64> {
        lock(&self.due).first().map(|sleeper| sleeper.due_ms)
    }

    /// How many are due, and were not taken yet.
    pub(super) fn count_due(&self, now_ms: u64) -> usize {
        lock(&self.due).iter().take_while(|sleeper| sleeper.due_ms <= now_ms).count()
    }

    /// The one that is due first, if it is due.
    pub(super) fn take_due(&self, now_ms: u64) -> Option<Sleeper> {
        let mut due = lock(&self.due);
        if due.first()?.due_ms <= now_ms { due.pop_first() } else { None }
    }
}
