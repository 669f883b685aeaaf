//! What the flow, its bodies, the writer and the driver signal to each other without a lock. Owns the flags; must not
//! know which side waits for which flag.

use std::sync::atomic::{AtomicU8, Ordering};

/// The flags that are up.
pub(super) struct Flags(AtomicU8);

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Flag {
    /// The flow's own code was woken.
    Woken = 1,
    /// The attempt must end. Read at each release, so it is outside the lock.
    Left = 2,
    /// One of the waits with which the flow parks is for another execution.
    AwaitsExecution = 4,
    /// The driver is polling. It checks for itself, and is not woken.
    Polling = 8,
    /// Something has landed since the poll began.
    Stirred = 16,
    /// The flow is being dropped because it ends here. It is not dropped by its own code or to resume later.
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
