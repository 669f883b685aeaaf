//! The first bytes of a frame: its format and the kind of its record. Must not know what such a record contains.

use crate::journal::FORMAT;
use crate::journal::wire::{Malformed, Take};

pub(super) const OUTCOME: u8 = 1;
pub(super) const INTENT: u8 = 2;
pub(super) const SETTLED: u8 = 3;
pub(super) const NOW: u8 = 4;
pub(super) const END: u8 = 5;
pub(super) const OPEN: u8 = 6;
pub(super) const UNWIND: u8 = 7;
pub(super) const PATCHED: u8 = 8;
pub(super) const FORGOT: u8 = 9;

/// The kind of a frame, and what is behind it.
pub(super) fn kind(bytes: &[u8]) -> Result<(u8, Take<'_>), Malformed> {
    let mut take = Take(bytes);
    if take.u8()? > FORMAT {
        return Err(Malformed("a record of a newer format"));
    }
    Ok((take.u8()?, take))
}
