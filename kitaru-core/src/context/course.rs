//! What an attempt is for the store and for its driver, as all who work on it share it. Owns that its state is read without
//! a lock, and the count of crashes that goes with it; must not know what an event is sent with.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::journal::{Status, Tally};
use crate::ledger::{Change, Listing};
use crate::machine::{AttemptReport, AttemptState, Event, Reported};
use crate::runtime::lock;

/// The state of an attempt, and its count of crashes.
pub(super) struct Course {
    state: AtomicU8,
    tally: Mutex<Tally>,
}

impl Course {
    pub(super) fn new(listing: Listing, tally: Tally) -> Self {
        let reported = match listing {
            Listing::Off => Reported::Unlisted,
            Listing::Earlier => Reported::Listed,
            Listing::Current if tally.replays => Reported::Counted,
            Listing::Current => Reported::Known,
            Listing::AfterEnd => Reported::Reopened,
        };
        Course { state: AtomicU8::new(AttemptState::new(reported).to_bits()), tally: Mutex::new(tally) }
    }

    pub(super) fn state(&self) -> AttemptState {
        AttemptState::from_bits(self.state.load(Ordering::SeqCst))
    }

    /// Takes in an event, and returns what the attempt reports with it. Most events change nothing, and write nothing.
    pub(super) fn see(&self, event: Event) -> AttemptReport {
        let mut bits = self.state.load(Ordering::SeqCst);
        loop {
            let (after, says) = AttemptState::from_bits(bits).after(event);
            let after = after.to_bits();
            if after == bits {
                return AttemptReport::Nothing;
            }
            match self.state.compare_exchange_weak(bits, after, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return says,
                Err(other) => bits = other,
            }
        }
    }

    /// Whether a submission that says this also says that the attempt runs.
    pub(super) fn is_said_with(&self, says: AttemptReport) -> bool {
        match says {
            AttemptReport::Nothing => false,
            AttemptReport::Runs => true,
            AttemptReport::Announces => {
                lock(&self.tally).replays = false;
                true
            }
            AttemptReport::Proves => std::mem::take(&mut *lock(&self.tally)).counts(),
            AttemptReport::AnnouncesAndProves => {
                *lock(&self.tally) = Tally::default();
                true
            }
        }
    }

    /// The presumption about the earlier attempt was wrong.
    pub(super) fn clear(&self) {
        let mut tally = lock(&self.tally);
        *tally = Tally { replays: tally.replays, ..Tally::default() };
    }

    /// From now on other attempts may begin. Returns whether the store has it otherwise.
    pub(super) fn has_company(&self) -> bool {
        std::mem::take(&mut lock(&self.tally).alone)
    }

    /// That the attempt runs. `ended` says with what its generation has ended.
    pub(super) fn running(&self, attempts: u32, at_ms: u64, ended: impl FnOnce() -> Option<Status>) -> Change {
        let tally = *lock(&self.tally);
        match self.state().is_reopened().then(ended).flatten() {
            Some(ended) => Change::Reopened { ended, attempts, at_ms, tally },
            None => Change::Running { attempts, at_ms, tally },
        }
    }

    /// That it was interrupted in a process that lives, if the store counts it. A generation that has ended keeps its result.
    pub(super) fn cut_off(&self, attempts: u32, at_ms: u64) -> Option<Change> {
        let state = self.state();
        if state.is_reopened() {
            return Some(Change::Finished);
        }
        let tally = Tally { alone: false, replays: false, ..*lock(&self.tally) };
        state.is_counted().then_some(Change::Interrupted { attempts, at_ms, tally })
    }
}

impl Tally {
    /// Whether a lasting record makes a difference to it.
    fn counts(self) -> bool {
        self.deaths > 0 || self.together > 0 || self.alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Progress;

    #[test]
    fn attempt_over_an_ended_generation_says_so_until_it_unwinds_or_begins_a_body() {
        let begins = [Event::BodiesBegin, Event::Records(Progress::Unwinds)];
        for event in begins {
            let course = Course::new(Listing::AfterEnd, Tally { deaths: 1, replays: true, ..Tally::default() });
            let running = || course.running(2, 7, || Some(Status::Failed));
            assert!(matches!(running(), Change::Reopened { ended: Status::Failed, attempts: 2, at_ms: 7, .. }));
            course.clear();
            assert!(matches!(running(), Change::Reopened { tally: Tally { deaths: 0, .. }, .. }));
            assert!(matches!(course.cut_off(1, 8), Some(Change::Finished)));
            assert!(course.is_said_with(course.see(event)));
            assert!(matches!(running(), Change::Running { attempts: 2, at_ms: 7, .. }));
            assert!(matches!(course.cut_off(1, 8), Some(Change::Interrupted { attempts: 1, at_ms: 8, .. })));
        }
    }
}
