//! What runs beside a store. Owns that it ends before the store does; must not know what it is.

use std::sync::Mutex;

use crate::engine::state::Engine;
use crate::runtime::lock;

/// What is dropped before the store is released.
#[derive(Default)]
pub(super) struct Companions(Mutex<Vec<Box<dyn Send + Sync>>>);

impl Companions {
    /// Ends them. Blocks until their threads have ended.
    pub(super) fn end(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        drop(all);
    }
}

impl Engine {
    /// Keeps a companion as long as the store is open.
    pub(crate) fn accompany(&self, companion: Box<dyn Send + Sync>) {
        lock(&self.companions.0).push(companion);
    }

    /// Runs a request on the store's own thread.
    pub(crate) fn apart(&self, request: impl Future<Output = ()> + Send + 'static) {
        self.keeper.spawn(request);
    }
}
