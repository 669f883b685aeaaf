//! An attempt's permission to begin. Must not know how it is driven.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::context::{Admission, Context};
use crate::engine::admissions::{ALL, LOADING};
use crate::engine::state::Engine;
use crate::error::Error;
use crate::journal::Tally;
use crate::machine::alone_for;

impl Engine {
    /// Waits until an attempt may begin.
    ///
    /// # Errors
    ///
    /// When the store is closed during the wait.
    pub(crate) async fn admit(&self, tally: Tally) -> Result<Admission, Error> {
        if let Some(time) = alone_for(tally) {
            return self.admit_alone(time).await;
        }
        if let Ok(permit) = self.admissions.begins.clone().try_acquire_owned() {
            return Ok(Admission { permit, trial: None });
        }
        let permit = self.behind_a_trial(self.admissions.admit(1)).await?;
        Ok(Admission { permit, trial: None })
    }

    async fn admit_alone(&self, time: Duration) -> Result<Admission, Error> {
        // Only one of them is at the head of the queue, so that together they do not hold up the attempts that may have
        // company.
        let trial = Some(self.behind_a_trial(self.admissions.trials.clone().lock_owned()).await);
        let clock = &self.runtime.clock;
        let mut all = pin!(self.admissions.admit(ALL));
        let until_ms = clock.due_ms(time);
        let held_up = self.admissions.held_up(until_ms);
        let admitted = before(all.as_mut(), clock.sleep(time)).await;
        drop(held_up);
        let permit = match admitted {
            Some(permit) => permit?,
            None => {
                // Nothing has begun in the meantime, so every running attempt has lived for that long.
                self.running().iter().for_each(|attempt| attempt.release());
                all.await?
            }
        };
        // The permits that no attempt holds.
        debug_assert_eq!(self.admissions.begins.available_permits(), 0, "who begins alone has all permits");
        debug_assert!(!self.running().iter().any(|attempt| attempt.is_admitted()), "no other attempt holds a permit");
        self.admissions.alone_until_ms.send_replace(clock.due_ms(time));
        Ok(Admission { permit, trial })
    }

    /// Waits for something that an attempt which began alone may hold up. Ends the hold when that attempt has been alone for
    /// long enough.
    async fn behind_a_trial<T>(&self, wait: impl Future<Output = T>) -> T {
        let clock = &self.runtime.clock;
        let mut wait = pin!(wait);
        let mut alone_until_ms = self.admissions.alone_until_ms.subscribe();
        loop {
            let until_ms = *alone_until_ms.borrow_and_update();
            let over = async {
                let mut changed = pin!(alone_until_ms.changed());
                let mut time = pin!(clock.until(until_ms));
                poll_fn(|cx| match changed.as_mut().poll(cx) {
                    Poll::Ready(_) => Poll::Ready(()),
                    Poll::Pending => time.as_mut().poll(cx).map(drop),
                })
                .await;
            };
            let held_up = self.admissions.held_up(until_ms);
            let done = before(wait.as_mut(), over).await;
            drop(held_up);
            if let Some(done) = done {
                return done;
            }
            if until_ms <= clock.steady_ms() {
                let held_up = self.running().iter().filter(|attempt| attempt.admit_others()).count() > 0;
                let again_ms = if held_up { u64::MAX } else { clock.due_ms(LOADING) };
                // Unless the next attempt is already alone.
                self.admissions.alone_until_ms.send_if_modified(|known_ms| {
                    let is_same = *known_ms == until_ms;
                    if is_same {
                        *known_ms = again_ms;
                    }
                    is_same
                });
            }
        }
    }

    /// Recounts the permits, at a moment at which nothing moves.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, if an attempt has begun without a permit, or a permit is lost, or one to resume without a
    /// caller.
    #[cfg(feature = "testkit")]
    pub(crate) fn recount_permits(&self) {
        if cfg!(debug_assertions) && !self.is_closed() {
            let driven = self.registry.all().iter().filter(|(_, seated)| seated.is_driven()).count();
            let resuming = self.most_driving.saturating_sub(self.driving.available_permits());
            assert!(resuming <= driven, "{resuming} executions resume without a caller, and {driven} are driven");
            let available = self.admissions.begins.available_permits();
            let held = self.running().iter().filter(|attempt| attempt.is_admitted()).count();
            assert!(available + held <= ALL as usize, "{held} attempts hold a permit, and {available} are available");
            if driven == 0 {
                assert_eq!(available, ALL as usize, "nothing is driven, so that nothing holds a permit");
            }
        }
    }

    /// The running attempts.
    fn running(&self) -> Vec<Arc<Context>> {
        self.registry.all().iter().filter_map(|(_, active)| active.attempt()).collect()
    }
}

/// The output of a future, if it is ready before the other one.
async fn before<T>(mut wait: Pin<&mut impl Future<Output = T>>, over: impl Future<Output = ()>) -> Option<T> {
    let mut over = pin!(over);
    poll_fn(|cx| match wait.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}
