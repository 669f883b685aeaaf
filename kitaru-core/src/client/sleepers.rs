//! Executions that are parked until a time. Owns when the next of them is due; must not know how one is woken.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::client::Inner;
use crate::id::JournalId;
use crate::race::race;
use crate::runtime::lock;

/// How many executions are woken before others get their turn.
const AT_ONCE: usize = 256;

/// What is due when. 24 bytes for each: that a flow waits costs no more memory.
#[derive(Default)]
pub(crate) struct Sleepers {
    due: Mutex<Due>,
    changed: Notify,
}

#[derive(Default)]
struct Due {
    /// The earliest first. A sleeper may be stale: whoever is woken looks for itself.
    set: BTreeSet<Sleeper>,
    /// Whether a task waits for the first of them.
    kept: bool,
}

/// Who is to be woken, and when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sleeper {
    pub(crate) due_ms: u64,
    pub(crate) journal: JournalId,
    pub(crate) cause: Cause,
}

/// Why an execution is woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The time has come that it waits for.
    Time,
    /// Something was sent to it.
    Mail,
    /// The store has stopped it.
    Fault,
    /// The store was opened, and it was to go on.
    Opening,
}

impl Sleepers {
    /// Has an execution woken at that time.
    pub(crate) fn push(self: &Arc<Self>, inner: &Arc<Inner>, sleeper: Sleeper) {
        let (is_first, is_kept) = {
            let mut due = lock(&self.due);
            due.set.insert(sleeper);
            (due.set.first() == Some(&sleeper), std::mem::replace(&mut due.kept, true))
        };
        if !is_kept {
            tokio::spawn(keep(self.clone(), Arc::downgrade(inner)));
        } else if is_first {
            self.changed.notify_one();
        }
    }

    /// It is awake: a flow that is woken for something else again and again is not kept for each of its times.
    pub(crate) fn forget(&self, sleeper: Sleeper) {
        lock(&self.due).set.remove(&sleeper);
    }

    /// Nothing is woken any more.
    pub(crate) fn end(&self) {
        self.changed.notify_one();
    }

    fn first_ms(&self) -> Option<u64> {
        lock(&self.due).set.first().map(|sleeper| sleeper.due_ms)
    }

    fn take_due(&self, now_ms: u64) -> Vec<Sleeper> {
        let mut due = lock(&self.due);
        let mut taken = Vec::new();
        while taken.len() < AT_ONCE && due.set.first().is_some_and(|sleeper| sleeper.due_ms <= now_ms) {
            taken.extend(due.set.pop_first());
        }
        taken
    }
}

/// Waits for one time after another, until the store is closed or given up.
async fn keep(sleepers: Arc<Sleepers>, inner: Weak<Inner>) {
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let clock = strong.runtime.clock.clone();
        for Sleeper { journal, cause, .. } in sleepers.take_due(clock.now_ms()) {
            // Waits where as many are driven as may be: those that are due stay due.
            strong.wake(journal, cause).await;
        }
        let wait_ms = sleepers.first_ms().map(|due_ms| due_ms.saturating_sub(clock.now_ms()));
        drop(strong);
        match wait_ms {
            None => sleepers.changed.notified().await,
            Some(ms) => {
                let due: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
                    Box::pin(clock.sleep(Duration::from_millis(ms)));
                race([Box::pin(sleepers.changed.notified()), due]).await;
            }
        }
    }
}
