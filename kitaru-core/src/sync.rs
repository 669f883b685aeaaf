//! The primitives under what several threads do to each other. Owns nothing: they are std's here.
//!
//! `tests/concurrency` builds the modules that take theirs from here a second time, over primitives that try the orders in
//! which threads may run.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread;

/// Locks what a panic elsewhere cannot have left half done.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
