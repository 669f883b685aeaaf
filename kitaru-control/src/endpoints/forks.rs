//! Forks and differences. Owns how a request becomes a call of the library; must not know paths.

use kitaru_core::{Execution, ExecutionRef, ForkPlan, ForkRequest, Kitaru, Record, RecordDiff};

use super::shown::{reference, us};
use crate::api;
use crate::problem::Problem;

/// The metadata with what an agent's requests used.
const USAGE: &str = "kitaru.usage";

/// Begins a fork, or only says what it would be.
pub(super) async fn fork(kitaru: &Kitaru, original: &ExecutionRef, fork: &api::Fork) -> Result<api::Forked, Problem> {
    let plan = request(kitaru, original, fork).plan().await?;
    if fork.dry_run {
        return Ok(forked(&plan, plan.fork(), false));
    }
    let begun = request(kitaru, original, fork).start().await?;
    Ok(forked(&plan, &begun, true))
}

fn request(kitaru: &Kitaru, original: &ExecutionRef, fork: &api::Fork) -> ForkRequest {
    let api::Fork { from, set, input, by_key, strict, id, tags, forget_answers, dry_run: _ } = fork;
    let mut request = kitaru.fork(original);
    if let Some(from) = from {
        request = request.from(from);
    }
    request = set.iter().fold(request, |request, (record, value)| request.set(record, value));
    if let Some(input) = input {
        request = request.input(input);
    }
    if *by_key {
        request = request.by_key();
    }
    if *strict {
        request = request.strict();
    }
    if let Some(id) = id {
        request = request.id(id);
    }
    request = tags.iter().fold(request, ForkRequest::tag);
    if *forget_answers { request.forget_answers() } else { request }
}

fn forked(plan: &ForkPlan, fork: &ExecutionRef, begun: bool) -> api::Forked {
    let effects = |effects: &[kitaru_core::ForkEffect]| {
        let effects = effects.iter().map(|effect| api::ForkEffect {
            name: effect.name().to_owned(),
            checkpoint: effect.checkpoint().to_owned(),
            number: effect.number(),
            child: effect.is_child(),
        });
        effects.collect()
    };
    api::Forked {
        flow: fork.flow().to_owned(),
        id: fork.id().to_owned(),
        original: reference(plan.original()),
        begun,
        taken_over: plan.taken_over(),
        answers: plan.answers(),
        runs_again: effects(plan.runs_again()),
        may_run_again: effects(plan.may_run_again()),
    }
}

/// Two executions, compared.
pub(super) fn compared(first: &Execution, second: &Execution) -> api::Diff {
    let diff = first.diff(second);
    api::Diff {
        first: reference(&first.reference()),
        second: reference(&second.reference()),
        same_input: diff.has_same_input(),
        same_result: diff.has_same_result(),
        records: diff.records().iter().map(record).collect(),
    }
}

fn record(diff: &RecordDiff<'_>) -> api::RecordDiff {
    let arguments = diff.arguments().into_iter().map(|(name, first, second)| api::ArgumentDiff {
        name: name.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
    });
    api::RecordDiff {
        name: diff.name().to_owned(),
        state: diff.state().to_string(),
        arguments: arguments.collect(),
        other_outcome: diff.has_other_outcome(),
        first: diff.first().map(side),
        second: diff.second().map(side),
    }
}

fn side(record: &Record) -> api::DiffSide {
    let usage = record.metadata()[USAGE].take();
    api::DiffSide {
        number: record.number(),
        status: record.status().to_string(),
        taken_over: record.attempt() == 0,
        duration_us: us(record.duration()),
        preview: record.preview().to_owned(),
        usage: (!usage.is_null()).then_some(usage),
    }
}
