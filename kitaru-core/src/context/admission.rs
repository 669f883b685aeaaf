//! An attempt's leave to begin, kept until the attempt has proved that it does not crash its process immediately. Owns
//! what is held; must not know what grants it.

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

/// What an attempt holds until it has proved itself. While an attempt that begins alone holds it, no other attempt
/// begins.
pub(crate) struct Admission {
    #[expect(dead_code, reason = "it is given back when it is dropped")]
    pub(crate) permit: OwnedSemaphorePermit,
    /// Held by an attempt that begins alone, so that such attempts begin one after another.
    pub(crate) trial: Option<OwnedMutexGuard<()>>,
}

impl Admission {
    pub(crate) fn is_alone(&self) -> bool {
        self.trial.is_some()
    }
}
