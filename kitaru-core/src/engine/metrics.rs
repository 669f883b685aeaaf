//! How the store and this process are doing, in numbers. Owns how often executions are counted; must not know how they are kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::counting::TimedCount;
use crate::engine::state::Engine;
use crate::error::Error;
use crate::ledger::{Archive, FlowCensus, blocking};
use crate::view::{ExecutionRef, FlowMetrics, FlowSample, Metrics, ProcessLoad, StoreCounts};

/// How many of the newest generations are read for rates and durations.
const NEWEST: usize = 10_000;
impl Engine {
    pub(crate) async fn metrics(self: Arc<Self>) -> Result<Metrics, Error> {
        self.check_open()?;
        let counts = self.counts().await?;
        let engine = self.clone();
        // It asks for the sizes of files.
        let footprint = blocking(move || engine.runtime.archive.footprint()).await?;
        let [checkpoints_run, checkpoints_replayed, retries] = self.runtime.counters.so_far();
        let load = ProcessLoad {
            opened_ms: self.runtime.counters.opened_ms,
            checkpoints_run,
            checkpoints_replayed,
            retries,
            due: self.runtime.ledger.count_due(),
            writer: self.runtime.ledger.writer_load(),
            footprint,
        };
        Ok(Metrics::new(counts, load))
    }

    /// What is in the store. In a large store this is what a recent count has found, while the next one is made.
    async fn counts(self: &Arc<Self>) -> Result<Arc<StoreCounts>, Error> {
        let mut last = self.last_count.last.lock().await;
        if let Some(recent) = last.as_ref().filter(|last| last.is_recent()) {
            if recent.is_due() {
                self.count_soon();
            }
            return Ok(recent.counts.clone());
        }
        let counting = self.clone().count().await?;
        let counts = counting.counts.clone();
        *last = Some(counting);
        Ok(counts)
    }

    /// Counts in the background, unless that is being done.
    fn count_soon(self: &Arc<Self>) {
        let engine = Arc::downgrade(self);
        self.keeper.spawn(async move {
            let Some(engine) = engine.upgrade().filter(|engine| !engine.is_closed()) else { return };
            let Ok(_counts) = engine.last_count.next.try_lock() else { return };
            // The store says why it cannot be read whenever it is asked for something.
            if let Ok(counting) = engine.clone().count().await {
                *engine.last_count.last.lock().await = Some(counting);
            }
        });
    }

    async fn count(self: Arc<Self>) -> Result<TimedCount, Error> {
        blocking(move || {
            let begun = Instant::now();
            let counts = Arc::new(self.read_counts()?);
            Ok(TimedCount { counts, ended: Instant::now(), took: begun.elapsed() })
        })
        .await?
    }

    fn read_counts(&self) -> Result<StoreCounts, Error> {
        let (archive, now_ms) = (&self.runtime.archive, self.runtime.clock.now_ms());
        let driven = self.registry.all().into_iter().filter(|(_, seated)| seated.is_driven());
        let driven: HashSet<_> = driven.filter_map(|(_, seated)| seated.generation()).collect();
        let census = archive.census(&driven, NEWEST)?;
        let mut oldest_wait = None;
        for journal in census.waiting {
            // One that cannot be read hides no other.
            let Ok(Some(stored)) = archive.stored(journal) else { continue };
            if archive.open_waits(&stored).is_ok_and(|open| !open.is_empty()) {
                oldest_wait = Some((ExecutionRef::of(&stored.header.execution), stored.state.updated_ms));
                break;
            }
        }
        let flows = census.flows.into_iter().map(|flow| sampled(archive, flow, now_ms)).collect();
        Ok(StoreCounts { flows, uncounted: census.uncounted, oldest_wait, counted_ms: now_ms })
    }
}

/// The numbers of a flow, with those of its newest generations.
fn sampled(archive: &Archive, census: FlowCensus, now_ms: u64) -> FlowMetrics {
    let FlowCensus { flow, statuses, newest, has_older } = census;
    let mut sample = FlowSample::default();
    // Those that cannot be read, or were deleted meanwhile, are left out.
    let read = newest.into_iter().filter_map(|journal| archive.stored(journal).ok().flatten());
    read.for_each(|stored| sample.add(&stored, now_ms));
    FlowMetrics::new(flow, statuses, sample, has_older)
}
