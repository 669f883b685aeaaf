//! What other crates run next to an open store. Owns when it begins; must not know what it is.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::client::kitaru::{Kitaru, WeakKitaru};
use crate::error::Error;
use crate::log;

/// Something that runs next to each store on disk, such as a server that shows its executions. It begins when the store is
/// open, and what it gives is dropped before the store is released.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Companion(pub fn(&WeakKitaru, &Path) -> Option<Accompaniment>);

/// What a [`Companion`] runs.
#[doc(hidden)]
pub struct Accompaniment {
    /// It ends when this is dropped.
    pub runs: Box<dyn Send + Sync>,
    /// Where it answers, if that is outside the folder of the store. The file `lock` of the folder says it.
    pub place: Option<PathBuf>,
}

inventory::collect!(Companion);

impl fmt::Debug for Accompaniment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accompaniment").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Begins what is registered, for the store in a folder. `notes` records where something answers outside the folder.
pub(super) fn begin(kitaru: &Kitaru, folder: &Path, notes: impl Fn(&Path) -> Result<(), Error>) {
    for Companion(begin) in inventory::iter::<Companion> {
        let Some(Accompaniment { runs, place }) = begin(&kitaru.downgrade(), folder) else { continue };
        if let Some(Err(error)) = place.map(|place| notes(&place)) {
            log::place_not_noted(&error);
        }
        kitaru.inner.accompany(runs);
    }
}
