//! What is on its way to an execution, and that it has landed. Must not know who takes it.

use crate::error::Error;
use crate::id::{Actor, ExecutionId};
use crate::journal::{AuditAction, AuditLine};
use crate::ledger::{Sent, SentKey, Stored};

/// Something on its way to an execution.
pub(crate) struct NewMessage {
    pub(crate) execution: ExecutionId,
    /// The name of the signal, or the visible name of the wait.
    pub(crate) name: String,
    pub(crate) json: String,
    pub(crate) sent_ms: u64,
    /// Who sends it, if known.
    pub(crate) by: Option<Actor>,
}

impl NewMessage {
    /// What it counts for, in the store and in memory.
    pub(crate) fn bytes(&self) -> u64 {
        (self.name.len() + self.json.len()) as u64
    }

    /// The entry of the audit.
    pub(crate) fn audit(&self, action: AuditAction) -> Option<AuditLine> {
        self.by.as_ref().map(|by| by.did(action, &self.name, self.sent_ms))
    }
}

/// Something that was sent, and whether it is durable.
pub(crate) struct Arrival {
    pub(crate) stored: Stored,
    pub(crate) key: SentKey,
    pub(crate) sent: Sent,
    pub(crate) landed: Result<(), Error>,
}
