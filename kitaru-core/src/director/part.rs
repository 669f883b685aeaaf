//! What plays a try, as a director decides. Owns what wakes a body from outside; must not know which body it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::error::Error;

/// What plays a try of a body.
pub(crate) enum Part {
    /// The checkpoint's own function.
    Itself,
    /// A stub: this is its outcome, the value as JSON.
    Gives(Result<serde_json::Value, Error>),
    Panics(String),
    Hangs,
}

/// What wakes a body. While a clone of its waker exists, something outside may wake the body.
#[derive(Default)]
pub(crate) struct Outside(Mutex<Option<Waker>>);

impl Outside {
    /// The waker that the body is polled with. It wakes `inner`.
    pub(crate) fn waker(self: &Arc<Self>, inner: &Waker) -> Waker {
        let mut wakes = self.wakes();
        if !wakes.as_ref().is_some_and(|wakes| wakes.will_wake(inner)) {
            *wakes = Some(inner.clone());
        }
        Waker::from(self.clone())
    }

    /// The body has ended: remaining wakers wake nothing.
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
        // Outside the lock: it is a foreign waker.
        let wakes = self.wakes().clone();
        wakes.iter().for_each(Waker::wake_by_ref);
    }
}
