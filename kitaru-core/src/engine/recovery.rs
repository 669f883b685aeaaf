//! Executions that go on without being called: those that a dead process left, and those whose time has come. Owns the
//! search for them, the bound on how many are driven at once, and what becomes of those whose attempts die again and again;
//! must not know how one is driven.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::call::Packed;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::active::Ended;
use crate::engine::attempt::Plan;
use crate::engine::launch::{Place, Uncalled};
use crate::engine::request::Request;
use crate::engine::sleepers::{Cause, Sleeper};
use crate::error::{Error, Kind};
use crate::flow;
use crate::id::{JournalId, Seq};
use crate::journal::{Ask, EndFrame, Frame, Status, Tally, UndoRow, UnfinishedRow};
use crate::ledger::blocking;
use crate::ledger::{Archive, Change, Ending, Listing, State, Stored, Tenure};
use crate::log;
use crate::machine::{Due, Verdict, died, dies_in_replay, last_chance, verdict};
use crate::runtime::Runtime;

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
            if flow::find(&execution.flow).is_some() {
                strong.go_on(stored, has_mail).await;
            } else if unknown.insert(execution.flow.clone()) {
                // Said once for each flow, however many executions it has.
                log::unknown_flow(&execution.flow);
            }
        }
    }
}

/// The generation that is woken for this one: where it has restarted, the newest. A commit that says so may be there although
/// the store has reported that it failed, and then nobody drives that generation.
fn awake(archive: &Archive, journal: JournalId) -> Result<Option<Stored>, Error> {
    match archive.stored(journal)? {
        Some(stored) if stored.state.status == Status::Restarted => archive.newest(&stored.header.execution),
        stored => Ok(stored),
    }
}

impl Engine {
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
            Status::Completed | Status::Failed | Status::Cancelled | Status::Stuck | Status::Restarted => {}
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

    /// The runtime of an attempt has come to its end, and this store has not: the execution goes on where others run.
    pub(crate) fn wake_elsewhere(self: &Arc<Self>, journal: JournalId) {
        let inner = Arc::downgrade(self);
        self.keeper.spawn(async move {
            // Where the program comes to its end, too, nothing more is to begin.
            tokio::time::sleep(AFTER_RUNTIME).await;
            let Some(inner) = inner.upgrade().filter(|inner| !inner.is_closed()) else { return };
            // What the attempt has left on its way, its header perhaps, is to be there.
            match inner.runtime.ledger.settle().await {
                Ok(()) => inner.wake(journal, Cause::Fault).await,
                Err(_) => inner.wake_after_fault(journal, Cause::Fault),
            }
        });
    }

    /// Has an execution go on, if it is not finished and nobody drives it. Waits while as many are driven as may be.
    pub(crate) async fn wake(self: &Arc<Self>, journal: JournalId, cause: Cause) {
        // It is never closed.
        let Ok(permit) = self.driving.clone().acquire_owned().await else { return };
        let inner = self.clone();
        let stored = match blocking(move || awake(&inner.runtime.archive, journal)).await {
            Ok(Ok(Some(stored))) => stored,
            Ok(Ok(None)) => return,
            Ok(Err(error)) | Err(error) => {
                log::recovery_failed(&error);
                return self.wake_after_fault(journal, cause);
            }
        };
        let journal = stored.journal;
        let is_over = match stored.state.status {
            Status::Waiting => false,
            // One that was interrupted is not begun again because something was sent to it.
            Status::Running | Status::Interrupted | Status::Queued => cause == Cause::Mail,
            _ => true,
        };
        let is_early = cause == Cause::Time && stored.state.wake_ms > self.runtime.clock.steady_ms();
        if is_over || is_early || self.wakes_for_us(&stored.header.execution, journal, cause) {
            return;
        }
        // Before it goes on: then it may be parked until the same time once more.
        self.sleepers.forget(Sleeper { due_ms: stored.state.wake_ms, journal, cause: Cause::Time });
        self.resume(&stored, cause, permit);
    }

    fn resume(self: &Arc<Self>, stored: &Stored, cause: Cause, permit: OwnedSemaphorePermit) {
        let execution = &stored.header.execution;
        let Some(meta) = flow::find(&execution.flow) else { return log::unknown_flow(&execution.flow) };
        let uncalled = Uncalled { journal: stored.journal, cause, _permit: permit };
        if let Err(error) = self.launch(Request::resuming(meta, stored), Some(uncalled)) {
            log::recovery_failed(&error);
        }
    }
}

/// What becomes of an execution whose attempts die one after another without a lasting record of their own.
pub(crate) enum Held {
    Until { due_ms: u64, stored: Box<Stored> },
    GivenUp { stored: Box<Stored>, next: Seq, tally: Tally },
}

/// Who has an execution go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A person's program, which is not held back.
    Person,
    /// A flow that calls it.
    Parent,
    /// Nobody: its time has come, or something was sent to it.
    Nobody,
    /// Nobody: that was so when the store was opened.
    Opening,
}

