//! How redb catches up with the log: what is handed to the thread that does it, and what that says of it. Must not know how it
//! is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::store::disk::failure::closed;
use crate::store::disk::mark::Mark;
use crate::store::disk::overlay::Overlay;

/// How long the thread waits after an error before it tries again by itself.
const PAUSE: Duration = Duration::from_millis(500);

/// The rows of a full segment.
#[derive(Clone)]
pub(super) struct Full {
    pub(super) rows: Arc<Overlay>,
    /// How far redb has come with them. None where it has all of them already.
    pub(super) mark: Option<Mark>,
    pub(super) segment: usize,
    pub(super) growth: Growth,
}

/// How large a segment becomes, once redb has what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Growth {
    None,
    /// Larger by as much as one that has been filled.
    Step,
    /// Until a frame of this many bytes fits.
    For(u64),
}

/// Between the writer, which hands a full segment over, and the thread that has redb catch up with it.
#[derive(Default)]
pub(super) struct CatchingUp {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    full: Option<Full>,
    /// How many attempts have begun.
    begun: u64,
    /// Why the last attempt failed.
    failure: Option<Error>,
    /// The attempt whose failure the writer waits for. Those before it may have failed for a reason that has passed.
    awaited: u64,
    ends: bool,
}

impl State {
    /// What the writer waits for, once it is known.
    fn done(&mut self) -> Option<Result<(), Error>> {
        if self.full.is_none() {
            return Some(Ok(()));
        }
        if self.begun >= self.awaited
            && let Some(failure) = self.failure.take()
        {
            return Some(Err(failure));
        }
        self.ends.then(|| Err(closed()))
    }
}

impl CatchingUp {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over a full segment. The one before it must be done.
    pub(super) fn hand_over(&self, full: Full) {
        let mut state = self.state();
        debug_assert!(state.full.is_none(), "one segment is full at a time");
        state.full = Some(full);
        self.changed.notify_all();
    }

    /// What is to be done, if anything is.
    pub(super) fn full(&self) -> Option<Full> {
        self.state().full.clone()
    }

    /// Waits until what was handed over is done.
    ///
    /// # Errors
    ///
    /// When an attempt fails that begins after this is called. It stays handed over.
    pub(super) fn wait_until_done(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.full.is_none() {
            return Ok(());
        }
        state.awaited = state.begun + 1;
        self.changed.notify_all();
        loop {
            if let Some(done) = state.done() {
                return done;
            }
            state = self.wait(state);
        }
    }

    /// Says what became of an attempt.
    pub(super) fn say(&self, done: Result<(), Error>) {
        let mut state = self.state();
        // Dropped off the lock: it may be large.
        let full = match done {
            Ok(()) => state.full.take(),
            Err(failure) => {
                state.failure = Some(failure);
                None
            }
        };
        self.changed.notify_all();
        drop(state);
        drop(full);
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.state().ends = true;
        self.changed.notify_all();
    }

    /// The work of the thread: `attempt` each time, until it is ended.
    pub(super) fn run(&self, attempt: impl Fn(&Full) -> Result<(), Error>) {
        let mut state = self.state();
        loop {
            if state.ends {
                return;
            }
            let Some(full) = state.full.clone() else {
                state = self.wait(state);
                continue;
            };
            state.begun += 1;
            state.failure = None;
            drop(state);
            let done = catch_unwind(AssertUnwindSafe(|| attempt(&full)))
                .unwrap_or_else(|panic| Err(Error::panicked("the thread of the log", panic)));
            let failed = done.is_err();
            drop(full);
            self.say(done);
            state = self.state();
            if failed && state.awaited <= state.begun && !state.ends {
                state = self.changed.wait_timeout(state, PAUSE).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_gets_no_failure_of_an_attempt_that_began_before_it_waits() {
        let full = Full { rows: Arc::default(), mark: Some(Mark::first(1)), segment: 0, growth: Growth::None };
        let failure = || Some(Error::store("no room"));
        // One attempt is under way when the writer comes.
        let mut state = State { full: Some(full), begun: 1, awaited: 2, ..State::default() };
        assert!(state.done().is_none());
        state.failure = failure();
        assert!(state.done().is_none(), "the disk may work by now");
        (state.begun, state.failure) = (2, failure());
        assert!(state.done().is_some_and(|done| done.is_err()));
        assert!(state.done().is_none(), "a failure is given once");
        state.full = None;
        assert!(state.done().is_some_and(|done| done.is_ok()));
    }
}
