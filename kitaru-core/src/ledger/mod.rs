//! What a store keeps of executions. The only module that knows tables, keys and rows; all others speak of generations,
//! records and changes. Must not know why something is read or written.
//!
//! Two types are the seam. [`Archive`] reads: each call blocks, so it is made on the pool. [`Ledger`] writes: what
//! is appended to a journal becomes durable in the order in which it was submitted, together or not at all, behind a
//! [`Tenure`]: the right to write to that journal, which ends when something of it is lost or its attempt has had its last
//! word. Both are types and not traits, so that the path of a checkpoint is static; a store of another kind is another folder
//! next to `embedded`, and these two names become enums.

mod change;
mod embedded;
mod model;
mod narrow;
mod question;
mod sent;

use std::sync::Arc;

use crate::error::{Error, Kind, cannot};
use crate::pool::{self, Gone, Queue, Turn};

pub(crate) use crate::store::Owner;
pub(crate) use change::{Change, Ended, Ending, FirstAttempt, Memo, NewGeneration};
#[cfg(feature = "testkit")]
pub(crate) use embedded::first_rows;
pub(crate) use embedded::{
    AFTER_FAULT, Append, Archive, Arrival, CarryOver, ClaimedGeneration, Earlier, Ledger, LedgerOptions, Left, Letter,
    Listed, Loaded, Tenure, Unread, Waking, WokenGeneration, open,
};
#[cfg(test)]
pub(crate) use embedded::{
    MOST_EARLY_ANSWERS, MOST_JOURNALS, MOST_MAIL_BYTES, MOST_NAMED, MOST_PASSED, MOST_SIGNALS, MailTotal,
    most_loaded_bytes,
};
pub(crate) use model::{Generation, Listing, State, Stored, malformed};
pub(crate) use narrow::{Narrow, Standing};
pub(crate) use question::{OpenQuestion, Question};
pub(crate) use sent::{Addressee, Sent, SentKey};

/// Runs what blocks off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    pool::blocking(work).await.map_err(explain)
}

/// As [`blocking`], for what reads a few rows, unless it says that it takes long. Under load it takes turns on few threads.
pub(crate) async fn brief<T: Send + 'static>(
    queue: &Arc<Queue>,
    work: impl FnOnce(&Turn) -> T + Send + 'static,
) -> Result<T, Error> {
    pool::brief(queue, work).await.map_err(explain)
}

fn explain(gone: Gone) -> Error {
    match gone {
        Gone::Panicked(panic) => Error::panicked("a call of the store", panic),
        Gone::ShutDown => cannot!(Kind::Closed, "use the store", "the runtime is shutting down", "use another runtime"),
    }
}
