//! Which generation an attempt runs, and how. Must not know how it proceeds.

use crate::context::ForkOrigin;
use crate::id::ExecutionId;
use crate::program::OnDivergence;

/// Which generation an attempt runs.
pub(crate) struct Attempt {
    pub(crate) execution: ExecutionId,
    pub(crate) generation: u32,
    pub(crate) number: u32,
    /// Whether the attempt before it was interrupted: bodies may have run without a record.
    pub(crate) after_crash: bool,
    /// Whether any attempt before it may have been cut off.
    pub(crate) after_cut: bool,
    /// Whether the flow was parked before it: no failure happened in between.
    pub(crate) after_park: bool,
    pub(crate) seed: [u8; 32],
    /// When its generation was created.
    pub(crate) created_ms: u64,
    /// Whether `.fresh()` began this generation. Then no memo is read.
    pub(crate) fresh: bool,
    /// The fork that the generation is, or is a part of.
    pub(crate) fork: Option<ForkOrigin>,
    /// The rule for a call that contradicts a record, if its checkpoint has none.
    pub(crate) on_divergence: Option<OnDivergence>,
    pub(crate) parking: Parking,
    /// Its deadline.
    pub(crate) deadline_ms: Option<u64>,
}

impl Attempt {
    /// Whether an outcome of another execution may answer a call. What a fork does not take over runs again.
    pub(crate) fn reads_memos(&self) -> bool {
        !self.fresh && self.fork.is_none()
    }
}

/// Whether the flow may be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parking {
    /// It is registered, and resumes by replay.
    Possible,
    /// Only its caller can begin it again.
    Never,
}
