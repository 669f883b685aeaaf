//! Cancelling and resuming many executions. Owns that this needs a condition; must not know to which it applies.

use kitaru_core::{BulkReport, BulkRequest, Error, ExecutionRef, Kitaru, ListRequest};

use super::filtered::filtered;
use super::shown::reference;
use crate::api;
use crate::problem::Problem;

pub(super) async fn cancel(kitaru: &Kitaru, many: &api::CancelMany) -> Result<api::ManyDone, Problem> {
    let request = checked(kitaru, &many.executions, many.all, "cancel")?.cancel();
    carry_out(if many.without_undo { request.without_undo() } else { request }, many.dry_run).await
}

pub(super) async fn resume(kitaru: &Kitaru, many: &api::ResumeMany) -> Result<api::ManyDone, Problem> {
    carry_out(checked(kitaru, &many.executions, many.all, "resume")?.resume(), many.dry_run).await
}

/// The executions of a page, unless they would be all and that is not what is asked for.
fn checked(kitaru: &Kitaru, executions: &api::ListQuery, all: bool, verb: &str) -> Result<ListRequest, Problem> {
    if !all && !executions.has_condition() {
        return Err(Problem::misuse(format!(
            "cannot {verb} executions: no condition is given; give one, or say that all are meant"
        )));
    }
    filtered(kitaru, executions)
}

async fn carry_out(request: BulkRequest, is_dry: bool) -> Result<api::ManyDone, Problem> {
    let report: BulkReport = if is_dry { request.dry_run().await? } else { request.await? };
    let not_done = |all: &[(ExecutionRef, Error)]| all.iter().map(shown).collect();
    Ok(api::ManyDone {
        done: report.done().iter().map(reference).collect(),
        skipped: not_done(report.skipped()),
        failed: not_done(report.failed()),
        looked_at: report.looked_at() as u64,
        next_cursor: report.next_cursor().map(|cursor| cursor.to_string()),
    })
}

fn shown((execution, error): &(ExecutionRef, Error)) -> api::NotDone {
    let (flow, id) = (execution.flow().to_owned(), execution.id().to_owned());
    api::NotDone { flow, id, error: format!("{error:#}") }
}
