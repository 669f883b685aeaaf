//! Why a call in a flow cannot continue. Owns the words of those errors; must not know when they occur.

use crate::call::meta::Spec;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::journal::{Arg, shown_checkpoint};
use crate::machine::Refused;

/// Which arguments differ, each with its previews.
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
                "cannot call checkpoint `{}` in execution {execution}: {} and {}:{} have the same name; rename one \
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
            "cannot await the call of checkpoint `{name}`: another flow made it; await it in that flow, or spawn with \
             kitaru::spawn"
        ),
    )
}

pub(super) fn interrupted(name: &str, context: &Context) -> Error {
    Error::new(
        Kind::Interrupted,
        format!(
            "cannot run checkpoint `{name}` of execution {} again: it is at_most_once, and may have run before its \
             process died",
            context.attempt.execution
        ),
    )
}

pub(super) fn retried_at_most_once(name: &str) -> Error {
    Error::new(
        Kind::Misuse,
        format!(
            "cannot call checkpoint `{name}` with retries: it is at_most_once; call it without retries. Nothing \
                 has run"
        ),
    )
}

pub(super) fn unreadable(name: &str, context: &Context, why: &crate::value::DecodeError) -> Error {
    let attempt = &context.attempt;
    Error::new(
        Kind::Stuck,
        format!(
            "cannot read the record `{name}` of execution {}, generation {}: {why}; run the code that recorded it, \
             set a new version and codec = \"json\", or start over with .fresh()",
            attempt.execution, attempt.generation
        ),
    )
}
