//! Whether executions may be deleted. Must not know which.

use crate::error::{Error, Kind, cannot};
use crate::ledger::Archive;

/// Refuses to delete while the rows are made by which lists find generations: one that is deleted meanwhile would get its rows
/// again.
pub(super) fn check_is_indexed(archive: &Archive) -> Result<(), Error> {
    if archive.is_indexed() {
        return Ok(());
    }
    Err(cannot!(
        Kind::Conflict,
        "delete executions",
        "the indexes of the store are being made",
        "try again in a moment, in the process that holds it"
    ))
}
