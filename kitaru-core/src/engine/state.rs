//! The executions of a store, as this process drives them. Must not know how one is driven.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::context::Context;
use crate::engine::active::{CallerView, Ended, interrupted};
use crate::engine::admissions::Admissions;
use crate::engine::companions::Companions;
use crate::engine::counting::LastCount;
use crate::engine::keeper::Keeper;
use crate::engine::registry::Registry;
use crate::error::{Error, Kind, cannot};
use crate::runtime::Runtime;

/// The executions of a store, as this process drives them.
pub(crate) struct Engine {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) registry: Arc<Registry<Context, CallerView>>,
    /// Which attempts may begin next to one another.
    pub(crate) admissions: Admissions,
    /// Where all this runs.
    pub(super) keeper: Keeper,
    /// How many more executions may resume concurrently without a caller.
    pub(super) driving: Arc<Semaphore>,
    /// How many may at most.
    #[cfg(feature = "testkit")]
    pub(super) most_driving: usize,
    /// How long finished executions are kept, if the store deletes them.
    pub(super) retention: OnceLock<Duration>,
    /// What runs next to the store.
    pub(super) companions: Companions,
    /// What was counted of the store the last time.
    pub(super) last_count: LastCount,
    pub(super) closed: AtomicBool,
}

impl Engine {
    pub(crate) fn new(runtime: Arc<Runtime>, keeper: Keeper, driving: usize) -> Self {
        Engine {
            runtime,
            registry: Arc::default(),
            admissions: Admissions::default(),
            keeper,
            driving: Arc::new(Semaphore::new(driving)),
            #[cfg(feature = "testkit")]
            most_driving: driving,
            retention: OnceLock::new(),
            companions: Companions::default(),
            last_count: LastCount::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Keeps a companion as long as the store is open.
    pub(crate) fn accompany(&self, companion: Box<dyn Send + Sync>) {
        self.companions.add(companion);
    }

    /// Runs a request on the store's own thread.
    pub(crate) fn apart(&self, request: impl Future<Output = ()> + Send + 'static) {
        self.keeper.spawn(request);
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
        self.companions.end();
        self.runtime.ledger.end_waking();
        // The callers of parked executions would wait without end.
        self.registry.all().iter().for_each(|(execution, active)| active.end(Ended::Fault(interrupted(execution))));
    }
}

pub(crate) fn closed() -> Error {
    cannot!(Kind::Closed, "use the store", "it was closed by Kitaru::close()", "open it again")
}
