//! Where journals live. Owns the contract of a store, the stores that keep it, and the writer in front of them. Must
//! not know what the rows mean: all meaning lives above.

#![cfg_attr(not(feature = "testkit"), expect(unreachable_pub, reason = "`testkit::store` shows it to tests"))]

mod contract;
mod disk;
mod folder;
mod key;
mod lock;
mod memory;
mod platform;
mod seal;
mod writer;

#[cfg(test)]
mod contract_tests;

pub use contract::{Footprint, Order, Range, Row, Store, Table, Visit, VisitAll};
pub(crate) use disk::NewDisk;
#[cfg(feature = "testkit")]
pub(crate) use disk::platter::{Platter, Sectors, last_commit};
pub use disk::{Disk, OpenOptions};
pub use key::RowKey;
pub use memory::Memory;
pub(crate) use seal::{Reader, seal};
#[cfg(feature = "testkit")]
pub(crate) use writer::{Before, Pace};
pub(crate) use writer::{CLASS_BOUNDS_US, CommitTimes, Submission, Submitter, Writer, WriterLoad, WriterOptions};
