//! What leaves an attempt: what the flow has seen on its way to the store, how far the flow goes, and why it is dropped.

use crate::error::Error;
use crate::id::Seq;
use crate::journal::NowFrame;
use crate::machine::slot::Due;

/// What the flow has seen and what is not durable yet.
#[derive(Default, Debug)]
pub(crate) struct Unflushed {
    pub(crate) errors: Vec<Seq>,
    pub(crate) nows: Vec<NowFrame>,
    pub(crate) patches: Vec<String>,
    /// Whether it has shown something, which waits for the rest of this.
    pub(crate) notes: bool,
}

/// Why the driver drops the flow before it has returned. None of it ever reaches the flow's own code.
#[derive(Clone, Debug)]
pub(crate) enum Exit {
    /// The attempt ends in an error that no type of the flow's could hold.
    Fail(Error),
    /// A record cannot be read back; the fingerprint is of the shape that it was recorded with.
    Stuck { error: Error, shape: u64 },
    /// The store failed.
    Fault(Error),
    /// The flow continues in a new generation.
    ContinueAsNew,
    /// Every call that is awaited is a wait: the flow costs only its rows until then, or until something else ends one.
    Park(Due),
}

impl Unflushed {
    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.nows.is_empty() && self.patches.is_empty() && !self.notes
    }
}

/// Whether the flow goes on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Unwinding {
    /// It does.
    No,
    /// That it does not is on its way to the store.
    Asked,
    /// It goes no further than to what was recorded before this number.
    At(Seq),
    /// It has been dropped: what is called now undoes what it did.
    Done,
}

impl Unwinding {
    /// Whether the flow still sees what was recorded under this number.
    pub(super) fn lets_pass(self, seq: Seq) -> bool {
        match self {
            Unwinding::At(end) => seq < end,
            Unwinding::No | Unwinding::Asked | Unwinding::Done => true,
        }
    }
}
