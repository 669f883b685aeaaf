//! Executions that are parked until a time. Owns when the next of them is due; must not know how one is woken.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::id::JournalId;
use crate::machine::Cause;
use crate::runtime::lock;

/// How many executions are woken before other tasks run.
const AT_ONCE: usize = 256;

/// What is due when, the earliest first. Each takes 24 bytes; a waiting flow takes no other memory. An entry may be stale: the
/// woken task checks.
#[derive(Default)]
pub(crate) struct Sleepers {
    due: Mutex<BTreeSet<Sleeper>>,
    pub(super) changed: Notify,
}

/// The execution to wake, and when, in steady time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sleeper {
    pub(crate) due_ms: u64,
    pub(crate) journal: JournalId,
    pub(crate) cause: Cause,
}

impl Sleepers {
    /// Wakes an execution at that time.
    pub(crate) fn push(&self, sleeper: Sleeper) {
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
    pub(crate) fn forget(&self, sleeper: Sleeper) {
        lock(&self.due).remove(&sleeper);
    }

    /// Wakes nothing more.
    pub(crate) fn end(&self) {
        self.changed.notify_one();
    }

    pub(super) fn first_ms(&self) -> Option<u64> {
        lock(&self.due).first().map(|sleeper| sleeper.due_ms)
    }

    pub(super) fn take_due(&self, now_ms: u64) -> Vec<Sleeper> {
        let mut due = lock(&self.due);
        let mut taken = Vec::new();
        while taken.len() < AT_ONCE && due.first().is_some_and(|sleeper| sleeper.due_ms <= now_ms) {
            taken.extend(due.pop_first());
        }
        taken
    }
}
