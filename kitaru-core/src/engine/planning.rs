//! Decides what a task does with its execution, from what is recorded. Owns what happens to an execution whose attempts crash
//! again and again; must not know how a plan is carried out.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::attach::{recorded_end, unknown};
use crate::engine::control::cannot_cancel;
use crate::engine::deletion::{cannot_delete, plan_to_delete};
use crate::engine::forget::cannot_resume;
use crate::engine::plan::{Hold, Plan};
use crate::engine::task::Task;
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{NotUndone, ParentCall, Status, Tally};
use crate::ledger::{Archive, ClaimedGeneration, Earlier, Ledger, Listing, Stored};
use crate::log;
use crate::machine::{
    Ask, Cause, Decision, Newest, Reuse, Verdict, decide, died, dies_in_replay, last_chance, verdict,
};
use crate::request::{FlowBody, Forget, Request};
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
    let (wanted, runtime) = (execution.clone(), engine.runtime.clone());
    let plan = move |archive: &Archive, newest: Option<ClaimedGeneration>| {
        let (ledger, now_ms) = (&engine.runtime.ledger, engine.runtime.clock.now_ms());
        let stored = newest.as_ref().map(|newest| &newest.stored);
        let found = stored.map(|stored| Newest {
            generation: stored.header.generation,
            status: stored.state.status,
            updated_ms: stored.state.updated_ms,
            same_input: stored.header.input_digest == input.digest,
        });
        let parent = stored.map(|stored| archive.parent(stored)).transpose()?.flatten();
        let is_own = input.parent.as_ref().zip(parent.as_ref()).is_some_and(|(own, parent)| own.call == parent.call);
        let ask = match input.ask {
            Ask::Outcome => Ask::Outcome,
            // This very call began it, in an earlier attempt of the parent.
            _ if is_own => Ask::Reuse(Reuse::Always),
            ask => ask,
        };
        let decision = decide(found.as_ref(), ask, now_ms);
        if let Decision::New { .. } = decision {
            input.parent.into_iter().for_each(|parent| active.add_parent(parent));
        }
        // The callers of a generation that has ended have learned its result.
        if let Some(stored) = stored.filter(|_| !matches!(decision, Decision::New { cancels: false, .. })) {
            archive.waiters(stored)?.into_iter().for_each(|parent| active.add_parent(parent));
        }
        match (decision, newest) {
            (Decision::New { generation, .. }, None) => {
                // Above the deleted generations, which may be of this execution.
                let deleted = ledger.deleted_generation();
                Plan::begin(archive, generation.saturating_add(deleted), None, input.ask)
            }
            (Decision::New { generation, cancels }, newest) => {
                let cancelled = newest.filter(|_| cancels);
                Plan::begin(archive, generation, cancelled, input.ask)
            }
            (Decision::Continue, Some(claimed)) if input.ask == Ask::Resume => {
                Plan::resume(ledger, claimed, input.ask, &input.forget)
            }
            (Decision::Continue, Some(claimed)) => {
                plan_to_resume(ledger, archive, claimed, caller, &engine.runtime.clock)
            }
            (Decision::Nothing, newest) if input.ask == Ask::Resume => {
                Err(cannot_resume(&execution, newest.map(|newest| newest.stored.state.status)))
            }
            (Decision::Nothing, newest) if matches!(input.ask, Ask::Cancel | Ask::Abandon) => {
                Err(cannot_cancel(&execution, newest.as_ref().map(|newest| &newest.stored)))
            }
            (Decision::Nothing, newest) if input.ask == Ask::Delete => {
                Err(cannot_delete(&execution, newest.map(|newest| newest.stored.state.status)))
            }
            (Decision::Delete, Some(claimed)) => plan_to_delete(archive, &claimed),
            (Decision::Nothing, newest) => {
                let ended = newest.map(|newest| recorded_end(archive, &newest.stored)).transpose()?.flatten();
                ended.map(Plan::Ended).ok_or_else(|| unknown(&execution))
            }
            (Decision::Cancel, Some(claimed)) if input.registered && input.ask == Ask::Cancel => {
                plan_to_undo(archive, claimed)
            }
            (Decision::Cancel, Some(claimed)) => Plan::cancel(archive, claimed),
            (Decision::Cached { age_ms }, Some(claimed)) => {
                let payload = archive.outcome(&claimed.stored)?;
                Ok(Plan::Cached { payload: Arc::new(payload), age: Duration::from_millis(age_ms) })
            }
            (Decision::OtherInput, Some(claimed)) => {
                Err(other_input(&execution, &claimed.stored.header.input_preview, &input.preview))
            }
            (Decision::IdTaken, _) => Err(id_taken(&execution)),
            (Decision::Cancelled, _) => Err(cannot!(
                Kind::Cancelled,
                "continue execution {execution}",
                "it was cancelled",
                "begin it again with .fresh(), or use another id"
            )),
            (Decision::Stuck, Some(claimed)) => {
                // Its message names the execution.
                Err(Error::new(Kind::Stuck, &claimed.stored.state.reason))
            }
            (_, None) => unreachable!("only what was found is continued, reused or refused"),
        }
    };
    runtime.ledger.claim((&wanted, task.wakeup.is_some()), plan).await
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

