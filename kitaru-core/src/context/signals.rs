//! What the flow, its bodies, the writer and the driver let each other know without a lock. Owns the signals; must not know
//! who waits for which.

use std::sync::atomic::{AtomicU8, Ordering};

/// The signals that are up.
pub(super) struct Signals(AtomicU8);

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Signal {
    /// The flow's own code was woken.
    Woken = 1,
    /// The attempt is to end. Looked at for each release, so off the lock.
    Left = 2,
    /// One of the waits with which the flow goes out of memory is for another execution.
    AwaitsExecution = 4,
    /// The driver is polling: it looks for itself, and needs no waking.
    Polling = 8,
    /// Something has landed since it began to.
    Stirred = 16,
    /// The flow is being dropped because it goes no further, not by its own code or to go on later.
    Abandoning = 32,
}

impl Signals {
    pub(super) fn new(first: Signal) -> Self {
        Signals(AtomicU8::new(first as u8))
    }

    pub(super) fn has(&self, signal: Signal) -> bool {
        self.0.load(Ordering::SeqCst) & signal as u8 != 0
    }

    pub(super) fn raise(&self, signal: Signal) {
        self.0.fetch_or(signal as u8, Ordering::SeqCst);
    }

    /// Whether it was up.
    pub(super) fn lower(&self, signal: Signal) -> bool {
        self.0.fetch_and(!(signal as u8), Ordering::SeqCst) & signal as u8 != 0
    }

    pub(super) fn set(&self, signal: Signal, is_up: bool) {
        if is_up {
            self.raise(signal);
        } else {
            self.lower(signal);
        }
    }
}
