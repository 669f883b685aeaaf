//! Which records a resumed execution forgets. Must not know how an attempt is driven.

use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{Forgotten, Status, shown_checkpoint};
use crate::machine::{Journal, RecordIx};
use crate::request::Forget;
use crate::shown::short;

pub(crate) fn cannot_resume(execution: &ExecutionId, status: Option<Status>) -> Error {
    match status {
        Some(status @ (Status::Completed | Status::Cancelled)) => cannot!(
            Kind::Misuse,
            "resume execution {execution}",
            "it has ended and is {status}",
            "call its flow for its result"
        ),
        Some(status) => cannot!(
            Kind::Misuse,
            "resume execution {execution}",
            "it is {status} and resumes by itself",
            "see Execution::waits and Execution::pauses"
        ),
        None => cannot!(
            Kind::Misuse,
            "resume execution {execution}",
            "the store has no execution of this flow and id",
            "look at Kitaru::executions"
        ),
    }
}

/// Whether all work of the generation was undone, given that its flow stopped at `unwound`. A failed undo step has an end of
/// its own.
pub(crate) fn is_undone(journal: &Journal, unwound: RecordIx) -> bool {
    let ended = journal.indices().rev().find_map(|at| journal.end(at));
    let (Some(ended), Some(unwound)) = (ended, journal.unwind(unwound)) else { return false };
    ended.status == unwound.status && ended.payload == unwound.payload
}

pub(crate) fn undone(execution: &ExecutionId) -> Error {
    cannot!(
        Kind::Misuse,
        "resume execution {execution}",
        "its work was undone when it failed",
        "begin it again with .fresh()"
    )
}

/// Finds the records to forget.
pub(crate) fn find(journal: &Journal, forget: &[Forget], execution: &ExecutionId) -> Result<Vec<Forgotten>, Error> {
    let mut found = Vec::with_capacity(forget.len());
    for wanted in forget {
        let (Forget::Error(name) | Forget::After(name)) = wanted;
        let named = |at: &RecordIx| journal.call(*at).filter(|call| call.name() == *name);
        // The latest record stands for the call.
        let Some(at) = journal.indices().rev().find(|at| named(at).is_some()) else {
            let (name, names) = (short(name), names(journal));
            return Err(match &*names {
                "" => cannot!(
                    Kind::Misuse,
                    "resume execution {execution}",
                    "it has no record `{name}`, and no other",
                    "resume it without .forget(…) and .after(…)"
                ),
                names => cannot!(
                    Kind::Misuse,
                    "resume execution {execution}",
                    "it has no record `{name}`",
                    "its records are {names}"
                ),
            });
        };
        let last = named(&at).map(|call| (call.key, call.occurrence));
        let mut calls = journal.indices().filter_map(|at| Some((at, named(&at)?)));
        if let Some((other, call)) = calls.find(|(_, call)| Some((call.key, call.occurrence)) != last) {
            let (first, second) = (journal.seq(other).0, journal.seq(at).0);
            let of_second =
                journal.call(at).map_or_else(String::new, |call| shown_checkpoint(call.checkpoint).to_owned());
            let (name, of_first, of_second) =
                (short(name), short(shown_checkpoint(call.checkpoint)), short(&of_second));
            return Err(cannot!(
                Kind::Misuse,
                "resume execution {execution}",
                "records {first} of `{of_first}` and {second} of `{of_second}` share the name `{name}`",
                "name an earlier one with .after(…)"
            ));
        }
        found.push(match wanted {
            Forget::After(_) => Forgotten::After(journal.seq(at)),
            Forget::Error(_) if journal.outcome(at).is_some_and(|outcome| outcome.payload.is_error()) => {
                Forgotten::This(journal.seq(at))
            }
            Forget::Error(_) => {
                let name = short(name);
                return Err(cannot!(
                    Kind::Misuse,
                    "resume execution {execution}",
                    "the record `{name}` has no error",
                    "forget values with .after(…) of the record before"
                ));
            }
        });
    }
    Ok(found)
}

/// The last of the names.
fn names(journal: &Journal) -> String {
    const MOST: usize = 5;
    let names = journal.indices().rev().filter_map(|at| journal.outcome(at)).map(|outcome| outcome.call.name());
    let mut names: Vec<String> = names.take(MOST + 1).map(|name| format!("`{}`", short(&name))).collect();
    if names.len() > MOST {
        names[MOST] = "…".to_owned();
    }
    names.reverse();
    names.join(", ")
}