/// How an execution goes on. `lives` says that its last attempt was of this process, and did not die.
pub(crate) fn plan(
    archive: &Archive,
    stored: Stored,
    lives: bool,
    caller: Caller,
    clock: &Clock,
    max_outcome_bytes: usize,
) -> Result<Plan, Error> {
    let (tally, now_ms) = (tally(&stored, lives), clock.steady_ms());
    if caller != Caller::Person {
        match verdict(tally, stored.state.updated_ms, now_ms) {
            Verdict::Begins => {}
            Verdict::Waits { due_ms } => {
                let wait = Duration::from_millis(due_ms.saturating_sub(now_ms));
                log::crash_loop(&stored.header.execution, tally.deaths, wait);
                return Ok(Plan::HeldBack(Held::Until { due_ms, stored: Box::new(stored) }));
            }
            Verdict::GivenUp => {
                let next = archive.next_seq(&stored)?;
                return Ok(Plan::HeldBack(Held::GivenUp { stored: Box::new(stored), next, tally }));
            }
        }
    }
    let may_have_died = match stored.state.status {
        Status::Running | Status::Interrupted => true,
        // It begins when the clock shows its time, which one that was set back does later.
        Status::Queued => stored.state.wake_ms <= clock.now_ms(),
        _ => false,
    };
    if may_have_died || caller == Caller::Opening {
        return Ok(Plan::Count { stored: Box::new(stored), tally });
    }
    Plan::resume(archive, stored, Ask::Resume, &[], max_outcome_bytes)
}

/// How an execution is cancelled: it is replayed to where it stopped, for what is to be undone. That is counted, too.
pub(crate) fn plan_to_undo(archive: &Archive, stored: Stored, lives: bool) -> Result<Plan, Error> {
    let tally = match stored.state.status {
        Status::Stuck if stored.state.listing == Listing::Off => match archive.undo(&stored)? {
            Some(UndoRow::DiesInReplay) => return Err(dies_when_cancelled(&stored)),
            // One more death, and it is known that a replay is no way out.
            Some(UndoRow::DiesInBodies) => last_chance(),
            Some(UndoRow::Skipped) | None => return Plan::cancel(archive, stored),
        },
        status if status.has_flow() || status == Status::Stuck => tally(&stored, lives),
        _ => return Plan::cancel(archive, stored),
    };
    if dies_in_replay(tally) {
        return Err(dies_when_cancelled(&stored));
    }
    Ok(Plan::Count { stored: Box::new(stored), tally })
}

fn dies_when_cancelled(stored: &Stored) -> Error {
    let execution = &stored.header.execution;
    Error::new(
        Kind::Stuck,
        format!(
            "cannot cancel execution {execution}: what undoes its work is found by a replay of its flow, and its last \
             attempts died in that; mend the flow's own code, or end it with .cancel(…).without_undo(), and undo by hand \
             what it has done"
        ),
    )
}

/// The deaths that count by now.
fn tally(stored: &Stored, lives: bool) -> Tally {
    let state = &stored.state;
    match state.status {
        // A generation that follows another one is there before its first attempt.
        Status::Running if state.attempts > 0 && !lives => died(state.tally),
        // It died when it was cancelled.
        Status::Failed | Status::Stuck if state.listing == Listing::Earlier && !lives => died(state.tally),
        Status::Running | Status::Interrupted => Tally { alone: false, replays: false, ..state.tally },
        _ => Tally::default(),
    }
}

/// Has an execution wait before its next attempt, or leaves it to a person.
pub(crate) async fn hold_back(place: &Place, held: Held) -> Ended {
    let runtime = &place.inner.runtime;
    let (stored, next, tally) = match held {
        Held::Until { due_ms, stored } => {
            let journal = stored.journal;
            if let Err(fault) = begun_by_now(runtime, &stored).await {
                return Ended::Fault(fault);
            }
            return Ended::Parked { due: Due::At(due_ms), journal };
        }
        Held::GivenUp { stored, next, tally } => (stored, next, tally),
    };
    let execution = &place.execution;
    let (place_of_death, undo) = match tally.replays {
        true => ("before it came to a body: in its flow's own code, or while it was loaded", UndoRow::DiesInReplay),
        false => ("in a body that it began", UndoRow::DiesInBodies),
    };
    let error = Error::new(
        Kind::Stuck,
        format!(
            "execution {execution} is stuck: {} attempts have died one after another without a record of \
             their own, the last {place_of_death}. Mend that, and have it go on with Kitaru::retry, or begin it anew with \
             .fresh()",
            tally.deaths
        ),
    );
    let packed = Packed::error(&error);
    let frame = Frame::End(EndFrame {
        status: Status::Stuck,
        attempt: stored.state.attempts,
        ended_ms: runtime.clock.now_ms(),
        duration_us: 0,
        preview: &packed.preview,
        payload: packed.payload(),
    })
    .write();
    let ending = Ending { stored, seq: next, frame, undo: Some(undo) };
    if let Err(fault) = runtime.ledger.end(ending).await {
        return Ended::Fault(fault);
    }
    log::gave_up(&error);
    Ended::Fault(error)
}

/// An attempt that began in the future, by a clock that was wrong, began now: else it would be held back again and again.
async fn begun_by_now(runtime: &Runtime, stored: &Stored) -> Result<(), Error> {
    let State { status, attempts, updated_ms, wake_ms, tally, .. } = stored.state;
    let now_ms = runtime.clock.steady_ms();
    if updated_ms <= now_ms {
        return Ok(());
    }
    let state = Change::State(UnfinishedRow { status, attempts, updated_ms: now_ms, wake_ms, tally });
    runtime.ledger.write(&Arc::new(Tenure::of_changes(stored.journal)), vec![state], None).await
}
