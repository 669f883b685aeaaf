//! Cancelling or resuming the executions of a page. Owns to which of them that applies, and how many concurrently; must not know
//! how one is cancelled or resumes.

use std::sync::Arc;

use crate::engine::resume::no_flow;
use crate::engine::state::Engine;
use crate::error::{Error, Kind, cannot};
use crate::id::{Actor, ExecutionId};
use crate::journal::Status;
use crate::ledger::blocking;
use crate::map::map;
use crate::program;
use crate::view::{BulkReport, Cursor, ExecutionRef, Filter};

/// How many executions of a page are cancelled concurrently, or are on their way to be driven again.
const CONCURRENTLY: usize = 16;

/// What is done with many executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BulkAction {
    Cancel,
    /// As `Cancel`, without the undo.
    Abandon,
    Resume,
}

impl BulkAction {
    fn verb(self) -> &'static str {
        match self {
            BulkAction::Cancel | BulkAction::Abandon => "cancel",
            BulkAction::Resume => "resume",
        }
    }

    /// Where it applies.
    fn applies_to(self) -> &'static [Status] {
        match self {
            BulkAction::Cancel | BulkAction::Abandon => &[
                Status::Queued,
                Status::Running,
                Status::Waiting,
                Status::Interrupted,
                Status::Stuck,
                // Only if it is asked for: a failed one has ended, and keeps its error otherwise.
                Status::Failed,
            ],
            BulkAction::Resume => &[Status::Failed, Status::Stuck, Status::Interrupted],
        }
    }

    /// Where it is done unless a status is asked for.
    fn usual(self) -> &'static [Status] {
        match self {
            BulkAction::Cancel | BulkAction::Abandon => &self.applies_to()[..5],
            BulkAction::Resume => self.applies_to(),
        }
    }

    /// Narrows a filter to where it applies.
    fn narrow(self, filter: &mut Filter) -> Result<(), Error> {
        if filter.statuses.is_empty() {
            filter.statuses = self.usual().to_vec();
        }
        match filter.statuses.iter().find(|status| !self.applies_to().contains(status)) {
            None => Ok(()),
            Some(other) => Err({
                let (verb, all) = (self.verb(), self.applies_to().iter().map(Status::to_string).collect::<Vec<_>>());
                let all = all.join(", ");
                cannot!(
                    Kind::Misuse,
                    "{verb} executions that are {other}",
                    "they have ended or resume by themselves",
                    "take another status: {all}"
                )
            }),
        }
    }
}

impl Engine {
    /// Does it with so many executions that a filter matches, the newest first, from behind a cursor.
    pub(crate) async fn bulk(
        self: Arc<Self>,
        (mut filter, after, limit): (Filter, Option<Cursor>, usize),
        action: BulkAction,
        is_dry: bool,
        by: Option<Actor>,
    ) -> Result<BulkReport, Error> {
        self.check_open()?;
        action.narrow(&mut filter)?;
        let page = self.clone().page(filter, after, limit).await?;
        let mut report = BulkReport {
            done: Vec::new(),
            skipped: Vec::new(),
            failed: Vec::new(),
            looked_at: page.looked_at(),
            next: page.next_cursor(),
        };
        let found: Vec<_> = page.iter().map(|summary| (summary.reference(), summary.generation())).collect();
        let one = |(execution, generation): (ExecutionRef, u32)| {
            let (engine, by) = (self.clone(), by.clone());
            async move {
                let done = match is_dry {
                    true => engine.check(&execution, generation, action).await,
                    false => engine.act(&execution, generation, action, by).await,
                };
                (execution, done)
            }
        };
        for (execution, done) in map(found).limit(CONCURRENTLY).all().run(one).await {
            match done {
                Ok(()) => report.done.push(execution),
                Err(error) if error.is_closed() => return Err(error),
                Err(error) if error.is_misuse() => report.skipped.push((execution, error)),
                Err(error) => report.failed.push((execution, error)),
            }
        }
        Ok(report)
    }

    /// Does it with one execution.
    async fn act(
        self: Arc<Self>,
        execution: &ExecutionRef,
        generation: u32,
        action: BulkAction,
        by: Option<Actor>,
    ) -> Result<(), Error> {
        let execution = execution.checked()?;
        self.check_is_newest(&execution, generation, action).await?;
        match action {
            BulkAction::Cancel => self.cancel_with_undo(execution.clone(), by.clone()).await?,
            BulkAction::Abandon => self.abandon(execution.clone(), by.clone()).await?,
            BulkAction::Resume => self.resume_in_turn(execution.clone(), by.clone()).await?,
        }
        self.trim_audit(&execution, by.as_ref()).await;
        Ok(())
    }

    /// Checks that it would be tried with one execution.
    async fn check(
        self: Arc<Self>,
        execution: &ExecutionRef,
        generation: u32,
        action: BulkAction,
    ) -> Result<(), Error> {
        let execution = execution.checked()?;
        self.check_is_newest(&execution, generation, action).await?;
        match action {
            BulkAction::Resume => program::find(&execution.flow).map(drop).ok_or_else(|| no_flow(&execution)),
            BulkAction::Cancel | BulkAction::Abandon => Ok(()),
        }
    }

    /// Checks that what was listed is what an action reaches.
    async fn check_is_newest(
        self: &Arc<Self>,
        execution: &ExecutionId,
        generation: u32,
        action: BulkAction,
    ) -> Result<(), Error> {
        let (engine, wanted) = (self.clone(), execution.clone());
        let newest = blocking(move || engine.runtime.archive.newest(&wanted)).await??;
        match newest {
            Some(newest) if newest.header.generation == generation => Ok(()),
            _ => Err({
                let verb = action.verb();
                cannot!(
                    Kind::Misuse,
                    "{verb} generation {generation} of execution {execution}",
                    "a newer one has taken its place"
                )
            }),
        }
    }
}
