//! What other crates run next to an open store. Owns when it begins; must not know what it is.

use std::path::Path;

use crate::client::kitaru::{Kitaru, WeakKitaru};

/// Something that runs next to each store on disk, such as a server that shows its executions. It begins when the store is
/// open, and what it gives is dropped before the store is released.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Companion(pub fn(&WeakKitaru, &Path) -> Option<Box<dyn Send + Sync>>);

inventory::collect!(Companion);

/// Begins what is registered.
pub(super) fn begin(kitaru: &Kitaru, dir: &Path) {
    for Companion(begin) in inventory::iter::<Companion> {
        if let Some(companion) = begin(&kitaru.downgrade(), dir) {
            kitaru.inner.accompany(companion);
        }
    }
}
