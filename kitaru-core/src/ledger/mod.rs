//! What a store keeps of executions. The only module that knows tables, keys and rows; all others speak of generations,
//! records and changes. Must not know why something is read or written.
//!
//! Two types are the seam. [`Archive`] reads: each call blocks, so it is made on the pool. [`Ledger`] writes: what
//! is appended to a journal becomes durable in the order in which it was submitted, together or not at all, behind a
//! [`Tenure`]: the right to write to that journal. Only [`Ledger::new_tenure`] and [`Ledger::claim`] give one. It ends when
//! something of the journal is lost, when its attempt has had its last word, and when its attempt leaves.
//!
//! | | here | who calls it | a ledger that several processes share |
//! |---|---|---|---|
//! | find | `Archive::newest`, `stored`, `generation` | planning, delivery, what is looked at | in one trip |
//! | begin | `new_tenure`, `begin`, `begin_then` | `engine::attempt` | unless another process has begun it; that one is then found |
//! | claim | `claim` | `engine::planning` | unless a process that lives has it; the claim is a row, and fences the one before it |
//! | load | `load` | `engine::plan`, behind the claim | in one trip, in a statement behind the claim |
//! | append | `append`, `write`, `write_then` | `context`, `engine::attempt` | refused where the claim of the tenure is not the last |
//! | send | `signal`, `answer`, `taken_back`, `add_waiter` | `engine::delivery` | raises a mark in the row of the execution, for its owner |
//! | park | `park`, then `sleep` | `engine::attempt`, `engine::launch` | gives the claim back in the same commit; the row has the time |
//! | finish | `finish`; `end`, without an attempt | `engine::attempt`, `holding`, `control` | the same, fenced |
//! | continue as new | `continue_as_new` | `engine::continue_as_new` | the same, fenced; senders lock the row |
//! | leave | `leave` | `engine::entered` | gives the claim back, or lets it run out |
//! | list | `Archive::newest_first`, by a `Narrow` | `engine::looking` | by its indexes |
//! | sweep | `Archive::expired`, `delete` | `engine::retention` | one process at a time |
//! | woken | `waking`, `Waking::woken`, `wake_after_fault` | `engine::recovery` | what is due or marked and has no owner, and what a dead process had |
//!
//! An attempt that appends is an [`Appender`]: it gives out the numbers of its records, and learns what has landed.
//!
//! Both are types and not traits, so that the path of a checkpoint is static; a store of another kind is another folder next to
//! `embedded`, and these two names become enums. That no other process writes is known in `embedded` only.

mod attempt;
mod backup;
mod census;
mod change;
mod checkup;
mod embedded;
mod fork;
mod listed;
mod mail;
mod model;
mod narrow;
mod question;
mod sent;
mod tenure;

use std::sync::Arc;

use crate::error::{Error, Kind, cannot};
use crate::pool::{self, Gone, LookupQueue, LookupTurn};

pub(crate) use crate::store::{CLASS_BOUNDS_US, CommitTimes, Footprint, WriterLoad};
pub(crate) use attempt::{Append, Appender, Left, Loaded};
pub use backup::Backup;
pub(crate) use census::{Census, FlowCensus, StatusCounts};
pub(crate) use change::{AttemptEnd, Change, FirstAttempt, MemoEntry, NewGeneration, UnattendedEnd};
pub use checkup::{Checkup, CheckupFinding, ExecutionSize, FindingKind, FlowSize, TableSize};
#[cfg(feature = "testkit")]
pub(crate) use embedded::first_rows;
pub(crate) use embedded::{Archive, CarryOver, Ledger, LedgerOptions, Waking, open, restore};
#[cfg(test)]
pub(crate) use embedded::{
    MOST_EARLY_ANSWERS, MOST_JOURNALS, MOST_MAIL_BYTES, MOST_NAMED, MOST_PASSED, MOST_SIGNALS, MailTotal,
    most_loaded_bytes,
};
pub(crate) use fork::{ForkMail, ForkStart};
pub(crate) use listed::{Listed, Unread};
pub(crate) use mail::{Arrival, NewMessage};
pub(crate) use model::{AFTER_FAULT, Generation, GenerationState, Listing, Stored, WokenGeneration, malformed};
pub(crate) use narrow::{ByStatus, Narrow};
pub(crate) use question::{OpenQuestion, Question};
pub(crate) use sent::{Addressee, Sent, SentKey};
pub(crate) use tenure::{ClaimedGeneration, Earlier, Tenure};

/// Runs what blocks off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    pool::blocking(work).await.map_err(explain)
}

/// As [`blocking`], for what reads a few rows, unless it says that it takes long. Under load it takes turns on few threads.
pub(crate) async fn brief<T: Send + 'static>(
    queue: &Arc<LookupQueue>,
    work: impl FnOnce(&LookupTurn) -> T + Send + 'static,
) -> Result<T, Error> {
    pool::brief(queue, work).await.map_err(explain)
}

fn explain(gone: Gone) -> Error {
    match gone {
        Gone::Panicked(panic) => Error::panicked("a call of the store", panic),
        Gone::ShutDown => cannot!(Kind::Closed, "use the store", "the runtime is shutting down", "use another runtime"),
    }
}
