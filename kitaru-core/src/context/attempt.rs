//! What an attempt is an attempt at, and how. Owns the words for that; must not know how it goes.

use crate::id::ExecutionId;
use crate::program::OnDivergence;

/// What an attempt is an attempt at.
pub(crate) struct Attempt {
    pub(crate) execution: ExecutionId,
    pub(crate) generation: u32,
    pub(crate) number: u32,
    /// Whether the one before it was cut off: bodies may have run of which there is no record.
    pub(crate) after_crash: bool,
    /// Whether the flow was parked before it: nothing has failed in between.
    pub(crate) after_park: bool,
    pub(crate) seed: [u8; 32],
    /// Whether `.fresh()` asked for this generation, so that no memo is read.
    pub(crate) fresh: bool,
    /// What a call does that contradicts a record, where its checkpoint does not say.
    pub(crate) on_divergence: Option<OnDivergence>,
    pub(crate) parking: Parking,
    /// When it has to be finished.
    pub(crate) deadline_ms: Option<u64>,
}

/// Whether the flow may be dropped from memory while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parking {
    /// It is registered, and goes on by replay.
    Possible,
    /// Only its caller can begin it again.
    Never,
}
