//! Executions that resume without a call: interrupted ones, and those whose time has come. Owns the search for them, and the
//! bound on how many resume concurrently; must not know how one is driven.

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

/// How long an execution without a caller waits after a fault of the store.
pub(super) const AFTER_FAULT: Duration = Duration::from_secs(10);
/// How long an execution waits after its runtime has shut down.
const AFTER_RUNTIME: Duration = Duration::from_millis(250);

/// Resumes interrupted executions, and makes sure that parked ones are woken in time. Skips the generations that this process
/// began, from `own` on.
pub(crate) async fn recover(inner: Weak<Engine>, own: JournalId) {
    let mut after = JournalId(0);
    let mut unknown = HashSet::new();
    let mut unread = Vec::new();
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let archive = strong.runtime.archive.clone();
        let page = blocking(move || archive.unfinished(after, own, PAGE)).await;
        let page = match page {
            Ok(Ok(page)) => page,
            Ok(Err(error)) | Err(error) => {
                log::recovery_failed(&error);
                until_after_fault(strong).await;
                continue;
            }
        };
        // The others still resume.
        page.unread.iter().for_each(|unread| log::recovery_failed(&unread.error));
        unread.extend(page.unread.iter().map(|unread| unread.journal));
        let Some(last) = page.last else { break };
        after = last;
        for (stored, has_mail) in page.found {
            let execution = &stored.header.execution;
            if program::find(&execution.flow).is_some() {
                strong.go_on(stored, has_mail).await;
            } else if unknown.insert(execution.flow.clone()) {
                // Logged once for each flow.
                log::unknown_flow(&execution.flow);
            }
        }
    }
    if unread.is_empty() {
        return;
    }
    // A row that is damaged stays so; a disk that failed may have recovered.
    let Some(strong) = inner.upgrade() else { return };
    until_after_fault(strong).await;
    for journal in unread {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let archive = strong.runtime.archive.clone();
        match blocking(move || archive.stored(journal)).await {
            Ok(Ok(Some(stored))) => strong.go_on(stored, true).await,
            Ok(Ok(None)) => {}
            Ok(Err(error)) | Err(error) => log::recovery_failed(&error),
        }
    }
}

/// Waits until the store may have recovered from a fault, and does not keep it open meanwhile.
async fn until_after_fault(engine: Arc<Engine>) {
    let clock = engine.runtime.clock.clone();
    drop(engine);
    clock.until(clock.due_ms(AFTER_FAULT)).await;
}

/// The generation to wake for this one: the newest, if the execution has continued as new. The store may have reported that the
/// commit failed which says so, and have it all the same; then no task drives that generation.
fn awake(archive: &Archive, journal: JournalId) -> Result<Option<Stored>, Error> {
    match archive.stored(journal)? {
        Some(stored) if stored.state.status == Status::ContinuedAsNew => archive.newest(&stored.header.execution),
        stored => Ok(stored),
    }
}

impl Engine {
    /// Begins what an open store does by itself: wakes parked flows, resumes interrupted executions if it `recovers`, and
    /// deletes executions whose retention is over.
    pub(crate) fn start(self: &Arc<Self>, recovers: bool, retention: Option<Duration>) {
        self.keeper.meet();
        self.keeper.spawn(keep(Arc::downgrade(self)));
        if recovers {
            // Before this process begins an execution.
            self.keeper.spawn(recover(Arc::downgrade(self), self.runtime.ledger.next_journal()));
        }
        if retention.is_some() || !self.runtime.archive.is_indexed() {
            self.keeper.spawn(upkeep(Arc::downgrade(self), retention));
        }
    }

    /// Resumes what was found when the store was opened. `has_mail` says that it waits, and that something was sent to it.
    async fn go_on(self: &Arc<Self>, stored: Stored, has_mail: bool) {
        let journal = stored.journal;
        match stored.state.status {
            // The process may have crashed after that was durable and before it acted on it. Only a replay finds out: a flow
            // that has taken all its mail is parked again.
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

    /// When to look at an execution that begins at a time of day.
    pub(crate) fn starts(&self, start_ms: u64) -> Due {
        Due::At(self.runtime.clock.steady_when_shown(start_ms))
    }

    /// Wakes an execution at that time.
    pub(crate) fn wake_at(self: &Arc<Self>, due_ms: u64, journal: JournalId) {
        self.sleepers.push(Sleeper { due_ms, journal, cause: Cause::Time });
    }

    /// Wakes an execution when the store may have recovered: there may be no caller to do it.
    pub(crate) fn wake_after_fault(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        if !self.is_closed() {
            let due_ms = self.runtime.clock.due_ms(AFTER_FAULT);
            self.sleepers.push(Sleeper { due_ms, journal, cause });
        }
    }

    /// The runtime of an attempt has shut down, and this store is open: the execution resumes on another runtime.
    pub(super) fn wake_elsewhere(self: &Arc<Self>, execution: &ExecutionId, journal: JournalId) {
        let (engine, execution) = (Arc::downgrade(self), execution.clone());
        self.keeper.spawn(async move {
            // If the program is exiting, nothing more begins.
            tokio::time::sleep(AFTER_RUNTIME).await;
            let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
            // The attempt's last writes, perhaps its header, must have landed.
            match engine.runtime.ledger.settle_left(&execution).await {
                Ok(()) => engine.wake(journal, Cause::Fault).await,
                Err(_) => engine.wake_after_fault(journal, Cause::Fault),
            }
            engine.registry.rest(&execution);
        });
    }

    /// Wakes an execution for durable mail.
    pub(super) fn wake_for_mail(self: &Arc<Self>, execution: &ExecutionId, journal: JournalId) {
        let (engine, execution) = (self.clone(), execution.clone());
        self.keeper.spawn(async move {
            engine.wake(journal, Cause::Mail).await;
            engine.registry.rest(&execution);
        });
    }

    /// Wakes an execution as soon as possible.
    pub(super) fn wake_soon(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        let engine = self.clone();
        self.keeper.spawn(async move { engine.wake(journal, cause).await });
    }

    /// Resumes an execution, unless it is finished or a task drives it. Waits while the maximum number of executions is driven.
    pub(crate) async fn wake(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        // The semaphore is never closed.
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
            // Mail does not begin an interrupted execution again.
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

    /// The execution is awake: the time that it waited for no longer matters.
    pub(super) fn forget_time(&self, stored: &Stored) {
        let (due_ms, journal) = (stored.state.wake_ms, stored.journal);
        self.sleepers.forget(Sleeper { due_ms, journal, cause: Cause::Time });
    }
}

/// Waits for one time after another, until the store is closed or dropped.
pub(crate) async fn keep(inner: Weak<Engine>) {
    let Some(sleepers) = inner.upgrade().map(|inner| inner.sleepers.clone()) else { return };
    loop {
        let Some(strong) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
        let clock = strong.runtime.clock.clone();
        for Sleeper { journal, cause, .. } in sleepers.take_due(clock.steady_ms()) {
            // This waits while the maximum number is driven. Other due executions stay due.
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
