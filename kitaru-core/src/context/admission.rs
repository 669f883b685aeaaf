//! An attempt's leave to begin, kept until the attempt has proved that it does not end its process immediately. Owns what is
//! held; must not know who grants it.

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

/// What an attempt holds until it has proved itself: while an attempt that begins alone holds its own, no other begins.
pub(crate) struct Admission {
    #[expect(dead_code, reason = "it is given back when it is dropped")]
    pub(crate) permit: OwnedSemaphorePermit,
    /// Held by one that begins alone: those follow one another.
    pub(crate) trial: Option<OwnedMutexGuard<()>>,
}

impl Admission {
    pub(crate) fn is_alone(&self) -> bool {
        self.trial.is_some()
    }
}
