//! Ending an execution for good. Must not know how an attempt ends.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::active::Ended;
use crate::engine::launch::ended_meanwhile;
use crate::engine::request::Request;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Ask;

impl Engine {
    pub(crate) async fn cancel(self: &Arc<Self>, execution: ExecutionId) -> Result<(), Error> {
        let mut given_up = 0;
        loop {
            let (_, active) = self.launch(Request::steering(&execution, Ask::Cancel), None)?;
            // Nothing to an attempt that is there only to cancel it.
            if !active.steering.cancel() {
                // It went out of memory meanwhile.
                continue;
            }
            match is_cancelled(active.ended().await, &execution) {
                // It may have been given up at that very moment: one that is stuck can be cancelled.
                Err(error) if error.is_stuck() && given_up < 3 => given_up += 1,
                cancelled => return cancelled,
            }
        }
    }

    /// Ends an execution without undoing what it has done.
    pub(crate) async fn abandon(self: &Arc<Self>, execution: ExecutionId) -> Result<(), Error> {
        let (_, active) = self.launch(Request::steering(&execution, Ask::Abandon), None)?;
        is_cancelled(active.ended().await, &execution)
    }
}

/// Whether it has come to its end as cancelled.
fn is_cancelled(ended: Ended, execution: &ExecutionId) -> Result<(), Error> {
    match ended.fault() {
        Some(error) if error.is_cancelled() => Ok(()),
        Some(error) => Err(error),
        None => Err(ended_meanwhile(execution)),
    }
}
