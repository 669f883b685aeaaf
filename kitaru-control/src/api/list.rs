//! The list of executions.

use serde::{Deserialize, Serialize};

/// What a list of executions is narrowed to. Values of one key are alternatives for `status`, and all wanted for `tag`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ListQuery {
    /// Only this flow.
    pub flow: Option<String>,
    /// Only ids that begin with this.
    pub id_prefix: Option<String>,
    /// Only these statuses: `queued`, `running`, `waiting`, `interrupted`, `completed`, `failed`, `cancelled`, `stuck`,
    /// `continued_as_new`.
    pub status: Vec<String>,
    /// Only executions that carry all of these.
    pub tag: Vec<String>,
    /// Only children of this execution, as `flow/id`.
    pub parent: Option<String>,
    /// Only executions that were created at this time or later.
    pub created_from_ms: Option<u64>,
    /// Only executions that were created before this time.
    pub created_before_ms: Option<u64>,
    /// Only executions whose id begins with this word, whose flow or one of whose tags it is, or whose error contains it.
    #[serde(rename = "q")]
    pub search: Option<String>,
    /// Continues behind the page that gave this.
    pub cursor: Option<String>,
    /// How many executions, 1 to 1,000; 100 unless set.
    pub limit: Option<u32>,
}

/// A page of executions, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page {
    /// The executions.
    pub executions: Vec<Summary>,
    /// Executions that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// How many executions were looked at.
    pub looked_at: u64,
    /// Where the next page begins; `null` behind the last.
    pub next_cursor: Option<String>,
}

/// One execution of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Its flow.
    pub flow: String,
    /// Its id.
    pub id: String,
    /// Its generation, counted from 1.
    pub generation: u32,
    /// Where it stands.
    pub status: String,
    /// How many attempts there were.
    pub attempts: u32,
    /// Its tags.
    pub tags: Vec<String>,
    /// A preview of its input.
    pub input: String,
    /// The beginning of why it failed, was cancelled or is stuck.
    pub error: Option<String>,
    /// When it was created.
    pub created_ms: u64,
    /// When its status changed last.
    pub updated_ms: u64,
}

/// An execution that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unreadable {
    /// Its flow, where that is known.
    pub flow: Option<String>,
    /// Its id, where that is known.
    pub id: Option<String>,
    /// Why it cannot be read.
    pub error: String,
}
