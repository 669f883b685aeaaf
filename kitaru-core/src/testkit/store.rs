//! Stores of a test's own, such as one that fails on purpose, for the tests of Kitaru itself. Not part of the public interface:
//! it may change in any release.

use crate::client::{Kitaru, KitaruBuilder};

pub use crate::store::{Durability, Key, Memory, OpenOptions, Order, Range, Redb, Row, Store, Table, Visit};

/// Options for opening a test's own store.
pub fn builder(store: impl Store) -> KitaruBuilder {
    Kitaru::builder().store(store)
}
