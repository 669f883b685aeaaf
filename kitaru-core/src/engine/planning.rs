//! Decides what a task does with its execution, from what is recorded. Owns what happens to an execution whose attempts crash
//! again and again; must not know how a plan is carried out.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::control::cannot_cancel;
use crate::engine::forget::cannot_resume;
use crate::engine::found::{came_to, unknown};
use crate::engine::plan::{Held, Plan};
use crate::engine::task::Task;
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{Ask, Begin, Found, NotUndone, ParentCall, Reuse, Status, Tally, decide};
use crate::ledger::{Archive, Listing, Stored, brief};
use crate::log;
use crate::machine::{Cause, Verdict, died, dies_in_replay, last_chance, verdict};
use crate::request::{FlowBody, Forget, Request};
use crate::runtime::lock;
use crate::value::Key;

/// The parts of a request that decide about a plan.
pub(super) struct PlanInput {
    ask: Ask,
    digest: Key,
    preview: String,
    /// Whether the flow can begin from its recorded input.
    registered: bool,
    /// The call of the parent flow, if one asks.
    parent: Option<ParentCall>,
    forget: Vec<Forget>,
}

impl PlanInput {
    pub(super) fn of(request: &Request) -> Self {
        PlanInput {
            ask: request.ask,
            digest: request.input.digest,
            preview: request.input.preview.clone(),
            registered: matches!(request.body, FlowBody::Registered(_)),
            parent: request.parent.clone(),
            forget: request.forget.clone(),
        }
    }
}

/// Reads what is recorded of an execution, and decides what the task does.
pub(super) async fn plan(task: &Task, input: PlanInput) -> Result<Plan, Error> {
    // After the seat is taken: either a closing store finds the seat, or this finds the store closed.
    task.engine.check_open()?;
    let engine = task.engine.clone();
    let execution = task.execution.clone();
    let active = task.active.clone();
    // Whether a program called, as opposed to a flow or a wake-up.
    let caller = match &task.wakeup {
        Some(wakeup) if wakeup.cause == Cause::Opening => Caller::Opening,
        Some(_) => Caller::Wakeup,
        None if input.parent.is_some() => Caller::Parent,
        None => Caller::Person,
    };
    if lock(&engine.left).remove(&execution) {
        // Writes that an attempt of this process left on their way must land before the read.
        engine.runtime.ledger.settle().await?;
    }
    let is_woken = task.wakeup.is_some();
    let lookups = engine.runtime.lookups.clone();
    brief(&lookups, move |turn| {
        let archive = &engine.runtime.archive;
        let (now_ms, bound) = (engine.runtime.clock.now_ms(), engine.runtime.max_outcome_bytes);
        if is_woken {
            // It is there, and what is new does not wait for it.
            turn.takes_long();
        }
        let stored = archive.newest(&execution)?;
        if stored.is_some() {
            // Its journal may be read whole.
            turn.takes_long();
        }
        let found = stored.as_ref().map(|stored| Found {
            generation: stored.header.generation,
            status: match stored.state.status {
                // This task has the seat, so no other task drives the execution.
                Status::Running => Status::Interrupted,
                status => status,
            },
            updated_ms: stored.state.updated_ms,
            same_input: stored.header.input_digest == input.digest,
        });
        let parent = stored.as_ref().map(|stored| archive.parent(stored)).transpose()?.flatten();
        let is_own = input.parent.as_ref().zip(parent.as_ref()).is_some_and(|(own, parent)| own.call == parent.call);
        let ask = match input.ask {
            Ask::Outcome => Ask::Outcome,
            // This very call began it, in an earlier attempt of the parent.
            _ if is_own => Ask::Reuse(Reuse::Always),
            ask => ask,
        };
        let begin = decide(found.as_ref(), ask, now_ms);
        if let Begin::New { .. } = begin {
            input.parent.into_iter().for_each(|parent| active.add_parent(parent));
        }
        // The callers of a generation that has ended have learned its result.
        if let Some(stored) = stored.as_ref().filter(|_| !matches!(begin, Begin::New { cancels: false, .. })) {
            archive.waiters(stored)?.into_iter().for_each(|parent| active.add_parent(parent));
        }
        match (begin, stored) {
            (Begin::New { generation, .. }, None) => {
                // Above the deleted generations, which may be of this execution.
                let deleted = engine.runtime.ledger.deleted_generation();
                Plan::begin(archive, generation.saturating_add(deleted), None, input.ask)
            }
            (Begin::New { generation, cancels }, stored) => {
                Plan::begin(archive, generation, stored.filter(|_| cancels), input.ask)
            }
            (Begin::Continue, Some(stored)) if input.ask == Ask::Resume => {
                Plan::resume(archive, stored, input.ask, &input.forget, bound)
            }
            (Begin::Continue, Some(stored)) => {
                let lives = lock(&engine.faults).contains(&stored.journal);
                plan_to_resume(archive, stored, lives, caller, &engine.runtime.clock, bound)
            }
            (Begin::Nothing, stored) if input.ask == Ask::Resume => {
                Err(cannot_resume(&execution, stored.map(|stored| stored.state.status)))
            }
            (Begin::Nothing, stored) if matches!(input.ask, Ask::Cancel | Ask::Abandon) => {
                Err(cannot_cancel(&execution, stored.as_ref()))
            }
            (Begin::Nothing, stored) => {
                let ended = stored.map(|stored| came_to(archive, &stored)).transpose()?.flatten();
                ended.map(Plan::Ended).ok_or_else(|| unknown(&execution))
            }
            (Begin::Cancel, Some(stored)) if input.registered && input.ask == Ask::Cancel => {
                let lives = lock(&engine.faults).contains(&stored.journal);
                plan_to_undo(archive, stored, lives)
            }
            (Begin::Cancel, Some(stored)) => Plan::cancel(archive, stored),
            (Begin::Cached { age_ms }, Some(stored)) => {
                let payload = archive.outcome(&stored)?;
                Ok(Plan::Cached { payload: Arc::new(payload), age: Duration::from_millis(age_ms) })
            }
            (Begin::OtherInput, Some(stored)) => {
                Err(other_input(&execution, &stored.header.input_preview, &input.preview))
            }
            (Begin::Cancelled, _) => Err(cannot!(
                Kind::Cancelled,
                "continue execution {execution}",
                "it was cancelled",
                "begin it again with .fresh(), or use another id"
            )),
            (Begin::Stuck, Some(stored)) => {
                Err(
                    // Its message names the execution.
                    Error::new(Kind::Stuck, &stored.state.reason),
                )
            }
            (_, None) => unreachable!("only what was found is continued, reused or refused"),
        }
    })
    .await?
}

