//! What leaves an attempt: what the flow received that is not durable yet, how far the flow continues, and why it is
//! dropped.

use crate::error::Error;
use crate::id::Seq;
use crate::journal::NowFrame;
use crate::machine::slot::Due;

/// What the flow received and what is not durable yet.
#[derive(Default, Debug)]
pub(crate) struct Unflushed {
    pub(crate) errors: Vec<Seq>,
    pub(crate) nows: Vec<NowFrame>,
    pub(crate) patches: Vec<String>,
    /// Whether the flow showed a value, which waits for the rest of this.
    pub(crate) notes: bool,
}

/// Why the driver drops the flow before it returns. The flow's own code never sees it.
#[derive(Clone, Debug)]
pub(crate) enum Exit {
    /// The attempt ends in an error that no type of the flow can hold.
    Fail(Error),
    /// A record cannot be read back; the fingerprint is of the shape that it was recorded with.
    Stuck { error: Error, shape: u64 },
    /// The store failed.
    Fault(Error),
    /// The flow continues in a new generation.
    ContinueAsNew,
    /// Every awaited call is a wait. The flow needs no memory until the time is over or something else ends a wait.
    Park(Due),
}

impl Unflushed {
    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.nows.is_empty() && self.patches.is_empty() && !self.notes
    }
}

/// Whether the flow ends early.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Unwinding {
    /// It does not.
    No,
    /// The record that it ends early is on its way to the store.
    Asked,
    /// It receives only what was recorded before this number.
    At(Seq),
    /// It was dropped: calls are made by undo steps from now on.
    Done,
}

impl Unwinding {
    /// Whether the flow still receives what was recorded under this number.
    pub(super) fn lets_pass(self, seq: Seq) -> bool {
        match self {
            Unwinding::At(end) => seq < end,
            Unwinding::No | Unwinding::Asked | Unwinding::Done => true,
        }
    }
}
