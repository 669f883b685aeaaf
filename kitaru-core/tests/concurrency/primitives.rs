//! What `sync` is in the library, over shuttle.

use std::time::Duration;

pub(crate) use shuttle::sync::{Mutex, MutexGuard};
pub(crate) use shuttle::thread;
pub(crate) use std::sync::PoisonError;

pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A condition whose waits with a timeout time out by chance: shuttle's own never do.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

pub(crate) struct Waited {
    timed_out: bool,
}

type Wait<T> = Result<T, PoisonError<T>>;

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Wait<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> Wait<(MutexGuard<'a, T>, Waited)> {
        if shuttle::rand::Rng::r#gen(&mut shuttle::rand::thread_rng()) {
            return Ok((guard, Waited { timed_out: true }));
        }
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        Ok((guard, Waited { timed_out: false }))
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

impl Waited {
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }
}