/// Who resumes an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program's call, which is not held back.
    Person,
    /// A flow that calls it.
    Parent,
    /// No caller: its time has come, or something was sent to it.
    Wakeup,
    /// No caller: the store was opened.
    Opening,
}

/// How an execution resumes. `lives` says that its last attempt was in this process and did not crash.
fn plan_to_resume(
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
        // It begins when the clock shows its time. A clock that was set back shows it later.
        Status::Queued => stored.state.wake_ms <= clock.now_ms(),
        _ => false,
    };
    if may_have_died || caller == Caller::Opening {
        return Ok(Plan::Count { stored: Box::new(stored), tally });
    }
    Plan::resume(archive, stored, Ask::Recover, &[], max_outcome_bytes)
}

/// How an execution is cancelled: a replay up to where it stopped finds its undo steps. That attempt counts, too.
fn plan_to_undo(archive: &Archive, stored: Stored, lives: bool) -> Result<Plan, Error> {
    let tally = match stored.state.status {
        Status::Stuck if stored.state.listing == Listing::Off => match archive.undo(&stored)? {
            Some(NotUndone::DiesInReplay) => return Err(dies_when_cancelled(&stored)),
            // After one more crash, a replay is known not to help.
            Some(NotUndone::DiesInBodies) => last_chance(),
            Some(NotUndone::Skipped) | None => return Plan::cancel(archive, stored),
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
    cannot!(
        Kind::Stuck,
        "cancel execution {execution}",
        "its last attempts crashed in a replay, which finds its undo steps",
        "use .without_undo()"
    )
}

/// The crashes that count so far.
fn tally(stored: &Stored, lives: bool) -> Tally {
    let state = &stored.state;
    match state.status {
        // The generation after a `.continue_as_new()` exists before its first attempt.
        Status::Running if state.attempts > 0 && !lives => died(state.tally),
        // The process crashed while the execution was being cancelled.
        Status::Failed | Status::Stuck if state.listing == Listing::Earlier && !lives => died(state.tally),
        Status::Running | Status::Interrupted => Tally { alone: false, replays: false, ..state.tally },
        _ => Tally::default(),
    }
}

pub(super) fn other_input(execution: &ExecutionId, recorded: &str, asked: &str) -> Error {
    cannot!(
        Kind::Conflict,
        "call execution {execution}",
        "it has another input, ({recorded}), and is called with ({asked})",
        "use another id, or begin it again with .fresh()"
    )
}
