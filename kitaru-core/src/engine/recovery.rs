//! Executions that resume without a call. Owns the bound on how many resume concurrently; must not know which they are, nor how
//! one is driven.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::indexing::upkeep;
use crate::engine::state::Engine;
use crate::engine::task::Wakeup;
use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::Status;
use crate::ledger::blocking;
use crate::ledger::{Archive, Stored, Waking, WokenGeneration};
use crate::log;
use crate::machine::{Cause, Due};
use crate::program;
use crate::request::Request;

/// How long an execution waits after its runtime has shut down.
const AFTER_RUNTIME: Duration = Duration::from_millis(250);

/// Resumes one execution after another of those that resume without a call, until the store is closed or dropped.
async fn resume_woken(engine: Weak<Engine>, mut waking: Waking) {
    while let Some(woken) = waking.woken().await {
        let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
        match woken {
            // This waits while the maximum number is driven.
            Ok(WokenGeneration { journal, cause }) => engine.wake(journal, cause).await,
            Err(unread) => log::recovery_failed(&unread),
        }
    }
}

/// Which flows the program has. One that it lacks is logged once.
fn known_flows() -> impl FnMut(&str) -> bool + Send {
    let mut unknown = HashSet::new();
    move |flow| {
        let is_known = program::find(flow).is_some();
        if !is_known && unknown.insert(flow.to_owned()) {
            log::unknown_flow(flow);
        }
        is_known
    }
}

/// The generation to wake for this one: the newest, if the execution has continued as new. The store may have reported that the
/// commit failed which says so, and have it nevertheless; then no task drives that generation.
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
        if let Some(keep) = retention {
            let _ = self.retention.set(keep);
        }
        // Before this process begins an execution.
        let waking = self.runtime.ledger.waking(recovers.then(|| Box::new(known_flows()) as _));
        self.keeper.spawn(resume_woken(Arc::downgrade(self), waking));
        if retention.is_some() || !self.runtime.archive.is_indexed() {
            self.keeper.spawn(upkeep(Arc::downgrade(self), retention));
        }
    }

    /// When to look at an execution that begins at a time of day.
    pub(crate) fn starts(&self, start_ms: u64) -> Due {
        Due::At(self.runtime.clock.steady_when_shown(start_ms))
    }

    /// Wakes an execution when the store may have recovered: there may be no caller to do it.
    pub(crate) fn wake_after_fault(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        if !self.is_closed() {
            self.runtime.ledger.wake_after_fault(journal, cause);
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
            match engine.runtime.ledger.flush_left(&execution).await {
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
        let now_ms = self.runtime.clock.steady_ms();
        let is_early = cause == Cause::Time && matches!(stored.state.due, Due::At(due_ms) if due_ms > now_ms);
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
}
