//! How far an execution has come. Must not know who asks.

use std::sync::Arc;

use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Status;
use crate::ledger::blocking;

impl Engine {
    /// Its generation, its status, the number of its next record, and when its status changed last.
    pub(crate) async fn pulse(
        self: Arc<Self>,
        execution: ExecutionId,
    ) -> Result<Option<(u32, Status, u64, u64)>, Error> {
        blocking(move || {
            let Some((stored, status)) = self.stands(|archive| archive.newest(&execution))? else { return Ok(None) };
            let next = self.runtime.archive.next_seq(&stored)?;
            Ok(Some((stored.header.generation, status, next.0, stored.state.updated_ms)))
        })
        .await?
    }
}
