//! The face of a store: opening it, running flows on it, looking at what is in it. Owns which executions this process
//! drives; must not know how an attempt is driven or how rows are kept.

mod active;
mod admissions;
mod attempt;
mod builder;
mod cancel;
mod child;
mod closing;
mod entered;
mod execution;
mod executions;
mod export;
mod flow_call;
mod handle;
mod head;
mod history;
mod implicit;
mod keeper;
mod launch;
mod mail;
mod mailed;
mod recovery;
mod request;
mod restart;
mod retention;
mod retry;
mod rows;
mod sleepers;
mod standing;
mod steering;
mod tally;
mod waits;
mod watch;

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod steering_tests;
#[cfg(test)]
mod waits_tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::client::active::{Active, Ended, interrupted};
use crate::client::admissions::Admissions;
use crate::client::keeper::Keeper;
use crate::client::mail::Doors;
use crate::client::sleepers::Sleepers;
use crate::client::tally::Tallies;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId};
use crate::pool::{self, Gone};
use crate::runtime::{Runtime, lock};

pub use builder::Builder;
pub(crate) use builder::{SECRET, Stage};
pub use cancel::{Cancelling, Target};
pub use closing::Closing;
pub use execution::{
    Execution, ExecutionQuery, NotShown, OpenWait, Pause, Record, RecordStatus, Relative, ShownValue, Try,
};
pub use executions::{Cursor, Executions, Page, Summary, Unreadable};
pub(crate) use export::{Generation, generations};
pub use flow_call::{FlowCall, flow_call, refused_flow};
pub use handle::Handle;
pub use history::History;
pub use mail::Sending;
pub(crate) use request::{FlowBody, FlowSpec, Input};
pub use restart::Restart;
pub use retry::Retrying;
pub use watch::Watch;

/// An open store, and the executions that this process drives on it.
///
/// A cheap handle: clones stand for the same store. The store is closed by [`close`](Kitaru::close); dropping the last
/// handle closes it too, in the background, so that another process may find it held a moment longer.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// use kitaru::Kitaru;
///
/// let kitaru = Kitaru::builder().in_memory().open().await?;
/// assert!(kitaru.execution("write_report", "job-42").await?.is_none());
/// kitaru.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Kitaru {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) runtime: Arc<Runtime>,
    /// What the seeds of executions derive from.
    secret: [u8; 32],
    next_journal: AtomicU64,
    /// The highest generation that was taken away.
    retired: AtomicU32,
    /// The highest journal that was taken away.
    last_retired: AtomicU64,
    active: Mutex<HashMap<ExecutionId, Arc<Active>>>,
    /// Executions of which an attempt of this process left writes on their way.
    left: Mutex<HashSet<ExecutionId>>,
    /// Generations whose last attempt was of this process, which a fault of the store has ended: it did not die.
    faults: Mutex<HashSet<JournalId>>,
    /// Which attempts begin beside one another.
    admissions: Admissions,
    /// What is parked until a time.
    sleepers: Arc<Sleepers>,
    /// Where all this is done.
    keeper: Keeper,
    /// How many executions may go on by themselves at once.
    driving: Arc<Semaphore>,
    /// Who may send to which execution.
    doors: Doors,
    /// What was sent to which generation.
    tallies: Tallies,
    closed: AtomicBool,
}

impl Kitaru {
    /// Options for opening a store.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn check_open(&self) -> Result<(), Error> {
        self.inner.check_open()
    }
}

impl Inner {
    fn new(runtime: Arc<Runtime>, keeper: Keeper, found: builder::Found, driving: usize) -> Self {
        let builder::Found { secret, newest, retired, last_retired } = found;
        Inner {
            runtime,
            secret,
            next_journal: AtomicU64::new(newest + 1),
            retired: AtomicU32::new(retired),
            last_retired: AtomicU64::new(last_retired),
            active: Mutex::default(),
            left: Mutex::default(),
            faults: Mutex::default(),
            admissions: Admissions::default(),
            sleepers: Arc::default(),
            keeper,
            driving: Arc::new(Semaphore::new(driving)),
            doors: Doors::default(),
            tallies: Tallies::default(),
            closed: AtomicBool::new(false),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// The number that the next journal gets.
    fn next_journal(&self) -> JournalId {
        JournalId(self.next_journal.load(Ordering::Relaxed))
    }

    fn new_journal(&self) -> JournalId {
        JournalId(self.next_journal.fetch_add(1, Ordering::Relaxed))
    }

    /// The seed of a generation: the same again if its process dies before it is recorded.
    fn seed(&self, execution: &ExecutionId, generation: u32) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&(execution.flow.len() as u64).to_le_bytes());
        hasher.update(execution.flow.as_bytes());
        hasher.update(execution.id.as_bytes());
        hasher.update(&generation.to_le_bytes());
        *hasher.finalize().as_bytes()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sleepers.end();
        // Whoever still waits for one that is parked waits for nothing.
        lock(&self.active).values().for_each(|active| active.end(Ended::Fault(interrupted())));
    }
}

/// Runs what blocks off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    pool::blocking(work).await.map_err(|gone| match gone {
        Gone::Panicked(panic) => Error::panicked("the store", panic),
        Gone::ShutDown => Error::new(Kind::Closed, "the runtime is shutting down"),
    })
}

fn closed() -> Error {
    Error::new(Kind::Closed, "the store was closed by Kitaru::close(); open it again to go on")
}
