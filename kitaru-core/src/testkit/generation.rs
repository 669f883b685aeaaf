//! What a generation came to, as a test reads it.

use crate::error::Error;
use crate::journal::Frame;
use crate::ledger::{Generation, malformed};
use crate::view::{Record, records};

impl Generation {
    /// What it came to, for people; nothing, if its last record does not say.
    pub(crate) fn outcome(&self) -> String {
        match self.journal.indices().last().map(|last| self.journal.frame(last)) {
            Some(Ok(Frame::End(end))) => end.preview.to_owned(),
            _ => String::new(),
        }
    }

    /// What its checkpoints came to.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Error> {
        let read = records(&self.journal);
        read.map(|(records, _)| records).map_err(|why| malformed(&self.header.execution, "journal", why))
    }
}
