//! What the API sends and takes, version 1. Owns the names of the fields; must not know how a request is carried out.
//!
//! Times are milliseconds since 1970, in fields that end in `_ms`; an absent time is `null`. A later release may add fields to
//! what is sent. What is taken has no unknown fields.

mod bulk;
mod forks;
mod list;
mod reference;
mod stats;
mod upkeep;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use bulk::{CancelMany, ManyDone, NotDone, ResumeMany};
pub use forks::{ArgumentDiff, Diff, DiffQuery, DiffSide, Fork, ForkEffect, ForkLink, Forked, RecordDiff};
pub use list::{ListQuery, Page, Summary, Unreadable};
pub use reference::Reference;
pub use stats::{CommitClass, CommitStats, FlowStats, LastFailure, OldestWait, Stats};
pub use upkeep::{
    Audit, AuditEntry, BackUp, Backup, Checkup, Collected, Delete, ExecutionSize, Finding, FlowSize, Found, Gc,
    StatusCount, TableSize,
};

/// Which records of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsQuery {
    /// Of this generation; the newest unless set.
    pub generation: Option<u32>,
    /// Only records behind this number.
    pub after: Option<u64>,
    /// How many records, 1 to 1,000; 100 unless set.
    pub limit: Option<u32>,
}

/// Which events of the log of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogsQuery {
    /// Only events behind this number.
    pub after: Option<u64>,
    /// Only events of this level, and more severe ones.
    pub level: Option<LogLevel>,
    /// How many events, 1 to 1,000; 1,000 unless set.
    pub limit: Option<u32>,
}

/// What process holds the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// The version of the API: `v1`.
    pub api: String,
    /// The version of the library.
    pub version: String,
    /// The number of the process.
    pub pid: u32,
    /// Whether the API acts, or only shows.
    pub actions: bool,
}

/// A value, as far as it can be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
#[non_exhaustive]
pub enum Shown {
    /// All of it.
    Json {
        /// The value.
        json: Value,
    },
    /// The beginning of it.
    Preview {
        /// The beginning.
        preview: String,
        /// How long the whole is, encoded.
        bytes: u64,
        /// Why it is not shown.
        reason: String,
    },
    /// Nothing of it.
    Sensitive {
        /// Always `true`.
        sensitive: bool,
    },
}

/// One execution, without its records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Execution {
    /// Its flow.
    pub flow: String,
    /// Its id.
    pub id: String,
    /// Its generation, counted from 1.
    pub generation: u32,
    /// Where it stands.
    pub status: String,
    /// Whether the process that holds the store has the flow.
    pub is_known: bool,
    /// How many attempts there were.
    pub attempts: u32,
    /// Its tags.
    pub tags: Vec<String>,
    /// The version of the flow that began it; empty if the flow has none.
    pub version: String,
    /// When it was created.
    pub created_ms: u64,
    /// When its status changed last.
    pub updated_ms: u64,
    /// Its input.
    pub input: Shown,
    /// Its result, once it has ended.
    pub value: Option<Shown>,
    /// Why it failed, was cancelled or is stuck.
    pub error: Option<String>,
    /// Whether it was cancelled without its undo.
    pub undo_skipped: bool,
    /// Who did what to it, the oldest first: the newest 100 entries.
    pub audit: Vec<AuditEntry>,
    /// What the flow logged of itself.
    pub metadata: Value,
    /// The execution whose flow began it.
    pub parent: Option<Reference>,
    /// The execution that it was forked from.
    #[serde(default)]
    pub fork: Option<ForkLink>,
    /// The executions that its flow began.
    pub children: Vec<Reference>,
    /// The questions that are open.
    pub waits: Vec<Wait>,
    /// What waits for its next try.
    pub pauses: Vec<Pause>,
    /// How many records there are.
    pub records: u64,
}

