//! What drives executions. Owns which executions this process drives, and that each is driven once at a time; must not know who
//! asks, nor how anything is kept.

mod active;
mod admissions;
mod attempt;
mod child;
mod control;
mod delivery;
mod entered;
mod forget;
mod found;
mod head;
mod keeper;
mod launch;
mod recovery;
mod request;
mod restart;
mod retention;
mod retry;
mod shutdown;
mod sleepers;
mod standing;
mod steering;

#[cfg(test)]
mod steering_tests;
#[cfg(test)]
mod waits_tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::engine::admissions::Admissions;
use crate::engine::sleepers::Sleepers;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId};
use crate::runtime::{Runtime, lock};

pub(crate) use active::{Active, Ended, interrupted};
pub(crate) use child::{Asked, ChildCall, Claimed, Wish};
pub(crate) use delivery::Answer;
pub(crate) use forget::Forget;
pub(crate) use found::{Found, unknown};
pub(crate) use keeper::{Keeper, Logs};
pub(crate) use request::{FlowBody, FlowSpec, Input, Request, check, check_size};

/// The executions of a store, as this process drives them.
pub(crate) struct Engine {
    pub(crate) runtime: Arc<Runtime>,
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
    closed: AtomicBool,
}

impl Engine {
    pub(crate) fn new(runtime: Arc<Runtime>, keeper: Keeper, driving: usize) -> Self {
        Engine {
            runtime,
            active: Mutex::default(),
            left: Mutex::default(),
            faults: Mutex::default(),
            admissions: Admissions::default(),
            sleepers: Arc::default(),
            keeper,
            driving: Arc::new(Semaphore::new(driving)),
            closed: AtomicBool::new(false),
        }
    }

    /// Does what an open store does by itself: wakes what is parked; has what a dead process left resume, if it `recovers`; and
    /// deletes what has been finished for so long.
    pub(crate) fn start(self: &Arc<Self>, recovers: bool, retention: Option<Duration>) {
        self.keeper.meet();
        self.keeper.spawn(sleepers::keep(Arc::downgrade(self)));
        if recovers {
            // Before anything is begun here.
            self.keeper.spawn(recovery::recover(Arc::downgrade(self), self.runtime.ledger.next_journal()));
        }
        if let Some(keep) = retention {
            self.keeper.spawn(retention::retire(Arc::downgrade(self), keep));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.sleepers.end();
        // Whoever still waits for one that is parked waits for nothing.
        lock(&self.active).values().for_each(|active| active.end(Ended::Fault(interrupted())));
    }
}

pub(crate) fn closed() -> Error {
    Error::new(Kind::Closed, "the store was closed by Kitaru::close(); open it again to go on")
}
