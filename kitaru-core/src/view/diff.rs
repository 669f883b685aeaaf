//! Two executions, record by record. Owns which records are compared and what makes them differ; must not know who looks.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Serialize, Serializer};

use crate::clock::micros;
use crate::journal::Payload;
use crate::view::execution::Execution;
use crate::view::record::{Record, RecordStatus};
use crate::view::reference::ExecutionRef;
use crate::view::showing::ShownValue;

impl Execution {
    /// Compares this execution with another one, such as its [fork](crate::Kitaru::fork): the records of each visible name, in the
    /// order of this execution. Of a name with several records the last one counts, and no forgotten one.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # use kitaru::{Error, dynamic::{checkpoint, flow}};
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # for (id, notes) in [("monday", "calm"), ("tuesday", "storm")] {
    /// #     let report = flow("report").run(move || async move {
    /// #         checkpoint("research").run(move || async move { Ok::<_, Error>(notes.to_owned()) }).await
    /// #     });
    /// #     report.id(id).on(&kitaru).await?;
    /// # }
    /// let monday = kitaru.execution(("report", "monday")).await?.expect("it ran");
    /// let tuesday = kitaru.execution(("report", "tuesday")).await?.expect("it ran");
    /// for record in monday.diff(&tuesday).records() {
    ///     println!("{} is {}", record.name(), record.state());
    /// }
    /// # assert_eq!(monday.diff(&tuesday).records()[0].state(), kitaru::DiffState::Changed);
    /// # Ok(()) }
    /// ```
    pub fn diff<'a>(&'a self, other: &'a Execution) -> Diff<'a> {
        let (first, second) = (latest(self), latest(other));
        let in_second: HashMap<&str, &Record> = second.iter().map(|record| (record.name(), *record)).collect();
        let in_first: HashSet<&str> = first.iter().map(|record| record.name()).collect();
        // Records of the other one alone, behind the record that they follow there.
        let mut added: HashMap<Option<&'a str>, Vec<&'a Record>> = HashMap::new();
        let mut behind = None;
        for record in &second {
            if in_first.contains(record.name()) {
                behind = Some(record.name());
            } else {
                added.entry(behind).or_default().push(record);
            }
        }
        let mut records = Vec::with_capacity(first.len());
        let mut add = |behind: Option<&'a str>, records: &mut Vec<RecordDiff<'a>>| {
            let added = added.remove(&behind).unwrap_or_default();
            records.extend(added.into_iter().map(|record| RecordDiff { first: None, second: Some(record) }));
        };
        add(None, &mut records);
        for record in first {
            let second = in_second.get(record.name()).copied();
            records.push(RecordDiff { first: Some(record), second });
            add(Some(record.name()), &mut records);
        }
        Diff { first: self, second: other, records }
    }
}

/// The last record of each name, in the order of the last ones.
fn latest(execution: &Execution) -> Vec<&Record> {
    let mut seen = HashSet::new();
    let counting = execution.records().iter().rev().filter(|record| !record.is_forgotten());
    let mut latest: Vec<&Record> = counting.filter(|record| seen.insert(record.name())).collect();
    latest.reverse();
    latest
}

/// What differs between two executions. Made by [`Execution::diff`].
#[derive(Debug)]
pub struct Diff<'a> {
    first: &'a Execution,
    second: &'a Execution,
    records: Vec<RecordDiff<'a>>,
}

impl<'a> Diff<'a> {
    /// The records, in the order of the first execution.
    pub fn records(&self) -> &[RecordDiff<'a>] {
        &self.records
    }

    /// Whether the flow got the same input.
    pub fn has_same_input(&self) -> bool {
        self.first.input_value() == self.second.input_value()
    }

    /// Whether both have the same status and the same result.
    pub fn has_same_result(&self) -> bool {
        let of = |execution: &Execution| (execution.status(), execution.value(), execution.error().map(str::to_owned));
        of(self.first) == of(self.second)
    }
}

/// A record of one name in two executions.
#[derive(Clone, Copy, Debug)]
pub struct RecordDiff<'a> {
    first: Option<&'a Record>,
    second: Option<&'a Record>,
}

/// How the records of one name differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiffState {
    /// Both have the same arguments and the same outcome.
    Equal,
    /// Their arguments or their outcomes differ.
    Changed,
    /// Only the first execution has one.
    Missing,
    /// Only the second execution has one.
    Added,
}

impl fmt::Display for DiffState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiffState::Equal => "equal",
            DiffState::Changed => "changed",
            DiffState::Missing => "missing",
            DiffState::Added => "added",
        })
    }
}

