//! Who did what. Owns when an audit is trimmed; must not know how it is kept.

use std::sync::Arc;

use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::{Actor, ExecutionId};
use crate::ledger::blocking;
use crate::view::AuditEntry;

impl Engine {
    /// Trims the audit of an execution that an actor has changed. The change is durable, so a fault of the store is not reported:
    /// the next request trims more.
    pub(crate) async fn trim_audit(self: &Arc<Self>, execution: &ExecutionId, by: Option<&Actor>) {
        if by.is_none() {
            return;
        }
        let (archive, execution) = (self.runtime.archive.clone(), execution.clone());
        if let Ok(Ok(Some(stored))) = blocking(move || archive.newest(&execution)).await {
            let _ = self.runtime.ledger.bound_audit(&stored).await;
        }
    }

    /// Who did what to the store, the oldest first.
    pub(crate) async fn audit(self: Arc<Self>) -> Result<Vec<AuditEntry>, Error> {
        blocking(move || {
            let entries = self.runtime.archive.audit_of_store()?;
            Ok(entries.into_iter().map(AuditEntry::new).collect())
        })
        .await?
    }
}
