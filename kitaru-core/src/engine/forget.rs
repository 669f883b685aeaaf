//! Which records a resumed execution forgets. Must not know how an attempt is driven.

use crate::error::{Error, Kind};
use crate::id::ExecutionId;
use crate::journal::{Forgotten, Status, shown_checkpoint};
use crate::machine::{Journal, RecordIx};
use crate::request::Forget;

pub(crate) fn cannot_resume(execution: &ExecutionId, status: Option<Status>) -> Error {
    let message = match status {
        Some(Status::Completed | Status::Cancelled) => {
            format!("cannot resume execution {execution}: it has ended; begin it again with .fresh()")
        }
        Some(status) => format!(
            "cannot resume execution {execution}: it is {status}, and resumes by itself; Execution::waits and \
             Execution::pauses show what it waits for"
        ),
        None => format!("cannot resume: there is no execution {execution}; call the flow to begin it"),
    };
    Error::new(Kind::Misuse, message)
}

/// Whether all work of the generation was undone, given that its flow stopped at `unwound`. A failed undo step has an end of
/// its own.
pub(crate) fn is_undone(journal: &Journal, unwound: RecordIx) -> bool {
    let ended = journal.indices().rev().find_map(|at| journal.end(at));
    let (Some(ended), Some(unwound)) = (ended, journal.unwind(unwound)) else { return false };
    ended.status == unwound.status && ended.payload == unwound.payload
}

pub(crate) fn undone(execution: &ExecutionId) -> Error {
    Error::new(
        Kind::Misuse,
        format!(
            "cannot resume execution {execution}: its work was undone when it failed, so nothing is left to continue; \
             begin it again with .fresh()"
        ),
    )
}

/// Finds the records to forget.
pub(crate) fn find(journal: &Journal, forget: &[Forget], execution: &ExecutionId) -> Result<Vec<Forgotten>, Error> {
    let refuse = |why: String| {
        Err(Error::new(Kind::Misuse, format!("cannot resume execution {execution}: {why} (nothing was changed)")))
    };
    let mut found = Vec::with_capacity(forget.len());
    for wanted in forget {
        let (Forget::Error(name) | Forget::After(name)) = wanted;
        let named = |at: &RecordIx| journal.call(*at).filter(|call| call.name() == *name);
        // The latest record stands for the call.
        let Some(at) = journal.indices().rev().find(|at| named(at).is_some()) else {
            return refuse(format!("there is no record `{name}` to forget; the records are {}", names(journal)));
        };
        let last = named(&at).map(|call| (call.key, call.occurrence));
        let mut calls = journal.indices().filter_map(|at| Some((at, named(&at)?)));
        if let Some((other, call)) = calls.find(|(_, call)| Some((call.key, call.occurrence)) != last) {
            return refuse(format!(
                "two calls have the name `{name}`, which an earlier version gave twice: record {} of `{}` and record {} of \
                 `{}`; name a record before both with .after(…), or begin again with .fresh()",
                journal.seq(other).0,
                shown_checkpoint(call.checkpoint),
                journal.seq(at).0,
                journal.call(at).map_or_else(String::new, |call| shown_checkpoint(call.checkpoint).to_owned()),
            ));
        }
        found.push(match wanted {
            Forget::After(_) => Forgotten::After(journal.seq(at)),
            Forget::Error(_) if journal.outcome(at).is_some_and(|outcome| outcome.payload.is_error()) => {
                Forgotten::This(journal.seq(at))
            }
            Forget::Error(_) => {
                return refuse(format!(
                    "the record `{name}` has no error; .after(…) of the record before it forgets values too"
                ));
            }
        });
    }
    Ok(found)
}

/// The last of the names.
fn names(journal: &Journal) -> String {
    const MOST: usize = 20;
    let names = journal.indices().rev().filter_map(|at| journal.outcome(at)).map(|outcome| outcome.call.name());
    let mut names: Vec<String> = names.take(MOST + 1).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        names[MOST] = "…".to_owned();
    }
    names.reverse();
    names.join(", ")
}
