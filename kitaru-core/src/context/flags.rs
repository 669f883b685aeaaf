//! What the flow, its bodies, the writer and the driver let each other know without a lock. Owns the flags; must not know
//! who waits for which.

use std::sync::atomic::{AtomicU8, Ordering};

/// The flags that are up.
pub(super) struct Flags(AtomicU8);

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Flag {
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

impl Flags {
    pub(super) fn new(first: Flag) -> Self {
        Flags(AtomicU8::new(first as u8))
    }

    pub(super) fn has(&self, flag: Flag) -> bool {
        self.0.load(Ordering::SeqCst) & flag as u8 != 0
    }

    pub(super) fn raise(&self, flag: Flag) {
        self.0.fetch_or(flag as u8, Ordering::SeqCst);
    }

    /// Whether it was up.
    pub(super) fn lower(&self, flag: Flag) -> bool {
        self.0.fetch_and(!(flag as u8), Ordering::SeqCst) & flag as u8 != 0
    }

    pub(super) fn set(&self, flag: Flag, is_up: bool) {
        if is_up {
            self.raise(flag);
        } else {
            self.lower(flag);
        }
    }
}
