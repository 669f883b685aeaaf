//! Why a call in a flow cannot go on. Owns the words of those errors; must not know when they are due.

use crate::call::meta::Spec;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::journal::{Arg, shown_checkpoint};
use crate::machine::Refused;

/// Which arguments differ, each by its previews.
pub(super) fn differences(before: &[Arg], now: &[Arg]) -> Vec<String> {
    let changed = now.iter().filter_map(|arg| match before.iter().find(|known| known.name == arg.name) {
        Some(known) if known.digest == arg.digest => None,
        Some(known) => Some(format!("`{}` was {} and is {}", arg.name, known.preview, arg.preview)),
        None => Some(format!("`{}` is new: {}", arg.name, arg.preview)),
    });
    let gone = before
        .iter()
        .filter(|known| now.iter().all(|arg| arg.name != known.name))
        .map(|known| format!("`{}` is gone: it was {}", known.name, known.preview));
    changed.chain(gone).collect()
}

pub(super) fn refuse(refused: Refused, spec: &Spec, context: &Context) -> Error {
    let execution = &context.attempt.execution;
    match refused {
        Refused::Clash(other) => Error::new(
            Kind::Misuse,
            format!(
                "two checkpoints go by the name `{}` in execution {execution}: {} and {}:{}; give one of them another \
                 with #[checkpoint(name = \"…\")]",
                shown_checkpoint(spec.name()),
                spec.location(),
                other.file,
                other.line,
            ),
        ),
        Refused::TooMany => Error::new(
            Kind::TooLarge,
            format!(
                "execution {execution} has made {} calls of checkpoint `{}`, which is the bound; split the work over \
                 several executions",
                crate::machine::MAX_CALLS,
                shown_checkpoint(spec.name())
            ),
        ),
    }
}

pub(super) fn astray(name: &str) -> Error {
    let name = shown_checkpoint(name);
    Error::new(
        Kind::Misuse,
        format!(
            "the call of checkpoint `{name}` was polled outside the flow that made it; await it in that flow's own \
             code, or carry the flow into another branch with kitaru::spawn"
        ),
    )
}

pub(super) fn interrupted(name: &str, context: &Context) -> Error {
    Error::new(
        Kind::Interrupted,
        format!(
            "checkpoint `{name}` of execution {} is at_most_once and was begun by an earlier attempt whose process died \
             before the outcome was recorded; it may or may not have happened, and is not run again",
            context.attempt.execution
        ),
    )
}

pub(super) fn retried_at_most_once(name: &str) -> Error {
    Error::new(
        Kind::Misuse,
        format!("checkpoint `{name}` is at_most_once and was called with retries; call it without. Nothing has run"),
    )
}

pub(super) fn unreadable(name: &str, context: &Context, why: &crate::value::DecodeError) -> Error {
    let attempt = &context.attempt;
    Error::new(
        Kind::Stuck,
        format!(
            "the record `{name}` of execution {}, generation {}, cannot be read back as what its checkpoint returns \
             now: {why}; nothing is lost. Run the code that recorded it, give the changed checkpoint a new \
             #[checkpoint(version = \"…\")], keep such values with codec = \"json\", or begin anew with .fresh()",
            attempt.execution, attempt.generation
        ),
    )
}
