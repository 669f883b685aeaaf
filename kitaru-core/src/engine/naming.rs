//! Which record a person means by a visible name. Must not know what the record is for.

use crate::id::Seq;
use crate::journal::{CallFrame, shown_checkpoint};
use crate::machine::{Journal, RecordIx};
use crate::shown::short;
use crate::value::Key;

/// How many names a refusal shows.
const MOST: usize = 5;

/// Why no record is meant by a name.
pub(super) enum Misnomer {
    /// There are none.
    Empty,
    /// No record has it. These are the last names, for a message.
    Unknown { names: String },
    /// Two calls have it: these numbers of records, and these checkpoints, for a message.
    Shared { first: u64, of_first: String, second: u64, of_second: String },
}

/// The last record of the call of this visible name, of the records before one. Two calls have one name only in a journal of an earlier
/// version.
pub(super) fn named(journal: &Journal, before: RecordIx, name: &str) -> Result<RecordIx, Misnomer> {
    let call = |at: &RecordIx| journal.call(*at).filter(|call| call.name() == name);
    let records = || journal.indices().filter(|at| *at < before);
    let identity = |call: CallFrame<'_>| (call.key, call.occurrence);
    let Some(at) = records().rev().find(|at| call(at).is_some()) else {
        let names = names(journal, before);
        return Err(if names.is_empty() { Misnomer::Empty } else { Misnomer::Unknown { names } });
    };
    let last: Option<(Key, u32)> = call(&at).map(identity);
    let mut others = records().filter_map(|at| Some((at, call(&at)?)));
    match others.find(|(_, call)| Some(identity(*call)) != last) {
        None => Ok(at),
        Some((other, call)) => {
            let (Seq(first), Seq(second)) = (journal.seq(other), journal.seq(at));
            let shown = |call: CallFrame<'_>| shown_checkpoint(call.checkpoint).to_owned();
            let of_second = journal.call(at).map(shown).unwrap_or_default();
            Err(Misnomer::Shared { first, of_first: shown(call), second, of_second })
        }
    }
}

/// The last of the names that records have.
fn names(journal: &Journal, before: RecordIx) -> String {
    let mut names: Vec<String> = Vec::new();
    for at in journal.indices().rev().filter(|at| *at < before) {
        let Some(name) = journal.call(at).map(|call| format!("`{}`", short(&call.name()))) else { continue };
        if names.contains(&name) {
            continue;
        }
        if names.len() == MOST {
            names.push("…".to_owned());
            break;
        }
        names.push(name);
    }
    names.reverse();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Frame;

    fn journal(calls: &[(&'static str, u32, u8)]) -> Journal {
        let mut journal = Journal::default();
        for (checkpoint, number, key) in calls {
            let frame = Frame::Intent(CallFrame {
                key: Key([*key; 16]),
                occurrence: 0,
                place: 0,
                number: *number,
                attempt: 1,
                source: 0,
                checkpoint,
                label: "",
                args: &[],
            });
            journal.push(journal.next(), &frame.write());
        }
        journal
    }

    fn find(journal: &Journal, name: &str) -> Result<RecordIx, Misnomer> {
        named(journal, journal.behind(journal.next()), name)
    }

    #[test]
    fn name_that_two_calls_share_is_that_of_none_and_both_are_shown() {
        // As an earlier version named them.
        let shared = journal(&[("a", 2, 1), ("a_2", 1, 2), ("b", 1, 3)]);
        let Err(Misnomer::Shared { first, of_first, second, of_second }) = find(&shared, "a_2") else { panic!() };
        assert_eq!((first, &*of_first, second, &*of_second), (1, "a", 2, "a_2"));
        assert!(find(&shared, "b").is_ok_and(|at| shared.seq(at) == Seq(3)));
        // Two records of one call are the later one.
        let twice = journal(&[("a", 1, 1), ("b", 1, 2), ("a", 1, 1)]);
        assert!(find(&twice, "a").is_ok_and(|at| twice.seq(at) == Seq(3)));
    }

    #[test]
    fn unknown_name_shows_the_last_names_that_there_are() {
        assert!(matches!(find(&Journal::default(), "a"), Err(Misnomer::Empty)));
        let names = ["a", "b", "c", "d", "e", "f", "f"];
        let calls: Vec<_> = (0..).zip(names).map(|(key, name)| (name, 1, key / 6 * 5 + key)).collect();
        let Err(Misnomer::Unknown { names }) = find(&journal(&calls[..6]), "x") else { panic!() };
        assert_eq!(names, "…, `b`, `c`, `d`, `e`, `f`");
    }
}
