//! What several threads do to each other, tried in many of the orders in which they may run: the writer, and the parking of
//! a flow that is being cancelled or sent something.
//!
//! The modules under test are built here a second time, from their own files, over the primitives of `shuttle`. Those give
//! another thread its turn at each lock, each wait and each atomic, by a seed; a failure prints the schedule that repeats it
//! (`shuttle::replay`). `KITARU_ORDERS` says how many orders are tried.
// What the modules have besides that is not used here.
#![allow(dead_code, unused_imports, unreachable_pub)]

#[path = "../../src/error.rs"]
mod error;
mod orders;
mod parking;
mod primitives;
#[path = "../../src/shown.rs"]
mod shown;
mod writing;

use primitives as sync;

/// What the table of calls knows of time.
mod clock {
    pub fn millis(duration: std::time::Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What `Mail` and `Registry` know of journals and executions.
mod id {
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    pub struct JournalId(pub u64);

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    pub struct ExecutionId(pub u64);
}

/// What `Mail` knows of a wait.
mod value {
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    pub struct Key(pub [u8; 16]);
}

#[path = "../../src/journal"]
mod journal {
    mod status;

    pub use status::Status;
}

#[path = "../../src/store"]
mod store {
    mod contract;
    mod key;
    mod seal;
    mod writer;

    pub use contract::{Footprint, Order, Range, Row, Store, Table, Visit, VisitAll};
    pub use key::RowKey;
    pub(crate) use seal::{Reader, seal};
    pub(crate) use writer::{Submission, Submitter, Writer, WriterOptions};
}

#[path = "../../src/ledger"]
mod ledger {
    mod sent;

    pub(crate) use sent::{Addressee, Sent};
}

#[path = "../../src/context"]
mod context {
    mod mailbox;

    pub(crate) use mailbox::{Awaits, Mailbox, Message};
}

#[path = "../../src/machine"]
mod machine {
    mod lifecycle;

    pub(crate) use lifecycle::{
        CallEffect, CancelEffect, Cause, LossEffect, ParkEffect, Seat, SeatCall, SendEffect, TaskId, Wakes,
    };
}

#[path = "../../src/engine"]
mod engine {
    mod registry;

    pub(crate) use registry::{Registry, SeatEntry, Seating, Steered, Waiter};
}
