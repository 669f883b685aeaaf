//! How the flow, its bodies, the writer and the driver wake each other. Owns when the driver is woken; must not know what it
//! then does.
//!
//! This is not part of the attempt's [state](crate::machine::AttemptState): it says nothing of the attempt, any side may be
//! ahead of any other, and only the next poll of the driver makes something of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use crate::runtime::lock;

/// What is to be looked at, and the driver that looks.
pub(super) struct Wakeups {
    marks: AtomicU8,
    driver: Mutex<Option<Waker>>,
}

/// The flow's own code was woken.
const WOKEN: u8 = 1;
/// The driver is polling. It looks for itself, and is not woken.
const POLLING: u8 = 2;
/// Something has happened since the poll began that is not seen otherwise. Only next to `POLLING`.
const STIRRED: u8 = 4;

impl Wakeups {
    /// The flow's code is polled first.
    pub(super) fn new() -> Self {
        Wakeups { marks: AtomicU8::new(WOKEN), driver: Mutex::default() }
    }

    /// Begins a poll of the driver. Until [`rest`](Self::rest), nothing needs to wake it.
    pub(super) fn attend(&self, waker: &Waker) {
        {
            let mut driver = lock(&self.driver);
            match &mut *driver {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        self.marks.fetch_or(POLLING, Ordering::SeqCst);
    }

    /// Ends a poll of the driver. True if something happened meanwhile.
    pub(super) fn rest(&self) -> bool {
        let marks = self.marks.fetch_and(!(POLLING | STIRRED), Ordering::SeqCst);
        marks & (STIRRED | WOKEN) != 0
    }

    /// The driver has ended. Its task and this attempt stop to hold each other.
    pub(super) fn forget_driver(&self) {
        lock(&self.driver).take();
    }

    /// The flow's code is polled once more, in this poll of the driver or in a later one.
    pub(super) fn wake_flow(&self) {
        self.marks.fetch_or(WOKEN, Ordering::SeqCst);
    }

    pub(super) fn is_woken(&self) -> bool {
        self.marks.load(Ordering::SeqCst) & WOKEN != 0
    }

    pub(super) fn take_woken(&self) -> bool {
        self.marks.fetch_and(!WOKEN, Ordering::SeqCst) & WOKEN != 0
    }

    /// Something has happened that only another poll of the driver sees.
    pub(super) fn stir(&self) {
        let stirred = |marks| (marks & POLLING != 0).then_some(marks | STIRRED);
        if self.marks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, stirred).is_err() {
            self.wake_driver();
        }
    }

    /// Something has happened that the driver looks for before it rests.
    pub(super) fn kick(&self) {
        if self.marks.load(Ordering::SeqCst) & POLLING == 0 {
            self.wake_driver();
        }
    }

    fn wake_driver(&self) {
        let waker = lock(&self.driver).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Driver(AtomicUsize);

    impl Wake for Driver {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn driver_is_woken_unless_it_polls_and_then_learns_of_it_when_it_rests() {
        let (wakeups, driver) = (Wakeups::new(), Arc::new(Driver::default()));
        let waker = Waker::from(driver.clone());
        let woken = || driver.0.swap(0, Ordering::SeqCst);
        wakeups.attend(&waker);
        assert!(wakeups.take_woken() && !wakeups.take_woken());
        wakeups.stir();
        wakeups.kick();
        assert_eq!(woken(), 0);
        assert!(wakeups.rest() && !wakeups.rest());
        wakeups.stir();
        wakeups.kick();
        assert_eq!(woken(), 2);
        wakeups.attend(&waker);
        assert!(!wakeups.rest(), "what woke it is seen in this poll");
        wakeups.attend(&waker);
        wakeups.wake_flow();
        assert!(wakeups.rest() && wakeups.is_woken());
        wakeups.forget_driver();
        wakeups.stir();
        assert_eq!(woken(), 0);
    }
}