impl Serialize for DiffState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'a> RecordDiff<'a> {
    /// The visible name.
    pub fn name(&self) -> &'a str {
        self.first.or(self.second).map_or("", |record| record.name())
    }

    /// The record of the first execution.
    pub fn first(&self) -> Option<&'a Record> {
        self.first
    }

    /// The record of the second execution.
    pub fn second(&self) -> Option<&'a Record> {
        self.second
    }

    /// How they differ.
    pub fn state(&self) -> DiffState {
        match (self.first, self.second) {
            (Some(first), Some(second)) if first.is_made_as(second) && first.has_outcome_of(second) => DiffState::Equal,
            (Some(_), Some(_)) => DiffState::Changed,
            (_, None) => DiffState::Missing,
            (None, Some(_)) => DiffState::Added,
        }
    }

    /// The arguments that differ: the name, and a preview in each execution, empty where a call has no such argument.
    pub fn arguments(&self) -> Vec<(&'a str, &'a str, &'a str)> {
        let (Some(first), Some(second)) = (self.first, self.second) else { return Vec::new() };
        let find = |record: &'a Record, name: &str| record.args.iter().find(|arg| arg.name == name);
        let changed = first.args.iter().filter_map(|arg| match find(second, &arg.name) {
            Some(other) if other.digest == arg.digest => None,
            Some(other) => Some((&*arg.name, &*arg.preview, &*other.preview)),
            None => Some((&*arg.name, &*arg.preview, "")),
        });
        let new = second.args.iter().filter(|arg| find(first, &arg.name).is_none());
        changed.chain(new.map(|arg| (&*arg.name, "", &*arg.preview))).collect()
    }

    /// Whether both have an outcome, and these differ.
    pub fn has_other_outcome(&self) -> bool {
        matches!((self.first, self.second), (Some(first), Some(second)) if !first.has_outcome_of(second))
    }
}

impl Record {
    /// Whether both are of one checkpoint with equal arguments.
    fn is_made_as(&self, other: &Record) -> bool {
        let equal =
            || self.args.iter().zip(&other.args).all(|(one, two)| one.name == two.name && one.digest == two.digest);
        self.checkpoint == other.checkpoint && self.args.len() == other.args.len() && equal()
    }

    /// Whether both have the same outcome. The same value may be recorded in two ways.
    fn has_outcome_of(&self, other: &Record) -> bool {
        if self.status != other.status {
            return false;
        }
        if !matches!(self.status, RecordStatus::Completed | RecordStatus::Failed) {
            return true;
        }
        let values = || (self.value(), other.value());
        self.has_bytes_of(other)
            || matches!(values(), (Some(ShownValue::Json(one)), Some(ShownValue::Json(two))) if one == two)
    }

    /// Whether both outcomes are the same bytes. Those of a sensitive checkpoint are compared and not shown.
    fn has_bytes_of(&self, other: &Record) -> bool {
        matches!((self.payload(), other.payload()), (Some(one), Some(two)) if one == two)
    }

    fn payload(&self) -> Option<Payload<'_>> {
        let journal = self.kept.as_ref()?.journal();
        journal.payload(journal.find(self.seq)?).ok()
    }
}

impl Serialize for RecordDiff<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Side<'a> {
            number: u64,
            status: RecordStatus,
            attempt: u32,
            duration_us: u64,
            preview: &'a str,
            value: Option<ShownValue>,
            metadata: serde_json::Value,
        }
        #[derive(Serialize)]
        struct Form<'a> {
            name: &'a str,
            state: DiffState,
            arguments: Vec<(&'a str, &'a str, &'a str)>,
            first: Option<Side<'a>>,
            second: Option<Side<'a>>,
        }
        fn shown(record: &Record) -> Side<'_> {
            Side {
                number: record.number(),
                status: record.status(),
                attempt: record.attempt(),
                duration_us: micros(record.duration()),
                preview: record.preview(),
                value: record.value(),
                metadata: record.metadata(),
            }
        }
        let form = Form {
            name: self.name(),
            state: self.state(),
            arguments: self.arguments(),
            first: self.first.map(shown),
            second: self.second.map(shown),
        };
        form.serialize(serializer)
    }
}

impl Serialize for Diff<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            first: ExecutionRef,
            second: ExecutionRef,
            same_input: bool,
            same_result: bool,
            records: &'a [RecordDiff<'a>],
        }
        let form = Form {
            first: self.first.reference(),
            second: self.second.reference(),
            same_input: self.has_same_input(),
            same_result: self.has_same_result(),
            records: &self.records,
        };
        form.serialize(serializer)
    }
}
