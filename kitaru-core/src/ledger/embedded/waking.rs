//! What resumes without a call: what was unfinished when the store was opened, and what is due. Owns that neither is lost or holds
//! up the other; must not know how an execution resumes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::Error;
use crate::id::JournalId;
use crate::ledger::embedded::Ledger;
use crate::ledger::embedded::search::{Drives, Search, Unfinished};
use crate::ledger::embedded::sleepers::{Sleeper, Sleepers};
use crate::ledger::{AFTER_FAULT, Stored, WokenGeneration};
use crate::machine::{Cause, Due};
use crate::race::race;

/// What resumes without a call, one after another. It keeps a store open only while it searches.
pub(crate) struct Waking {
    sleepers: Arc<Sleepers>,
    clock: Clock,
    search: Option<Search>,
    found: VecDeque<Unfinished>,
    /// The last one was due. The next one is one that was found.
    was_due: bool,
}

impl Ledger {
    /// What resumes without a call: what is parked until a time, and what was unfinished when the store was opened, of the flows
    /// that `drives` names. Of the latter nothing without it.
    pub(crate) fn waking(&self, drives: Option<Drives>) -> Waking {
        let own = self.next_journal();
        let search = drives.map(|drives| Search::new(self.archive.clone(), self.clock.clone(), own, drives));
        let (sleepers, clock) = (self.sleepers.clone(), self.clock.clone());
        Waking { sleepers, clock, search, found: VecDeque::new(), was_due: false }
    }

    /// A generation is parked until then, in steady time.
    pub(crate) fn sleep(&self, journal: JournalId, due: Due) {
        if let Due::At(due_ms) = due {
            self.sleepers.push(Sleeper { due_ms, journal, cause: Cause::Time });
        }
    }

    /// Wakes a generation when the store may have recovered: there may be no caller to do it.
    pub(crate) fn wake_after_fault(&self, journal: JournalId, cause: Cause) {
        let due_ms = self.clock.due_ms(AFTER_FAULT);
        self.sleepers.push(Sleeper { due_ms, journal, cause });
    }

    /// How many generations are due, and resume as soon as they may be driven.
    pub(crate) fn count_due(&self) -> usize {
        self.sleepers.count_due(self.clock.steady_ms())
    }

    /// A generation resumes: the time that it waited for no longer matters.
    pub(super) fn forget_time(&self, stored: &Stored) {
        if let Due::At(due_ms) = stored.state.due {
            self.sleepers.forget(Sleeper { due_ms, journal: stored.journal, cause: Cause::Time });
        }
    }

    /// Wakes nothing more: the store is being closed.
    pub(crate) fn end_waking(&self) {
        self.sleepers.end();
    }
}

impl Waking {
    /// Waits until another generation is to resume, or a row of one could not be read. `None` once the store is being closed.
    pub(crate) async fn woken(&mut self) -> Option<Result<WokenGeneration, Error>> {
        while !self.sleepers.has_ended() {
            if !self.was_due
                && let Some(due) = self.due()
            {
                self.was_due = true;
                return Some(Ok(due));
            }
            self.was_due = false;
            if let Some(found) = self.found().await {
                return Some(found);
            }
            match self.due() {
                Some(due) => return Some(Ok(due)),
                None => self.rest().await,
            }
        }
        None
    }

    fn due(&self) -> Option<WokenGeneration> {
        let Sleeper { journal, cause, .. } = self.sleepers.take_due(self.clock.steady_ms())?;
        Some(WokenGeneration { journal, cause })
    }

    /// The next one that was unfinished when the store was opened. `None` if there are no more, or the search pauses.
    async fn found(&mut self) -> Option<Result<WokenGeneration, Error>> {
        loop {
            match self.found.pop_front() {
                Some(Unfinished::Now(journal)) => return Some(Ok(WokenGeneration { journal, cause: Cause::Opening })),
                Some(Unfinished::Later(journal, due_ms)) => {
                    self.sleepers.push(Sleeper { due_ms, journal, cause: Cause::Time });
                }
                Some(Unfinished::Unread(error)) => return Some(Err(error)),
                None => {
                    let search = self.search.as_mut().filter(|search| !search.is_paused())?;
                    match search.look().await {
                        Some(found) => self.found.extend(found),
                        None => self.search = None,
                    }
                }
            }
        }
    }