/// How an execution resumes.
fn plan_to_resume(
    ledger: &Ledger,
    archive: &Archive,
    claimed: ClaimedGeneration,
    caller: Caller,
    clock: &Clock,
) -> Result<Plan, Error> {
    let (tally, now_ms) = (tally(&claimed), clock.steady_ms());
    let stored = &claimed.stored;
    if caller != Caller::Person {
        match verdict(tally, stored.state.updated_ms, now_ms) {
            Verdict::Begins => {}
            Verdict::Waits { due_ms } => {
                let wait = Duration::from_millis(due_ms.saturating_sub(now_ms));
                log::crash_loop(&stored.header.execution, tally.deaths, wait);
                return Ok(Plan::HeldBack(Hold::Until { due_ms, claimed: Box::new(claimed) }));
            }
            Verdict::GivenUp => {
                let next = archive.next_seq(stored)?;
                return Ok(Plan::HeldBack(Hold::GivenUp { claimed: Box::new(claimed), next, tally }));
            }
        }
    }
    let may_have_died = match stored.state.status {
        Status::Interrupted => true,
        // It begins when the clock shows its time. A clock that was set back shows it later.
        Status::Queued => stored.state.starts_ms() <= clock.now_ms(),
        _ => false,
    };
    if may_have_died || caller == Caller::Opening {
        return Ok(Plan::Count { claimed: Box::new(claimed), tally });
    }
    Plan::resume(ledger, claimed, Ask::Recover, &[])
}

/// How an execution is cancelled: a replay up to where it stopped finds its undo steps. That attempt counts, too.
fn plan_to_undo(archive: &Archive, claimed: ClaimedGeneration) -> Result<Plan, Error> {
    let stored = &claimed.stored;
    let tally = match stored.state.status {
        Status::Stuck if stored.state.listing == Listing::Off => match archive.undo(stored)? {
            Some(NotUndone::DiesInReplay) => return Err(dies_when_cancelled(stored)),
            // After one more crash, a replay is known not to help.
            Some(NotUndone::DiesInBodies) => last_chance(),
            Some(NotUndone::Skipped) | None => return Plan::cancel(archive, claimed),
        },
        status if status.has_flow() || status == Status::Stuck => tally(&claimed),
        _ => return Plan::cancel(archive, claimed),
    };
    if dies_in_replay(tally) {
        return Err(dies_when_cancelled(stored));
    }
    Ok(Plan::Count { claimed: Box::new(claimed), tally })
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
fn tally(claimed: &ClaimedGeneration) -> Tally {
    let tally = claimed.stored.state.tally;
    match claimed.earlier {
        Earlier::Crashed => died(tally),
        Earlier::CutOff => Tally { alone: false, replays: false, ..tally },
        Earlier::Ended => Tally::default(),
    }
}

pub(super) fn id_taken(execution: &ExecutionId) -> Error {
    cannot!(
        Kind::Conflict,
        "begin a fork as {execution}",
        "the store has an execution of this id",
        "set another with .id(…)"
    )
}

pub(super) fn other_input(execution: &ExecutionId, recorded: &str, asked: &str) -> Error {
    cannot!(
        Kind::Conflict,
        "call execution {execution}",
        "it has another input, ({recorded}), and is called with ({asked})",
        "use another id, or begin it again with .fresh()"
    )
}
