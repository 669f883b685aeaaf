//! Ending an execution for good. Owns the record of a cancelled execution; must not know how an attempt ends.

use std::sync::Arc;

use crate::context::{Context, Message};
use crate::engine::active::{Ended, interrupted};
use crate::engine::registry::Steered;
use crate::engine::state::Engine;
use crate::engine::task::Task;
use crate::journal::Packed;
use crate::machine::Ask;
use crate::request::Request;

use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId, JournalId, Seq};
use crate::journal::{AuditAction, EndFrame, Frame, NotUndone, Status};
use crate::ledger::{ClaimedGeneration, Stored, UnattendedEnd, blocking};
use crate::program;
use crate::runtime::Runtime;

impl Engine {
    /// As [`cancel`](Self::cancel), at the wish of a program: undo steps that this program cannot find are not skipped.
    pub(crate) async fn cancel_with_undo(
        self: &Arc<Self>,
        execution: ExecutionId,
        by: Option<Actor>,
    ) -> Result<(), Error> {
        if program::find(&execution.flow).is_none() && self.registry.driven(&execution).is_none() {
            let (engine, wanted) = (self.clone(), execution.clone());
            let may_have_undo = blocking(move || {
                let archive = &engine.runtime.archive;
                let Some(stored) = archive.newest(&wanted)? else { return Ok(false) };
                // The work of a failed one is undone already.
                let is_under_way = matches!(
                    stored.state.status,
                    Status::Running | Status::Interrupted | Status::Waiting | Status::Stuck
                );
                Ok::<_, Error>(is_under_way && archive.next_seq(&stored)? > Seq(1))
            });
            if may_have_undo.await?? {
                return Err(cannot!(
                    Kind::Misuse,
                    "cancel execution {execution}",
                    "this program lacks its flow, and its undo",
                    "start one that has it, or use .without_undo()"
                ));
            }
        }
        self.cancel(execution, by).await
    }

    pub(crate) async fn cancel(self: &Arc<Self>, execution: ExecutionId, by: Option<Actor>) -> Result<(), Error> {
        let mut given_up = 0;
        loop {
            let request = Request { by: by.clone(), ..Request::steering(&execution, Ask::Cancel) };
            let (_, active) = self.launch(request)?.settled().await?;
            active.cancelled_by(by.clone());
            if let Some(attempt) = active.attempt() {
                attempt.cancelled_by(by.clone());
            }
            // It has no effect on an attempt that exists only to cancel.
            if !active.cancel() {
                // The flow was parked in the meantime.
                continue;
            }
            match is_cancelled(active.ended().await, &execution) {
                // The execution may have become stuck at this moment. A stuck execution can be cancelled.
                Err(error) if error.is_stuck() && given_up < 3 => given_up += 1,
                cancelled => return cancelled,
            }
        }
    }

    /// Cancels an execution whose attempt a cancellation has missed. The seat notifies the callers.
    pub(super) fn cancel_soon(self: &Arc<Self>, execution: &ExecutionId, by: Option<Actor>) {
        let (engine, execution) = (self.clone(), execution.clone());
        self.keeper.spawn(async move { drop(engine.cancel(execution, by).await) });
    }

    /// Ends an execution without its undo.
    pub(crate) async fn abandon(self: &Arc<Self>, execution: ExecutionId, by: Option<Actor>) -> Result<(), Error> {
        let request = Request { by, ..Request::steering(&execution, Ask::Abandon) };
        let (_, active) = self.launch(request)?.settled().await?;
        is_cancelled(active.ended().await, &execution)
    }
}

/// Whether the execution ended as cancelled.
fn is_cancelled(ended: Ended, execution: &ExecutionId) -> Result<(), Error> {
    match ended.fault() {
        Some(error) if error.is_cancelled() => Ok(()),
        Some(error) => Err(error),
        None => Err(ended_meanwhile(execution)),
    }
}

impl Steered for Context {
    fn journal(&self) -> JournalId {
        self.tenure.journal()
    }

    fn post(&self, mail: Message) -> Result<(), Message> {
        Context::post(self, mail)
    }

    fn cancel(self: &Arc<Self>) {
        cancel_running(self);
    }

    fn drain(self: &Arc<Self>) {
        Context::drain(self, interrupted(&self.attempt.execution));
    }
}

/// Makes an execution `Cancelled` that no task drives.
pub(crate) async fn cancel_parked(task: &Task, claimed: ClaimedGeneration, next: Seq) -> Ended {
    let why = cancelled(&task.execution);
    let runtime = &task.engine.runtime;
    let at_ms = runtime.clock.now_ms();
    let audit = task.active.canceller().flatten().map(|by| by.did(AuditAction::Cancelled, "", at_ms));
    let ending = UnattendedEnd { audit, ..cancel(runtime, claimed, next, &why) };
    match runtime.ledger.end(ending).await {
        Ok(()) => Ended::Fault(why),
        Err(fault) => Ended::Fault(fault),
    }
}

/// Stops a running attempt, undoes its work, and ends it as cancelled.
pub(crate) fn cancel_running(context: &Arc<Context>) {
    let packed = Packed::error(&cancelled(&context.attempt.execution));
    let audit = || context.cancellation_audit().into_iter().collect();
    context.unwind(Status::Cancelled, &packed.payload(), &packed.preview, audit);
}

fn cancelled(execution: &ExecutionId) -> Error {
    cannot!(Kind::Cancelled, "finish execution {execution}", "it was cancelled")
}

/// How a generation becomes `Cancelled` without its undo.
pub(super) fn cancel(runtime: &Runtime, claimed: ClaimedGeneration, seq: Seq, why: &Error) -> UnattendedEnd {
    let packed = Packed::error(why);
    let frame = Frame::End(EndFrame {
        status: Status::Cancelled,
        attempt: claimed.stored.state.attempts,
        ended_ms: runtime.clock.now_ms(),
        duration_us: 0,
        preview: &packed.preview,
        payload: packed.payload(),
    });
    // A queued execution has done no work.
    let undo = (claimed.stored.state.status != Status::Queued).then_some(NotUndone::Skipped);
    let claimed = Box::new(claimed);
    UnattendedEnd { frame: frame.write(), claimed, seq, status: Status::Cancelled, undo, audit: None }
}

pub(crate) fn cannot_cancel(execution: &ExecutionId, stored: Option<&Stored>) -> Error {
    match stored.map(|stored| stored.state.status) {
        Some(status) => cannot!(
            Kind::Misuse,
            "cancel execution {execution}",
            "it is {status} and keeps its result",
            "look at its result"
        ),
        None => cannot!(
            Kind::Misuse,
            "cancel execution {execution}",
            "the store has no execution of this flow and id",
            "look at Kitaru::executions"
        ),
    }
}

/// The execution ended before it could be cancelled.
pub(crate) fn ended_meanwhile(execution: &ExecutionId) -> Error {
    cannot!(Kind::Misuse, "cancel execution {execution}", "it has ended", "look at its result")
}

/// Why an older generation ends.
pub(crate) fn begun_over(execution: &ExecutionId) -> Error {
    cannot!(Kind::Cancelled, "continue execution {execution}", "a new generation was begun over it with .fresh()")
}