    /// Waits until something may be due, or the search continues.
    async fn rest(&mut self) {
        let paused_ms = self.search.as_ref().map(|search| search.until_ms);
        let next_ms = self.sleepers.first_ms().into_iter().chain(paused_ms).min();
        let changed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(self.sleepers.changed.notified());
        match next_ms {
            None => changed.await,
            Some(next_ms) => {
                race([changed, Box::pin(self.clock.until(next_ms))]).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Change;
    use crate::ledger::embedded::fixture;
    use crate::store::{Memory, Store};

    async fn next(waking: &mut Waking) -> (u64, Cause) {
        let WokenGeneration { journal, cause } = waking.woken().await.expect("the store is open").unwrap();
        (journal.0, cause)
    }

    #[tokio::test]
    async fn due_executions_and_found_ones_resume_in_turn() {
        let (store, clock): (Arc<dyn Store>, _) = (Arc::new(Memory::new()), Clock::system());
        let earlier = fixture::open(&store, clock.clone());
        for id in ["a", "b"] {
            fixture::begin(&earlier, fixture::execution(id)).await;
        }
        let ledger = fixture::open(&store, clock);
        let mut waking = ledger.waking(Some(Box::new(|flow| flow == "order")));
        let own = fixture::begin(&ledger, fixture::execution("c")).await.journal();
        for due_ms in 1..=4 {
            ledger.sleep(own, Due::At(due_ms));
        }
        let mut woken = Vec::new();
        for _ in 0..6 {
            woken.push(next(&mut waking).await);
        }
        let (due, found) = ((own.0, Cause::Time), |journal| (journal, Cause::Opening));
        // What this process has begun is not found.
        assert_eq!(woken, [due, found(1), due, found(2), due, due]);
        ledger.end_waking();
        assert!(waking.woken().await.is_none());
    }

    #[tokio::test]
    async fn parked_execution_is_found_for_its_time_and_not_before() {
        let (store, clock): (Arc<dyn Store>, _) = (Arc::new(Memory::new()), Clock::manual());
        let earlier = fixture::open(&store, clock.clone());
        let now_ms = clock.steady_ms();
        for (id, due) in [("at", Due::At(now_ms + 50)), ("child", Due::Execution), ("never", Due::Never)] {
            let tenure = fixture::begin(&earlier, fixture::execution(id)).await;
            earlier.park(&tenure, Change::Parked { attempts: 1, at_ms: 1, due }).await.unwrap();
        }
        let ledger = fixture::open(&store, clock.clone());
        let mut waking = ledger.waking(Some(Box::new(|_| true)));
        assert_eq!(next(&mut waking).await, (2, Cause::Opening));
        clock.advance(std::time::Duration::from_millis(50));
        assert_eq!(next(&mut waking).await, (1, Cause::Time));
        ledger.end_waking();
        assert!(waking.woken().await.is_none());
    }

    #[tokio::test]
    async fn flow_that_the_program_lacks_is_not_found() {
        let (store, clock): (Arc<dyn Store>, _) = (Arc::new(Memory::new()), Clock::system());
        // A ledger that is dropped closes its store.
        let earlier = fixture::open(&store, clock.clone());
        fixture::begin(&earlier, fixture::execution("a")).await;
        let ledger = fixture::open(&store, clock);
        let mut waking = ledger.waking(Some(Box::new(|_| false)));
        ledger.sleep(JournalId(9), Due::At(1));
        assert_eq!(next(&mut waking).await, (9, Cause::Time));
        ledger.wake_after_fault(JournalId(8), Cause::Fault);
        ledger.end_waking();
        assert!(waking.woken().await.is_none());
    }
}
