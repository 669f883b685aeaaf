//! Executions that go on without being called: those that a dead process left, and those whose time has come. Owns the
//! search for them, the bound on how many are driven at once, and what becomes of those whose attempts die again and again;
//! must not know how one is driven.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::indexing::upkeep;
use crate::engine::sleepers::Sleeper;
use crate::engine::state::Engine;
use crate::engine::task::Wakeup;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::Status;
use crate::ledger::blocking;
use crate::ledger::{Archive, Stored};
use crate::log;
use crate::machine::{Cause, Due};
use crate::program;
use crate::race::race;
use crate::request::Request;

/// How many rows are read at a time.
const PAGE: usize = 256;

/// How long an execution that goes on by itself waits after a fault of the store.
pub(super) const AFTER_FAULT: Duration = Duration::from_secs(10);
/// How long an execution waits whose runtime has come to its end.
const AFTER_RUNTIME: Duration = Duration::from_millis(250);

/// Drives what a dead process left, and sees to it that what is parked is woken in time. What this process has begun, from
/// `own` on, is not looked at.
pub(crate) async fn recover(inner: Weak<Engine>, own: JournalId) {
    let mut after = JournalId(0);
    let mut unknown = HashSet::new();
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let archive = strong.runtime.archive.clone();
        let page = blocking(move || archive.unfinished(after, own, PAGE)).await;
        let page = match page {
            Ok(Ok(page)) => page,
            Ok(Err(error)) | Err(error) => return log::recovery_failed(&error),
        };
        // The others go on all the same.
        page.unread.iter().for_each(|unread| log::recovery_failed(&unread.error));
        let Some(last) = page.last else { return };
        after = last;
        for (stored, has_mail) in page.found {
            let execution = &stored.header.execution;
            if program::find(&execution.flow).is_some() {
                strong.go_on(stored, has_mail).await;
            } else if unknown.insert(execution.flow.clone()) {
                // Said once for each flow, however many executions it has.
                log::unknown_flow(&execution.flow);
            }
        }
    }
}

/// The generation that is woken for this one: where it has continued as new, the newest. A commit that says so may be there although
/// the store has reported that it failed, and then nobody drives that generation.
fn awake(archive: &Archive, journal: JournalId) -> Result<Option<Stored>, Error> {
    match archive.stored(journal)? {
        Some(stored) if stored.state.status == Status::ContinuedAsNew => archive.newest(&stored.header.execution),
        stored => Ok(stored),
    }
}

impl Engine {
    /// Does what an open store does by itself: wakes what is parked; has what a dead process left resume, if it `recovers`; and
    /// deletes what has been finished for so long.
    pub(crate) fn start(self: &Arc<Self>, recovers: bool, retention: Option<Duration>) {
        self.keeper.meet();
        self.keeper.spawn(keep(Arc::downgrade(self)));
        if recovers {
            // Before anything is begun here.
            self.keeper.spawn(recover(Arc::downgrade(self), self.runtime.ledger.next_journal()));
        }
        if retention.is_some() || !self.runtime.archive.is_indexed() {
            self.keeper.spawn(upkeep(Arc::downgrade(self), retention));
        }
    }

    /// Goes on with what was found when the store was opened; `has_mail` says that it waits, and something was sent to it.
    async fn go_on(self: &Arc<Self>, stored: Stored, has_mail: bool) {
        let journal = stored.journal;
        match stored.state.status {
            // Its process may have died when that was durable and before it went on with it. Whether it did, it knows
            // itself, by a replay: one that has taken all of it is parked again.
            Status::Waiting if has_mail => self.wake(journal, Cause::Opening).await,
            Status::Waiting if stored.state.wake_ms == 0 => {}
            Status::Waiting if stored.state.wake_ms > self.runtime.clock.steady_ms() => {
                self.wake_at(stored.state.wake_ms, journal);
            }
            Status::Queued if stored.state.wake_ms > self.runtime.clock.now_ms() => {
                let due_ms = self.runtime.clock.steady_when_shown(stored.state.wake_ms);
                self.wake_at(due_ms, journal);
            }
            Status::Waiting | Status::Queued | Status::Running | Status::Interrupted => {
                self.wake(journal, Cause::Opening).await;
            }
            Status::Completed | Status::Failed | Status::Cancelled | Status::Stuck | Status::ContinuedAsNew => {}
        }
    }

