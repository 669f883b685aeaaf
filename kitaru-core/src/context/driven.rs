//! An attempt as its driver sees it. Owns the step after quiescence, and when the driver is woken; must not know how
//! the driver polls.

use std::sync::Arc;
use std::task::Waker;

use super::Context;
use super::attempt::Parking;
use super::mailbox::Awaits;
use crate::machine::{Due, Exit, Quiet};

/// What happens to a flow that was quiescent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Advance {
    /// It is polled again.
    Continues,
    /// It waits for something outside.
    Rests,
    /// It is dropped, and its work is undone.
    Unwinds,
}

impl Context {
    /// Begins a poll of the driver. Until [`rest`](Self::rest), nothing needs to wake it.
    pub(crate) fn attend(&self, waker: &Waker) {
        self.wakeups.attend(waker);
    }

    /// Ends a poll of the driver. True if something arrived meanwhile, so that it must poll again.
    pub(crate) fn rest(&self) -> bool {
        // A record that landed meanwhile may be what the flow waited for before parking.
        self.wakeups.rest() || self.replay().has_work()
    }

    /// The reason to end the attempt, if there is one.
    pub(crate) fn exit(&self) -> Option<Exit> {
        if self.course.state().leaves() { self.replay().exit() } else { None }
    }

    pub(crate) fn take_woken(&self) -> bool {
        self.wakeups.take_woken()
    }

    /// Polls the flow's code once more, in a later poll of the driver.
    pub(crate) fn wake_flow(&self) {
        self.wakeups.wake_flow();
    }

    /// The driver is gone. Its task and this context no longer hold each other.
    pub(crate) fn forget_driver(&self) {
        self.wakeups.forget_driver();
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakeups.is_woken()
    }

    /// The flow is quiescent: makes the next thing happen.
    pub(crate) fn advance(self: &Arc<Self>, wake: &mut Vec<Waker>) -> Advance {
        let quiet = self.replay().quiet(wake);
        self.runtime.direction.order(wake);
        wake.drain(..).for_each(Waker::wake);
        if let Quiet::Asleep | Quiet::Still | Quiet::Idle = quiet {
            self.mailbox.dismiss();
        }
        match quiet {
            Quiet::Go => Advance::Continues,
            Quiet::Unwind => Advance::Unwinds,
            Quiet::Flush(unflushed) => {
                self.send_unflushed(unflushed);
                Advance::Rests
            }
            Quiet::Asleep => {
                self.park();
                Advance::Rests
            }
            Quiet::Drained => {
                self.leave_drained();
                Advance::Rests
            }
            Quiet::Still => {
                // Nothing runs that could crash the process, and the flow may wait for an execution that is queued
                // behind it.
                self.admit_others();
                Advance::Rests
            }
            Quiet::Idle => Advance::Rests,
        }
    }

    /// Every awaited call is a wait. If the first of them ends late enough, the flow is dropped once everything that it
    /// received is durable.
    fn park(self: &Arc<Self>) {
        // Nothing runs that could crash the process.
        self.admit_others();
        if self.attempt.parking == Parking::Never {
            return self.leave_drained();
        }
        let is_draining = self.draining.get().is_some();
        let (due, unflushed) = {
            let mut replay = self.replay();
            // The task that drives the execution keeps the deadline.
            let due = self.attempt.deadline_ms.map_or(replay.due(), |ms| replay.due().min(Due::At(ms)));
            let soon_ms = self.runtime.clock.steady_ms().saturating_add(self.runtime.park_after_ms);
            if !is_draining && matches!(due, Due::At(due_ms) if due_ms <= soon_ms) {
                return;
            }
            (due, replay.flush())
        };
        if let Some(unflushed) = unflushed {
            return self.send_unflushed(unflushed);
        }
        // Read while the waits exist: the flow is dropped before the store learns that it is parked.
        let awaits = if self.replay().awaits_execution() { Awaits::Execution } else { Awaits::Other };
        // Mail that is sent from now on is for the next attempt.
        if !self.mailbox.close_unless(awaits, || self.replay().has_woken()) {
            return;
        }
        self.leave_with(Exit::Park(due));
    }

    /// Drops the flow, if no call may start any more.
    fn leave_drained(&self) {
        if let Some(why) = self.draining.get() {
            self.leave_with(Exit::Fault(why.clone()));
        }
    }
}
