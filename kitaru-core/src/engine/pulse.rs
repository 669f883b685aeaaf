//! How far an execution has come. Must not know who asks.

use std::sync::Arc;

use crate::engine::state::Engine;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Status;
use crate::ledger::blocking;

/// How far an execution has come: another one of these means that there is something new to show.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub generation: u32,
    pub status: Status,
    /// The number that its next record gets.
    pub next_record: u64,
    /// When its status changed last, in milliseconds since 1970.
    pub updated_ms: u64,
}

impl Engine {
    /// How far an execution has come; `None` if there is none.
    pub(crate) async fn pulse(self: Arc<Self>, execution: ExecutionId) -> Result<Option<Pulse>, Error> {
        blocking(move || {
            let Some((stored, status)) = self.stands(|archive| archive.newest(&execution))? else { return Ok(None) };
            let next_record = self.runtime.archive.next_seq(&stored)?.0;
            let (generation, updated_ms) = (stored.header.generation, stored.state.updated_ms);
            Ok(Some(Pulse { generation, status, next_record, updated_ms }))
        })
        .await?
    }
}
