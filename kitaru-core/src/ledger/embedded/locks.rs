//! One lock for each execution that something is being sent to. Must not know what is sent.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

use crate::id::ExecutionId;
use crate::sync::{Mutex, lock};

/// The locks that senders hold or wait for.
#[derive(Default)]
pub(super) struct Locks(Mutex<HashMap<ExecutionId, Shared>>);

/// A lock, and how many hold it or wait for it.
#[derive(Default)]
struct Shared {
    lock: Arc<Lock<()>>,
    users: usize,
}

/// The lock of an execution is held, or waited for.
pub(super) struct Locked<'a> {
    locks: &'a Locks,
    execution: ExecutionId,
    held: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Waits until no other sender holds the lock of the execution.
    pub(super) async fn of(&self, execution: &ExecutionId) -> Locked<'_> {
        let lock = {
            let mut all = lock(&self.0);
            let shared = all.entry(execution.clone()).or_default();
            shared.users += 1;
            shared.lock.clone()
        };
        // Before it waits: it may be dropped meanwhile.
        let mut locked = Locked { locks: self, execution: execution.clone(), held: None };
        locked.held = Some(lock.lock_owned().await);
        locked
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut all = lock(&self.locks.0);
        if let Some(shared) = all.get_mut(&self.execution) {
            shared.users -= 1;
            if shared.users == 0 {
                all.remove(&self.execution);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::ledger::embedded::fixture::execution;

    #[test]
    fn lock_of_an_execution_is_held_once_and_kept_while_a_sender_waits() {
        let locks = Locks::default();
        let mut cx = Context::from_waker(Waker::noop());
        let [a, b] = ["a", "b"].map(execution);
        let mut first = Box::pin(locks.of(&a));
        let std::task::Poll::Ready(held) = first.as_mut().poll(&mut cx) else { panic!("it is free") };
        let mut second = Box::pin(locks.of(&a));
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(pin!(locks.of(&b)).poll(&mut cx).is_ready(), "another execution has another lock");
        let mut third = Box::pin(locks.of(&a));
        assert!(third.as_mut().poll(&mut cx).is_pending());
        // A sender that gives up does not hold up the next one.
        drop(second);
        assert!(pin!(locks.of(&a)).poll(&mut cx).is_pending());
        drop(held);
        assert!(third.as_mut().poll(&mut cx).is_ready());
        drop((first, third));
        assert!(lock(&locks.0).is_empty());
    }
}
