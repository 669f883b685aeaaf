//! The numbers of a store and its process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a store and the process that holds it are doing, in numbers. Counts are of generations, as in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stats {
    /// How many executions have which status.
    pub executions: BTreeMap<String, u64>,
    /// The flows, in the order of their names.
    pub flows: Vec<FlowStats>,
    /// Executions that are in no count: their rows cannot be read, or the indexes of an older store are being made.
    pub uncounted: u64,
    /// When the executions were counted.
    pub counted_ms: u64,
    /// The open question that is the oldest, sought among the 100 executions that have waited the longest.
    pub oldest_wait: Option<OldestWait>,
    /// Parked executions whose time has come, and that have not resumed yet.
    pub due: u64,
    /// When the process opened the store. The next counts begin there.
    pub opened_ms: u64,
    /// Checkpoints that ran.
    pub checkpoints_run: u64,
    /// Calls of checkpoints that their records answered.
    pub checkpoints_replayed: u64,
    /// Tries that failed and were followed by another one.
    pub retries: u64,
    /// The commits.
    pub commits: CommitStats,
    /// Writes that wait for a commit.
    pub queued_writes: u64,
    /// The bytes of writes that wait for a commit or are being committed.
    pub queued_bytes: u64,
    /// The folder of the store; `null` in memory.
    pub folder: Option<String>,
    /// The version of its format; `null` in memory.
    pub format: Option<u32>,
    /// The bytes of its files.
    pub bytes: u64,
}

/// An execution that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OldestWait {
    /// Its flow.
    pub flow: String,
    /// Its id.
    pub id: String,
    /// Since when it waits.
    pub since_ms: u64,
}

/// The commits of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CommitStats {
    /// How many there were, those that failed included.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How long all of them took together.
    pub took_us: u64,
    /// How many took at most how long.
    pub within: Vec<CommitClass>,
}

/// The commits that took at most some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CommitClass {
    /// The time.
    pub us: u64,
    /// How many took no longer.
    pub commits: u64,
}

/// A flow. Rates and durations are those of its newest executions: 10,000 of all flows together, an equal share of each flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowStats {
    /// Its name.
    pub flow: String,
    /// Whether the process that holds the store has it.
    pub is_known: bool,
    /// How many of its executions have which status.
    pub executions: BTreeMap<String, u64>,
    /// At how many of its newest executions it was looked for what follows.
    pub looked_at: u64,
    /// When the oldest of these was created; `null` if these are all.
    pub reaches_ms: Option<u64>,
    /// How many began in the last hour.
    pub started_last_hour: u64,
    /// How many began in the last day.
    pub started_last_day: u64,
    /// How many ended in the last hour.
    pub ended_last_hour: u64,
    /// How many ended in the last day.
    pub ended_last_day: u64,
    /// How many failed or became stuck in the last hour.
    pub failed_last_hour: u64,
    /// How many failed or became stuck in the last day.
    pub failed_last_day: u64,
    /// How long half of those that completed took at most, from creation to end.
    pub median_ms: Option<u64>,
    /// How long 95 % of them took at most.
    pub p95_ms: Option<u64>,
    /// The last one that failed or became stuck.
    pub last_failure: Option<LastFailure>,
}

/// An execution that failed or became stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastFailure {
    /// Its id.
    pub id: String,
    /// Why.
    pub error: String,
    /// When.
    pub at_ms: u64,
}
