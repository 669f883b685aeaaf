//! The outcomes of a generation, as a test reads them.

use crate::error::Error;
use crate::journal::Frame;
use crate::ledger::{Generation, malformed};
use crate::view::{Record, records};

impl Generation {
    /// Its result, for people; empty, if its last record has none.
    pub(crate) fn outcome(&self) -> String {
        match self.journal.indices().last().map(|last| self.journal.frame(last)) {
            Some(Ok(Frame::End(end))) => end.preview.to_owned(),
            _ => String::new(),
        }
    }

    /// The records of its checkpoints.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Error> {
        let read = records(&self.journal);
        read.map(|(records, _)| records).map_err(|why| malformed(&self.header.execution, "journal", why))
    }
}
