//! The differences between today's code and a history, shown like a compiler's error. Owns the words.

use std::fmt;

use crate::error::Error;
use crate::journal::{Arg, shown_checkpoint};
use crate::testkit::script::calls::{MadeCall, RecordedCall};

/// The differences between today's code and a history. Its `Display` is for people.
#[derive(Clone)]
pub struct Mismatch {
    flow: String,
    found: Counterpart,
}

#[derive(Clone)]
enum Counterpart {
    /// The replay was not possible.
    Nothing(Error),
    Differences(Vec<Difference>),
}

#[derive(Clone)]
pub(super) enum Difference {
    Otherwise { recorded: String, record: String, asked: MadeCall, differing: Vec<String> },
    New(MadeCall),
    Gone { record: String, recorded: String },
    End { recorded: String, came: String },
}

impl Difference {
    pub(super) fn otherwise(record: &RecordedCall, asked: MadeCall) -> Self {
        let was = |arg: &Arg| record.args.iter().find(|known| known.name == arg.name).cloned();
        let mut differing: Vec<String> = asked
            .args
            .iter()
            .filter_map(|arg| match was(arg) {
                Some(before) if before.digest == arg.digest => None,
                Some(before) => Some(format!("argument `{}` was {} and is {}", arg.name, before.preview, arg.preview)),
                None => Some(format!("argument `{}` is new: {}", arg.name, arg.preview)),
            })
            .collect();
        let is_gone = |known: &&Arg| asked.args.iter().all(|arg| arg.name != known.name);
        let gone = record.args.iter().filter(is_gone);
        differing.extend(gone.map(|arg| format!("argument `{}` is gone: it was {}", arg.name, arg.preview)));
        if differing.is_empty() {
            differing.push("the checkpoint has another `version`, or was called more often before".to_owned());
        }
        let recorded = called(&record.checkpoint, &record.args);
        Difference::Otherwise { recorded, record: record.name.clone(), asked, differing }
    }

    pub(super) fn gone(record: &RecordedCall) -> Self {
        Difference::Gone { record: record.name.clone(), recorded: called(&record.checkpoint, &record.args) }
    }
}

impl Mismatch {
    pub(super) fn new(flow: &str, differences: Vec<Difference>) -> Self {
        Mismatch { flow: flow.to_owned(), found: Counterpart::Differences(differences) }
    }

    pub(in crate::testkit) fn no_replay(error: Error) -> Self {
        Mismatch { flow: String::new(), found: Counterpart::Nothing(error) }
    }
}

fn called(checkpoint: &str, args: &[Arg]) -> String {
    let args: Vec<String> = args.iter().map(|arg| format!("{} = {}", arg.name, arg.preview)).collect();
    format!("{}({})", shown_checkpoint(checkpoint), args.join(", "))
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Counterpart::Nothing(error) => write!(f, "error: the history cannot be replayed: {error:#}"),
            Counterpart::Differences(differences) => {
                differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))?;
                let count = differences.len();
                let what = if count == 1 { "difference" } else { "differences" };
                write!(f, "error: flow `{}` differs from its history: {count} {what}", self.flow)
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Otherwise { recorded, record, asked, differing } => {
                writeln!(f, "error: checkpoint `{}` is not called as recorded", shown_checkpoint(&asked.checkpoint))?;
                writeln!(f, "  --> {}", asked.location)?;
                writeln!(f, "   |")?;
                writeln!(f, "   | recorded: {recorded}  (record `{record}`)")?;
                writeln!(f, "   |    asked: {}", called(&asked.checkpoint, &asked.args))?;
                writeln!(f, "   |")?;
                differing.iter().try_for_each(|what| writeln!(f, "   = {what}"))?;
                writeln!(
                    f,
                    "   = help: unfinished executions run it again; keep them on the old path with \
                     `if kitaru::patched(\"…\")`"
                )
            }
            Difference::New(asked) => {
                writeln!(
                    f,
                    "error: checkpoint `{}` has no record as `{}`",
                    shown_checkpoint(&asked.checkpoint),
                    asked.name
                )?;
                writeln!(f, "  --> {}", asked.location)?;
                writeln!(f, "   |")?;
                writeln!(f, "   |    asked: {}", called(&asked.checkpoint, &asked.args))?;
                writeln!(f, "   |")?;
                writeln!(
                    f,
                    "   = help: unfinished executions run it when they reach it; to prevent that, call it \
                     under `if kitaru::patched(\"…\")`"
                )
            }
            Difference::Gone { record, recorded } => {
                writeln!(f, "error: no call asks for the record `{record}` any more")?;
                writeln!(f, "   |")?;
                writeln!(f, "   | recorded: {recorded}")?;
                writeln!(f, "   |")?;
                writeln!(f, "   = help: if its call was removed on purpose, export the history again")
            }
            Difference::End { recorded, came } => {
                writeln!(f, "error: the flow has another result")?;
                writeln!(f, "   |")?;
                writeln!(f, "   | recorded: {recorded}")?;
                writeln!(f, "   |      now: {came}")?;
                writeln!(f, "   |")
            }
        }
    }
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Seq;
    use crate::value::Key;

    fn args(given: &[(&str, &str)]) -> Vec<Arg> {
        let arg = |&(name, value): &(&str, &str)| Arg {
            name: name.to_owned(),
            digest: value.bytes().map(u64::from).sum(),
            preview: value.to_owned(),
        };
        given.iter().map(arg).collect()
    }

    fn between(before: &[(&str, &str)], now: &[(&str, &str)]) -> String {
        let record = RecordedCall {
            seq: Seq(1),
            name: "pay".into(),
            checkpoint: "pay".into(),
            place: 0,
            identity: Key([0; 16]),
            args: args(before),
        };
        let asked = MadeCall {
            name: "pay".into(),
            checkpoint: "pay".into(),
            location: String::new(),
            place: 0,
            args: args(now),
        };
        Difference::otherwise(&record, asked).to_string()
    }

    #[test]
    fn argument_that_changed_is_new_or_is_gone_is_named_and_an_equal_one_is_not() {
        let said =
            between(&[("to", "Ada"), ("euros", "7"), ("old", "1")], &[("to", "Ada"), ("euros", "8"), ("new", "2")]);
        assert!(said.contains("argument `euros` was 7 and is 8"), "{said}");
        assert!(said.contains("argument `new` is new: 2"), "{said}");
        assert!(said.contains("argument `old` is gone: it was 1"), "{said}");
        assert!(!said.contains("argument `to`") && !said.contains("another `version`"), "{said}");
        let same = between(&[("to", "Ada")], &[("to", "Ada")]);
        assert!(same.contains("the checkpoint has another `version`"), "{same}");
    }
}
