//! Cancelling and resuming many executions.

use serde::{Deserialize, Serialize};

use super::list::ListQuery;
use super::reference::Reference;

/// Cancels executions: those of one page of a list, which are queued, running, waiting, interrupted or stuck unless `status` says
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelMany {
    /// Which ones. A cursor and a limit are not conditions.
    #[serde(default)]
    pub executions: ListQuery,
    /// Whether they need not meet any condition.
    #[serde(default)]
    pub all: bool,
    /// Whether nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether their undo steps are skipped.
    #[serde(default)]
    pub without_undo: bool,
}

/// Resumes executions: those of one page of a list, which failed, are stuck or were interrupted unless `status` says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResumeMany {
    /// Which ones. A cursor and a limit are not conditions.
    #[serde(default)]
    pub executions: ListQuery,
    /// Whether they need not meet any condition.
    #[serde(default)]
    pub all: bool,
    /// Whether nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was done with the executions of a page. It is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ManyDone {
    /// Those with which it was done; in a dry run, those with which it would be tried.
    pub done: Vec<Reference>,
    /// Those to which it does not apply.
    pub skipped: Vec<NotDone>,
    /// Those with which it was tried and failed.
    pub failed: Vec<NotDone>,
    /// How many executions were looked at.
    pub looked_at: u64,
    /// Where the next page begins; `null` behind the last.
    pub next_cursor: Option<String>,
}

/// An execution with which it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotDone {
    /// Its flow.
    pub flow: String,
    /// Its id.
    pub id: String,
    /// Why.
    pub error: String,
}
