//! What runs next to a store. Owns that it ends before the store does; must not know what it is.

use std::sync::Mutex;

use crate::runtime::lock;

/// What is dropped before the store is released.
#[derive(Default)]
pub(super) struct Companions(Mutex<Vec<Box<dyn Send + Sync>>>);

impl Companions {
    pub(super) fn add(&self, companion: Box<dyn Send + Sync>) {
        lock(&self.0).push(companion);
    }

    /// Ends them. Blocks until their threads have ended.
    pub(super) fn end(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        drop(all);
    }
}
