//! Stores of a test's own, such as one that fails on purpose, for the tests of Kitaru itself. Not part of the public interface:
//! it may change in any release.

use std::fmt;
use std::io::ErrorKind;

use crate::client::{Kitaru, KitaruBuilder};
use crate::error::Error;
use crate::store::Platter;

pub use crate::testkit::storm::crash_randomly_on_a_failing_disk;

pub use crate::store::{
    Disk, Footprint, Memory, OpenOptions, Order, Range, Row, RowKey, Store, Table, Visit, VisitAll,
};

/// Options for opening a test's own store.
pub fn builder(store: impl Store) -> KitaruBuilder {
    Kitaru::builder().store(store)
}

/// A disk in memory, which fails while a test says so. Clones stand for the same one.
#[derive(Clone, Default)]
pub struct FailingDisk(Platter);

impl FailingDisk {
    /// The store on it, with the thread of a program's own store.
    ///
    /// # Errors
    ///
    /// As [`Disk::open`].
    pub fn open(&self) -> Result<Disk, Error> {
        self.0.store_with_a_thread()
    }

    /// From the nth write or sync on, all fail with an error of this kind.
    pub fn fails_after(&self, nth: u64, kind: ErrorKind) {
        self.0.tears_after(nth, kind, Box::new(|| false));
    }

    /// No further one fails.
    pub fn heals(&self) {
        self.0.heals();
    }

    /// The disk after its process was killed.
    pub fn after_a_kill(&self) -> Self {
        FailingDisk(self.0.after_a_kill())
    }
}

impl fmt::Debug for FailingDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailingDisk").finish_non_exhaustive()
    }
}
