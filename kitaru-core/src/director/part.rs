//! What a director has a body do. Owns what wakes a body from outside; must not know which body it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::error::Error;

/// Who plays a try of a body.
pub(crate) enum Part {
    /// The checkpoint's own function.
    Itself,
    /// Nobody: this is what it comes to, the value as JSON.
    Gives(Result<serde_json::Value, Error>),
    Panics(String),
    Hangs,
}

/// What a body is woken by. While somebody holds on to a waker of it, something outside may wake the body.
#[derive(Default)]
pub(crate) struct Outside(Mutex<Option<Waker>>);

impl Outside {
    /// What the body is polled with, which wakes `inner`.
    pub(crate) fn waker(self: &Arc<Self>, inner: &Waker) -> Waker {
        let mut wakes = self.wakes();
        if !wakes.as_ref().is_some_and(|wakes| wakes.will_wake(inner)) {
            *wakes = Some(inner.clone());
        }
        Waker::from(self.clone())
    }

    /// The body is over: whatever still holds on to it wakes nothing.
    pub(crate) fn close(&self) {
        drop(self.wakes().take());
    }

    pub(crate) fn is_open(&self) -> bool {
        self.wakes().is_some()
    }

    fn wakes(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Outside {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Off the lock: it is somebody else's.
        let wakes = self.wakes().clone();
        wakes.iter().for_each(Waker::wake_by_ref);
    }
}
