//! Who did what, as it is shown.

use std::time::SystemTime;

use serde::Serialize;

use crate::journal::{AuditAction, AuditLine};
use crate::view::time::time;

/// An entry of an audit: who did what to an execution or to a store, and when. [`Execution::audit`](crate::Execution::audit) and
/// [`Kitaru::audit`](crate::Kitaru::audit) give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry(AuditLine);

impl AuditEntry {
    pub(crate) fn new(row: AuditLine) -> Self {
        AuditEntry(row)
    }

    /// When it was done.
    pub fn at(&self) -> SystemTime {
        time(self.0.at_ms)
    }

    /// What was done.
    pub fn action(&self) -> AuditAction {
        self.0.action
    }

    /// Who did it: the name given to [`Kitaru::by`](crate::Kitaru::by), or the one that the control API knows.
    pub fn by(&self) -> &str {
        &self.0.by
    }

    /// What it was about: the name of the wait or the signal, the forgotten records, the deleted execution. It may be empty.
    pub fn about(&self) -> &str {
        &self.0.about
    }
}

impl Serialize for AuditEntry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            at_ms: u64,
            action: String,
            by: &'a str,
            about: &'a str,
        }
        let AuditLine { at_ms, action, by, about } = &self.0;
        Form { at_ms: *at_ms, action: action.to_string(), by, about }.serialize(serializer)
    }
}
