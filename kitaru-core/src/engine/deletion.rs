//! Deleting an execution at the wish of a person. Owns which executions can be deleted; must not know which rows go.

use std::sync::Arc;

use crate::engine::active::Ended;
use crate::engine::indexed::check_is_indexed;
use crate::engine::plan::Plan;
use crate::engine::retention::is_awaited;
use crate::engine::state::Engine;
use crate::engine::task::Task;
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId, JournalId};
use crate::journal::{AuditAction, Status};
use crate::ledger::{Archive, ClaimedGeneration, blocking};
use crate::machine::Ask;
use crate::request::Request;
use crate::view::ExecutionRef;

/// The rows of so many generations are looked for at a time.
const GENERATIONS: usize = 16;

impl Engine {
    /// Deletes an execution that has ended, with all its generations. No task drives it meanwhile.
    pub(crate) async fn delete(self: &Arc<Self>, execution: ExecutionId, by: Option<Actor>) -> Result<(), Error> {
        let active = loop {
            let request = Request { by: by.clone(), ..Request::steering(&execution, Ask::Delete) };
            match self.launch(request) {
                Ok(launched) => break launched.settled().await?.1,
                // What has ended is driven for a moment more, and what reads its result drives it, too.
                Err(refused) if refused.is_misuse() && self.has_ended(&execution).await? => {
                    if let Some(driven) = self.registry.join(&execution) {
                        driven.ended().await;
                    }
                }
                Err(refused) => return Err(refused),
            }
        };
        match active.ended().await.fault() {
            Some(error) if !error.is_cancelled() => Err(error),
            _ => self.runtime.ledger.bound_audit_of_store().await,
        }
    }

    /// Whether the recorded status of an execution is final.
    async fn has_ended(&self, execution: &ExecutionId) -> Result<bool, Error> {
        let (archive, wanted) = (self.runtime.archive.clone(), execution.clone());
        let newest = blocking(move || archive.newest(&wanted)).await??;
        Ok(newest.is_some_and(|stored| stored.state.status.is_final()))
    }
}

/// The generations to delete, the oldest first: if the process dies in between, no older one takes the place of the newest.
pub(super) fn plan_to_delete(archive: &Archive, claimed: &ClaimedGeneration) -> Result<Plan, Error> {
    let execution = &claimed.stored.header.execution;
    check_is_indexed(archive)?;
    if is_awaited(archive, &claimed.stored)? {
        return Err(cannot!(
            Kind::Misuse,
            "delete execution {execution}",
            "its parent has not completed, and may ask for its result",
            "end or delete it first"
        ));
    }
    archive.generations_of(execution).map(Plan::Delete)
}

/// Deletes generations, and says who did.
pub(super) async fn delete(task: &Task, generations: Vec<JournalId>, by: Option<Actor>) -> Ended {
    match erase(task, &generations, by).await {
        Ok(()) => Ended::Fault(deleted(&task.execution)),
        Err(fault) => Ended::Fault(fault),
    }
}

async fn erase(task: &Task, generations: &[JournalId], by: Option<Actor>) -> Result<(), Error> {
    let runtime = &task.engine.runtime;
    let about = ExecutionRef::of(&task.execution).to_string();
    let mut audit = by.map(|by| by.did(AuditAction::Deleted, &about, runtime.clock.now_ms()));
    let mut pages = generations.chunks(GENERATIONS).peekable();
    while let Some(page) = pages.next() {
        let (archive, journals) = (runtime.archive.clone(), page.to_vec());
        let expired = blocking(move || archive.rows_of_all(&journals)).await??;
        let audit = if pages.peek().is_none() { audit.take() } else { None };
        runtime.ledger.delete(expired, audit).await?;
    }
    runtime.ledger.forget_left(&task.execution);
    Ok(())
}

/// What callers learn that wait for it.
fn deleted(execution: &ExecutionId) -> Error {
    cannot!(Kind::Cancelled, "finish execution {execution}", "it was deleted", "call its flow to begin it again")
}

pub(super) fn cannot_delete(execution: &ExecutionId, status: Option<Status>) -> Error {
    match status {
        Some(Status::Stuck) => cannot!(
            Kind::Misuse,
            "delete execution {execution}",
            "it is stuck, and its work may have to be undone",
            "cancel it first"
        ),
        Some(status) => {
            cannot!(Kind::Misuse, "delete execution {execution}", "it is {status} and has not ended", "cancel it first")
        }
        None => cannot!(
            Kind::Misuse,
            "delete execution {execution}",
            "the store has no execution of this flow and id",
            "look at Kitaru::executions"
        ),
    }
}
