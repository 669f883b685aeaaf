//! Which records a resumed execution forgets. Must not know how an attempt is driven.

use crate::engine::naming::{Misnomer, named};
use crate::error::{Error, Kind, cannot};
use crate::id::ExecutionId;
use crate::journal::{Forgotten, Status};
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
        // The latest record stands for the call.
        let found_at = named(journal, journal.behind(journal.next()), name);
        let at = found_at.map_err(|misnomer| misnamed(execution, name, misnomer))?;
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

fn misnamed(execution: &ExecutionId, name: &str, misnomer: Misnomer) -> Error {
    let name = short(name);
    match misnomer {
        Misnomer::Empty => cannot!(
            Kind::Misuse,
            "resume execution {execution}",
            "it has no record `{name}`, and no other",
            "resume it without .forget(…) and .after(…)"
        ),
        Misnomer::Unknown { names } => cannot!(
            Kind::Misuse,
            "resume execution {execution}",
            "it has no record `{name}`",
            "its records are {names}"
        ),
        Misnomer::Shared { first, of_first, second, of_second } => {
            let (of_first, of_second) = (short(&of_first), short(&of_second));
            cannot!(
                Kind::Misuse,
                "resume execution {execution}",
                "records {first} of `{of_first}` and {second} of `{of_second}` share the name `{name}`",
                "name an earlier one with .after(…)"
            )
        }
    }
}
