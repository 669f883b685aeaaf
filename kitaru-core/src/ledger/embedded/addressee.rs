//! Which generation takes what is sent to an execution. Must not know what that is.

use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId};
use crate::journal::Status;
use crate::ledger::Stored;
use crate::ledger::embedded::Archive;

impl Archive {
    /// The generation that takes what is sent to an execution. One that has failed takes it where it is `driven` again.
    pub(super) fn addressee(&self, execution: &ExecutionId, driven: Option<JournalId>) -> Result<Stored, Error> {
        let Some(stored) = self.newest(execution)? else {
            return Err(cannot!(
                Kind::Misuse,
                "send to execution {execution}",
                "the store has no execution of this flow and id",
                "start it, or look at Kitaru::executions"
            ));
        };
        if stored.state.status.is_final() && driven != Some(stored.journal) {
            let status = stored.state.status;
            return Err(match status {
                Status::Failed | Status::Stuck => cannot!(
                    Kind::Misuse,
                    "send to execution {execution}",
                    "it is {status} and takes nothing",
                    "resume it with Kitaru::resume"
                ),
                _ => cannot!(
                    Kind::Misuse,
                    "send to execution {execution}",
                    "it is {status} and takes nothing more",
                    "look at its result"
                ),
            });
        }
        Ok(stored)
    }
}
