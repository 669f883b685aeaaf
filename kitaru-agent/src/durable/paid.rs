//! What a run has paid for itself.
//!
//! Owns the count, which the checkpoints of a run share. Must not know what was recorded before: that is what nobody adds
//! here.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Usage;

/// The usage of the bodies that ran. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Paid(Arc<Mutex<Usage>>);

impl Paid {
    pub(super) fn add(&self, usage: Usage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += usage;
    }

    pub(super) fn usage(&self) -> Usage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
