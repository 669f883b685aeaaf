//! Executions that are parked until a time. Owns when the next of them is due; must not know how one is woken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::client::Inner;
use crate::id::JournalId;
use crate::race::race;
use crate::runtime::lock;

/// How many executions are woken before others get their turn.
const AT_ONCE: usize = 256;

/// What is due when. 16 bytes for each: that a flow waits costs no more memory.
#[derive(Default)]
pub(crate) struct Sleepers {
    due: Mutex<Due>,
    changed: Notify,
}

#[derive(Default)]
struct Due {
    /// The earliest first. An entry may be stale: whoever is woken looks for itself.
    heap: BinaryHeap<Reverse<(u64, JournalId)>>,
    /// Whether a task waits for the first of them.
    kept: bool,
}

impl Sleepers {
    /// Has an execution woken at that time.
    pub(crate) fn push(self: &Arc<Self>, inner: &Arc<Inner>, due_ms: u64, journal: JournalId) {
        let (is_first, is_kept) = {
            let mut due = lock(&self.due);
            due.heap.push(Reverse((due_ms, journal)));
            let is_first = due.heap.peek() == Some(&Reverse((due_ms, journal)));
            (is_first, std::mem::replace(&mut due.kept, true))
        };
        if !is_kept {
            tokio::spawn(keep(self.clone(), Arc::downgrade(inner)));
        } else if is_first {
            self.changed.notify_one();
        }
    }

    /// Nothing is woken any more.
    pub(crate) fn end(&self) {
        self.changed.notify_one();
    }

    fn first_ms(&self) -> Option<u64> {
        lock(&self.due).heap.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    fn take_due(&self, now_ms: u64) -> Vec<JournalId> {
        let mut due = lock(&self.due);
        let mut taken = Vec::new();
        while taken.len() < AT_ONCE && due.heap.peek().is_some_and(|Reverse((due_ms, _))| *due_ms <= now_ms) {
            taken.extend(due.heap.pop().map(|Reverse((_, journal))| journal));
        }
        taken
    }
}

/// Waits for one time after another, until the store is closed or given up.
async fn keep(sleepers: Arc<Sleepers>, inner: Weak<Inner>) {
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let clock = strong.runtime.clock.clone();
        for journal in sleepers.take_due(clock.now_ms()) {
            // Waits where as many are driven as may be: those that are due stay due.
            strong.wake(journal, false).await;
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
