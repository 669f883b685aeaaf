//! How far an execution has come. Must not know who asks.

use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::ExecutionId;

impl Engine {
    /// Its generation, status, next record and when its status changed last. Blocks.
    pub(crate) fn pulse(
        &self,
        execution: &ExecutionId,
    ) -> Result<Option<(u32, crate::journal::Status, u64, u64)>, Error> {
        let Some((stored, status)) = self.stands(|archive| archive.newest(execution))? else { return Ok(None) };
        let next = self.runtime.archive.next_seq(&stored)?;
        Ok(Some((stored.header.generation, status, next.0, stored.state.updated_ms)))
    }
}
