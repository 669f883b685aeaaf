//! A wait that can be answered, to be looked at.

use std::time::SystemTime;

use crate::id::ExecutionId;
use crate::journal::WaitRow;
use crate::value::Key;
use crate::view::time::time;

/// A wait of an execution that can be answered. See [`wait`](crate::wait).
#[derive(Clone, Debug)]
pub struct OpenWait {
    execution: ExecutionId,
    name: String,
    row: WaitRow,
}

impl OpenWait {
    pub(super) fn new(execution: &ExecutionId, name: String, row: WaitRow) -> Self {
        OpenWait { execution: execution.clone(), name, row }
    }

    /// The visible name, by which it is [answered](crate::Kitaru::answer).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The execution, the visible name, and what identifies the wait; nothing of one that an earlier version has begun.
    pub(crate) fn addressed(&self) -> (ExecutionId, String, Option<Key>) {
        (self.execution.clone(), self.name.clone(), self.row.asks.map(|asks| asks.wait))
    }

    /// What is asked, or nothing.
    pub fn question(&self) -> &str {
        &self.row.question
    }

    /// What an answer has to be, as a JSON schema.
    pub fn schema(&self) -> serde_json::Value {
        serde_json::from_str(&self.row.schema).unwrap_or_default()
    }

    /// What the flow shows beside the question, as a JSON object.
    pub fn metadata(&self) -> serde_json::Value {
        serde_json::from_str(&self.row.metadata).unwrap_or_default()
    }

    /// Until when an answer counts.
    pub fn deadline(&self) -> Option<SystemTime> {
        (self.row.due_ms > 0).then(|| time(self.row.due_ms))
    }

    /// Why the last answer did not fit.
    pub fn refused(&self) -> Option<&str> {
        Some(&*self.row.refused).filter(|refused| !refused.is_empty())
    }
}