    /// When an execution is to be looked at that begins when the clock shows a time.
    pub(crate) fn starts(&self, start_ms: u64) -> Due {
        Due::At(self.runtime.clock.steady_when_shown(start_ms))
    }

    /// Has an execution woken at that time.
    pub(crate) fn wake_at(self: &Arc<Self>, due_ms: u64, journal: JournalId) {
        self.sleepers.push(Sleeper { due_ms, journal, cause: Cause::Time });
    }

    /// Has an execution woken when the store may have recovered: nobody else may be there to do it.
    pub(crate) fn wake_after_fault(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        if !self.is_closed() {
            let due_ms = self.runtime.clock.due_ms(AFTER_FAULT);
            self.sleepers.push(Sleeper { due_ms, journal, cause });
        }
    }

    /// The runtime of an attempt has come to its end, and this store has not: the execution resumes where others run.
    pub(super) fn wake_elsewhere(self: &Arc<Self>, execution: &ExecutionId, journal: JournalId) {
        let (engine, execution) = (Arc::downgrade(self), execution.clone());
        self.keeper.spawn(async move {
            // Where the program comes to its end, too, nothing more is to begin.
            tokio::time::sleep(AFTER_RUNTIME).await;
            let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
            // What the attempt has left on its way, its header perhaps, is to be there.
            match engine.runtime.ledger.settle().await {
                Ok(()) => engine.wake(journal, Cause::Fault).await,
                Err(_) => engine.wake_after_fault(journal, Cause::Fault),
            }
            engine.registry.rest(&execution);
        });
    }

    /// Has an execution woken for something that was sent to it and that the store has.
    pub(super) fn wake_for_mail(self: &Arc<Self>, execution: &ExecutionId, journal: JournalId) {
        let (engine, execution) = (self.clone(), execution.clone());
        self.keeper.spawn(async move {
            engine.wake(journal, Cause::Mail).await;
            engine.registry.rest(&execution);
        });
    }

    /// Has an execution woken as soon as can be.
    pub(super) fn wake_soon(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        let engine = self.clone();
        self.keeper.spawn(async move { engine.wake(journal, cause).await });
    }

    /// Has an execution resume, if it is not finished and no task drives it. Waits while as many are driven as may be.
    pub(crate) async fn wake(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        // It is never closed.
        let Ok(permit) = self.driving.clone().acquire_owned().await else { return };
        let engine = self.clone();
        let stored = match blocking(move || awake(&engine.runtime.archive, journal)).await {
            Ok(Ok(Some(stored))) => stored,
            Ok(Ok(None)) => return,
            Ok(Err(error)) | Err(error) => {
                log::recovery_failed(&error);
                return self.wake_after_fault(journal, cause);
            }
        };
        let is_over = match stored.state.status {
            Status::Waiting => false,
            // One that was interrupted is not begun again because something was sent to it.
            Status::Running | Status::Interrupted | Status::Queued => cause == Cause::Mail,
            _ => true,
        };
        let is_early = cause == Cause::Time && stored.state.wake_ms > self.runtime.clock.steady_ms();
        if is_over || is_early || self.is_closed() {
            return;
        }
        match program::find(&stored.header.execution.flow) {
            Some(meta) => {
                let wakeup = Wakeup { cause, _permit: permit };
                self.launch_woken(&stored, Request::resuming(meta, &stored), wakeup);
            }
            None => log::unknown_flow(&stored.header.execution.flow),
        }
    }

    /// The execution is awake: the time that it waited for is nothing any more.
    pub(super) fn forget_time(&self, stored: &Stored) {
        let (due_ms, journal) = (stored.state.wake_ms, stored.journal);
        self.sleepers.forget(Sleeper { due_ms, journal, cause: Cause::Time });
    }
}

/// Waits for one time after another, until the store is closed or given up.
pub(crate) async fn keep(inner: Weak<Engine>) {
    let Some(sleepers) = inner.upgrade().map(|inner| inner.sleepers.clone()) else { return };
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let clock = strong.runtime.clock.clone();
        for Sleeper { journal, cause, .. } in sleepers.take_due(clock.steady_ms()) {
            // Waits where as many are driven as may be: those that are due stay due.
            strong.wake(journal, cause).await;
        }
        drop(strong);
        match sleepers.first_ms() {
            None => sleepers.changed.notified().await,
            Some(due_ms) => {
                let due: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(clock.until(due_ms));
                race([Box::pin(sleepers.changed.notified()), due]).await;
            }
        }
    }
}
