//! Executions that are parked until a time. Owns when the next of them is due; must not know how one is woken.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::id::JournalId;
use crate::machine::Cause;
use crate::runtime::lock;

/// How many executions are woken before others get their turn.
const AT_ONCE: usize = 256;

/// What is due when, the earliest first. 24 bytes for each: that a flow waits costs no more memory. A sleeper may be stale:
/// whoever is woken looks for itself.
#[derive(Default)]
pub(crate) struct Sleepers {
    due: Mutex<BTreeSet<Sleeper>>,
    pub(super) changed: Notify,
}

/// Who is to be woken, and when, in steady time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sleeper {
    pub(crate) due_ms: u64,
    pub(crate) journal: JournalId,
    pub(crate) cause: Cause,
}

impl Sleepers {
    /// Has an execution woken at that time.
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

    /// It is awake: a flow that is woken for something else again and again is not kept for each of its times.
    pub(crate) fn forget(&self, sleeper: Sleeper) {
        lock(&self.due).remove(&sleeper);
    }

    /// Nothing is woken any more.
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