/// An open question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Wait {
    /// The flow that asks.
    pub flow: String,
    /// The id of the execution that asks.
    pub id: String,
    /// The name of the wait.
    pub name: String,
    /// The question.
    pub question: String,
    /// The JSON schema of the answer; `null` if any value is one.
    pub schema: Value,
    /// What the flow says with the question.
    pub metadata: Value,
    /// When it is too late to answer.
    pub deadline_ms: Option<u64>,
    /// Why the last answer was refused.
    pub refused: Option<String>,
    /// Since when the execution waits.
    pub since_ms: u64,
}

/// The open questions of a store, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Waits {
    /// The questions.
    pub waits: Vec<Wait>,
    /// Whether there are more executions than were looked at.
    pub more: bool,
}

/// A checkpoint that waits for its next try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pause {
    /// The name of its record.
    pub record: String,
    /// What it waits for, where that has a name.
    pub awaited: Option<String>,
    /// The error of its last try.
    pub error: String,
    /// When it is tried again.
    pub next_try_ms: u64,
}

/// A page of records, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Records {
    /// The records.
    pub records: Vec<Record>,
    /// The number behind which the next page begins; `null` behind the last.
    pub next_after: Option<u64>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Record {
    /// Its number in the journal.
    pub number: u64,
    /// Its name: the checkpoint, numbered if it was called before.
    pub name: String,
    /// The checkpoint.
    pub checkpoint: String,
    /// `completed`, `failed`, `begun` or `waiting`.
    pub status: String,
    /// Whether a failed one is given again when the flow resumes.
    pub settled: bool,
    /// Whether it was forgotten by a resume.
    pub forgotten: bool,
    /// Whether its outcome was taken from another execution.
    pub from_memo: bool,
    /// Whether its values are not shown.
    pub sensitive: bool,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// How many tries it took.
    pub tries: u32,
    /// The last of its failed tries.
    pub failed_tries: Vec<FailedTry>,
    /// Its arguments, as previews.
    pub arguments: Vec<Argument>,
    /// What its body logged.
    pub metadata: Value,
    /// When it began.
    pub started_ms: u64,
    /// How long it took.
    pub duration_us: u64,
    /// A preview of its outcome.
    pub preview: String,
    /// Its outcome.
    pub value: Option<Shown>,
}

/// A try that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailedTry {
    /// The error.
    pub error: String,
    /// How long it took.
    pub duration_us: u64,
    /// The pause behind it.
    pub pause_ms: u64,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// A preview of its value.
    pub preview: String,
}

/// The level of an event, the most severe one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the levels of `tracing`")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// An event that a program has logged in an execution, by `tracing`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogEvent {
    /// Its number: later events have larger ones, also those of a later process. Numbers have gaps.
    pub number: u64,
    /// When it was logged.
    pub time_ms: u64,
    /// Its level.
    pub level: LogLevel,
    /// Its target: the module that logs it, unless it says otherwise.
    pub target: String,
    /// Its message.
    pub message: String,
    /// Its other fields, by name.
    pub fields: Value,
    /// The record whose body has logged it, where that is known.
    pub checkpoint: Option<String>,
    /// The attempt that has logged it, where that is known.
    pub attempt: Option<u64>,
}

/// The events of an execution that the process which holds the store has logged, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Logs {
    /// The events.
    pub events: Vec<LogEvent>,
    /// The number behind which the next page begins; `null` behind the last.
    pub next_after: Option<u64>,
    /// How many older events of the execution are no longer kept.
    pub dropped: u64,
}

/// Answers an open question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The name of the wait.
    pub wait: String,
    /// The answer.
    pub value: Value,
}

/// Sends a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The name of the signal.
    pub signal: String,
    /// Its value.
    pub value: Value,
    /// A signal with a key counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Cancels an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Whether its undo steps are skipped.
    #[serde(default)]
    pub without_undo: bool,
}

/// Resumes an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Failed records to run again, by name.
    #[serde(default)]
    pub forget: Vec<String>,
    /// Everything behind this record runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What was done is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Done {}

/// Why a request was not carried out, as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    /// `about:blank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in two or three words.
    pub title: String,
    /// The status of the response.
    pub status: u16,
    /// What happened, why, and what to do.
    pub detail: String,
    /// The kind of failure, for programs: `not_found`, `conflict`, `misuse`, ….
    pub code: String,
}
