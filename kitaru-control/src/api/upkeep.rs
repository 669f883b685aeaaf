//! The upkeep of a store: deleting, collecting, looking at all of it, backing it up, and who did what.

use serde::{Deserialize, Serialize};

/// Who did what to an execution, or to a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// When it was done.
    pub at_ms: u64,
    /// What was done: `answered`, `sent`, `cancelled`, `resumed`, `forked`, `deleted`, `collected`.
    pub action: String,
    /// Who did it.
    pub by: String,
    /// The name of the wait or the signal, the forgotten records, or the deleted execution; it may be empty.
    pub about: String,
}

/// Who deleted what, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Audit {
    /// The newest 1,000 entries.
    pub entries: Vec<AuditEntry>,
}

/// Deletes an execution that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delete {}

/// Deletes executions whose retention is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gc {
    /// What was finished this long ago, instead of the store's own retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
    /// Whether it is only counted.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Collected {
    /// How many generations of executions.
    pub generations: u64,
    /// How many bytes their rows have, about.
    pub bytes: u64,
}

/// Writes a backup. Only a Unix socket takes this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BackUp {
    /// The absolute path of the file, which does not exist. The process that holds the store writes it.
    pub file: String,
}

/// A backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Backup {
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What a look at every row of a store has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checkup {
    /// Whether nothing is wrong.
    pub is_well: bool,
    /// The version of the store's format; `null` for a store in memory.
    pub format: Option<u32>,
    /// How large each table is.
    pub tables: Vec<TableSize>,
    /// How many generations have each status.
    pub statuses: Vec<StatusCount>,
    /// How much each flow takes, the largest first.
    pub flows: Vec<FlowSize>,
    /// The ten generations whose records take most, the largest first.
    pub largest: Vec<ExecutionSize>,
    /// What was found, by kind.
    pub found: Vec<Found>,
}

/// How large a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// How many generations have a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatusCount {
    /// The status.
    pub status: String,
    /// How many.
    pub count: u64,
}

/// How much the executions of a flow take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowSize {
    /// The flow.
    pub flow: String,
    /// How many generations it has.
    pub generations: u64,
    /// How many records they have.
    pub records: u64,
    /// How many bytes their rows have.
    pub bytes: u64,
}

/// How much the records of one generation take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExecutionSize {
    /// Its flow.
    pub flow: String,
    /// Its id.
    pub id: String,
    /// Its generation.
    pub generation: u32,
    /// How many records it has.
    pub records: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// The findings of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Found {
    /// `damaged`, `malformed`, `missing`, `stuck`, `orphaned`, `interrupted` or `diverged`.
    pub kind: String,
    /// Whether a person has to do something.
    pub is_problem: bool,
    /// What to do.
    pub advice: String,
    /// How many there are.
    pub count: u64,
    /// The first 20.
    pub findings: Vec<Finding>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// Where: a row, a record or an execution.
    pub place: String,
    /// What is wrong there; it may be empty.
    pub detail: String,
}
