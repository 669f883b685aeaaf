//! Forks and differences, as the API sends and takes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reference::Reference;

/// Begins a new execution with records of another one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Fork {
    /// The first record that runs again, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Values in the place of recorded ones, by the names of records.
    pub set: BTreeMap<String, Value>,
    /// Another input: the list of the flow's arguments, or an object with their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Whether all records answer calls with equal arguments, and only other calls run.
    pub by_key: bool,
    /// Whether a checkpoint without a record fails, with `by_key`.
    pub strict: bool,
    /// The id of the fork; the original's with a number unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tags of the fork.
    pub tags: Vec<String>,
    /// Whether people are asked again, and signals of the original do not count.
    pub forget_answers: bool,
    /// Whether nothing begins, and the plan is all that is asked for.
    pub dry_run: bool,
}

/// What a fork takes over, and what it runs again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Forked {
    /// The flow of the fork.
    pub flow: String,
    /// The id of the fork.
    pub id: String,
    /// The execution that is forked.
    pub original: Reference,
    /// Whether it has begun; not in a dry run.
    pub begun: bool,
    /// How many records it takes over.
    pub taken_over: u64,
    /// How many answers and signals it takes over, for waits that it begins.
    pub answers: u64,
    /// Recorded effects that happen again if the flow calls them, with new idempotency keys.
    pub runs_again: Vec<ForkEffect>,
    /// Recorded effects that happen again if the flow calls them with other arguments.
    pub may_run_again: Vec<ForkEffect>,
}

/// A recorded effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForkEffect {
    /// The name of its record.
    pub name: String,
    /// Its checkpoint, or the flow of a child.
    pub checkpoint: String,
    /// The number of its record.
    pub number: u64,
    /// Whether it is a child execution.
    pub child: bool,
}

/// From which execution another one was forked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForkLink {
    /// The execution that was forked.
    pub original: Reference,
    /// Its generation that was forked.
    pub generation: u32,
    /// Whether all records answer calls with equal arguments.
    pub by_key: bool,
    /// Whether a checkpoint without a record fails.
    pub strict: bool,
    /// The first record that ran again, if one was named.
    pub from: Option<String>,
    /// The records whose values were set.
    pub set: Vec<String>,
    /// How many records it took over: the first ones.
    pub taken_over: u64,
}

/// With which execution another one is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffQuery {
    /// The other execution, as `flow/id`.
    pub with: String,
}

/// Two executions, record by record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diff {
    /// The first execution.
    pub first: Reference,
    /// The second execution.
    pub second: Reference,
    /// Whether both have the same input.
    pub same_input: bool,
    /// Whether both have the same status and result.
    pub same_result: bool,
    /// The records, in the order of the first execution.
    pub records: Vec<RecordDiff>,
}

/// The records of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordDiff {
    /// The name.
    pub name: String,
    /// `equal`, `changed`, `missing` from the second one, or `added` by it.
    pub state: String,
    /// The arguments that differ.
    pub arguments: Vec<ArgumentDiff>,
    /// Whether both have an outcome, and these differ.
    pub other_outcome: bool,
    /// The record of the first execution.
    pub first: Option<DiffSide>,
    /// The record of the second execution.
    pub second: Option<DiffSide>,
}

/// An argument that differs; an absent one is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArgumentDiff {
    /// Its name.
    pub name: String,
    /// A preview of it in the first execution.
    pub first: String,
    /// A preview of it in the second execution.
    pub second: String,
}

/// A record that is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiffSide {
    /// Its number in the journal.
    pub number: u64,
    /// `completed`, `failed`, `begun` or `waiting`.
    pub status: String,
    /// Whether it was taken over from another execution.
    pub taken_over: bool,
    /// How long it took.
    pub duration_us: u64,
    /// A preview of its outcome.
    pub preview: String,
    /// What a model used for it, if an agent recorded that: tokens and cost.
    pub usage: Option<Value>,
}
