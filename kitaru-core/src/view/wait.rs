//! A wait that can be answered, as it is shown.

use std::time::SystemTime;

use crate::id::ExecutionId;
use crate::ledger::OpenQuestion;
use crate::value::Key;
use crate::view::time::time;

/// A wait of an execution that can be answered. See [`wait`](crate::wait).
#[derive(Clone, Debug)]
pub struct OpenWait {
    execution: ExecutionId,
    open: OpenQuestion,
}

impl OpenWait {
    pub(super) fn new(execution: &ExecutionId, open: OpenQuestion) -> Self {
        OpenWait { execution: execution.clone(), open }
    }

    /// The visible name, by which programs [answer](crate::Kitaru::answer) it.
    pub fn name(&self) -> &str {
        &self.open.name
    }

    /// The execution, the visible name, and the identity of the wait. The identity is `None` if an earlier version began the
    /// wait.
    pub(crate) fn addressed(&self) -> (ExecutionId, String, Option<Key>) {
        (self.execution.clone(), self.open.name.clone(), self.open.wait)
    }

    /// The question, or empty.
    pub fn question(&self) -> &str {
        &self.open.question.text
    }

    /// The JSON schema of an answer.
    pub fn schema(&self) -> serde_json::Value {
        serde_json::from_str(&self.open.question.schema).unwrap_or_default()
    }

    /// What the flow shows with the question, as a JSON object.
    pub fn metadata(&self) -> serde_json::Value {
        serde_json::from_str(&self.open.question.metadata).unwrap_or_default()
    }

    /// The end of the time for an answer.
    pub fn deadline(&self) -> Option<SystemTime> {
        (self.open.question.due_ms > 0).then(|| time(self.open.question.due_ms))
    }

    /// Why the last answer did not fit.
    pub fn refused(&self) -> Option<&str> {
        Some(&*self.open.refused).filter(|refused| !refused.is_empty())
    }
}
