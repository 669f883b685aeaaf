//! Why a call in a flow cannot continue. Owns the words of those errors; must not know when they occur.

use crate::call::meta::Spec;
use crate::context::Context;
use crate::error::{Error, Kind, cannot};
use crate::journal::{Arg, shown_checkpoint};
use crate::machine::Refused;
use crate::shown::short;

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
        Refused::Clash(other) => {
            let checkpoint = short(shown_checkpoint(spec.name()));
            let (first, second) = (spec.location(), format_args!("{}:{}", other.file, other.line));
            cannot!(
                Kind::Misuse,
                "call checkpoint `{checkpoint}` in execution {execution}",
                "{first} and {second} have the same name",
                "rename one with name = \"…\""
            )
        }
        Refused::TooMany => {
            let (checkpoint, most) = (short(shown_checkpoint(spec.name())), crate::machine::MAX_CALLS);
            cannot!(
                Kind::TooLarge,
                "call checkpoint `{checkpoint}` in execution {execution}",
                "it has made {most} calls of it",
                "split the work over executions"
            )
        }
    }
}

pub(super) fn astray(name: &str) -> Error {
    let name = short(shown_checkpoint(name));
    cannot!(
        Kind::Misuse,
        "await the call of checkpoint `{name}`",
        "another flow made it",
        "await it in that flow, or use kitaru::spawn"
    )
}

pub(super) fn interrupted(name: &str, context: &Context) -> Error {
    let (name, execution) = (short(name), &context.attempt.execution);
    cannot!(
        Kind::Interrupted,
        "repeat at_most_once checkpoint `{name}` of execution {execution}",
        "it may have run",
        "find out, then use Kitaru::resume(…).forget(\"{name}\")"
    )
}

pub(super) fn retried_at_most_once(name: &str) -> Error {
    let name = short(name);
    cannot!(Kind::Misuse, "call checkpoint `{name}` with retries", "it is at_most_once", "call it without retries")
}

pub(super) fn unreadable(name: &str, context: &Context, why: &crate::value::DecodeError) -> Error {
    let attempt = &context.attempt;
    let (name, execution) = (short(name), &attempt.execution);
    cannot!(
        Kind::Stuck,
        "read record `{name}` of execution {execution}",
        "{why}",
        "restore its type and call Kitaru::resume, or set a new version and codec = \"json\""
    )
}
