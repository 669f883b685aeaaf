//! How a store and its process are doing, in numbers. Owns what is shown of them; must not know how they are counted.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::journal::Status;
use crate::ledger::{CLASS_BOUNDS_US, CommitTimes, Footprint, StatusCounts, Stored, WriterLoad};
use crate::program;
use crate::view::reference::ExecutionRef;
use crate::view::time::time;

/// How a store and its process are doing, in numbers. See [`Kitaru::metrics`](crate::Kitaru::metrics).
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) counts: Arc<StoreCounts>,
    pub(super) load: ProcessLoad,
}

/// What was counted in a store.
#[derive(Debug)]
pub(crate) struct StoreCounts {
    pub(crate) flows: Vec<FlowMetrics>,
    pub(crate) uncounted: u64,
    /// The question that has been open the longest, among those looked at.
    pub(crate) oldest_wait: Option<(ExecutionRef, u64)>,
    pub(crate) counted_ms: u64,
}

/// What a process says of itself.
#[derive(Clone, Debug)]
pub(crate) struct ProcessLoad {
    pub(crate) opened_ms: u64,
    pub(crate) checkpoints_run: u64,
    pub(crate) checkpoints_replayed: u64,
    pub(crate) retries: u64,
    pub(crate) due: usize,
    pub(crate) writer: WriterLoad,
    pub(crate) footprint: Footprint,
}

impl Metrics {
    pub(crate) fn new(counts: Arc<StoreCounts>, load: ProcessLoad) -> Self {
        Metrics { counts, load }
    }

    /// The flows that the store has executions of, in the order of their names.
    pub fn flows(&self) -> &[FlowMetrics] {
        &self.counts.flows
    }

    /// How many executions of all flows have this status. As in the list, every generation counts.
    pub fn executions(&self, status: Status) -> u64 {
        self.counts.flows.iter().map(|flow| flow.executions(status)).sum()
    }

    /// How many executions are not in these counts: their rows cannot be read, or the indexes of an older store are being made.
    pub fn uncounted(&self) -> u64 {
        self.counts.uncounted
    }

    /// When the executions were counted.
    pub fn counted(&self) -> SystemTime {
        time(self.counts.counted_ms)
    }

    /// The execution whose open question is the oldest, and since when it waits. It is sought among the 100 executions that
    /// have waited the longest.
    pub fn oldest_wait(&self) -> Option<(ExecutionRef, SystemTime)> {
        self.counts.oldest_wait.as_ref().map(|(execution, since_ms)| (execution.clone(), time(*since_ms)))
    }

    /// How many parked executions are due: their time has come, and they resume as soon as fewer executions are driven.
    pub fn due(&self) -> usize {
        self.load.due
    }

    /// When this process opened the store. The counts below begin there.
    pub fn opened(&self) -> SystemTime {
        time(self.load.opened_ms)
    }

    /// How many checkpoints ran: their bodies ended with an outcome, which was sent to the store.
    pub fn checkpoints_run(&self) -> u64 {
        self.load.checkpoints_run
    }

    /// How many calls of checkpoints were answered by their records.
    pub fn checkpoints_replayed(&self) -> u64 {
        self.load.checkpoints_replayed
    }

    /// How many tries failed and were followed by another one.
    pub fn retries(&self) -> u64 {
        self.load.retries
    }

    /// The commits of this process.
    pub fn commits(&self) -> CommitMetrics {
        CommitMetrics(self.load.writer.commits)
    }

    /// How many writes wait for a commit.
    pub fn queued_writes(&self) -> usize {
        self.load.writer.queued
    }

    /// The bytes of the writes that wait for a commit, or that are being committed.
    pub fn queued_bytes(&self) -> usize {
        self.load.writer.queued_bytes
    }

    /// The folder of a store on disk.
    pub fn folder(&self) -> Option<&Path> {
        self.load.footprint.on_disk.as_ref().map(|(folder, _)| folder.as_path())
    }

    /// The version of the format of a store on disk.
    pub fn format(&self) -> Option<u32> {
        self.load.footprint.on_disk.as_ref().map(|(_, format)| *format)
    }

    /// How many bytes the files of the store have; 0 in memory.
    pub fn bytes(&self) -> u64 {
        self.load.footprint.bytes
    }
}

/// The commits of a process, those that failed included.
#[derive(Clone, Copy, Debug)]
pub struct CommitMetrics(CommitTimes);

impl CommitMetrics {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.classes.iter().sum()
    }

    /// How many of them failed.
    pub fn failed(&self) -> u64 {
        self.0.failed
    }

    /// How long all of them took together.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.0.took_us)
    }

    /// How many took at most this long, for each of the durations by which commits are counted, the shortest first.
    pub fn within(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut sum = 0;
        CLASS_BOUNDS_US.into_iter().zip(self.0.classes).map(move |(bound_us, commits)| {
            sum += commits;
            (Duration::from_micros(bound_us), sum)
        })
    }
}

/// A flow, in numbers.
///
/// Rates and durations are those of its newest executions: 10,000 of all flows together, an equal share of each flow.
#[derive(Debug)]
pub struct FlowMetrics {
    flow: String,
    statuses: StatusCounts,
    sample: FlowSample,
}

/// The newest generations of a flow, as far as they were read.
#[derive(Debug, Default)]
pub(crate) struct FlowSample {
    looked_at: u64,
    /// When the oldest of them was created, if there are older ones.
    reaches_ms: Option<u64>,
    started: PerTime,
    ended: PerTime,
    failed: PerTime,
    /// In ascending order.
    took_ms: Vec<u64>,
    last_failure: Option<FlowFailure>,
}

/// How many in the last hour and the last day.
#[derive(Clone, Copy, Debug, Default)]
struct PerTime {
    hour: u64,
    day: u64,
}

const HOUR_MS: u64 = 3_600_000;

impl PerTime {
    fn add(&mut self, at_ms: u64, now_ms: u64) {
        let ago_ms = now_ms.saturating_sub(at_ms);
        self.hour += u64::from(ago_ms <= HOUR_MS);
        self.day += u64::from(ago_ms <= 24 * HOUR_MS);
    }
}

impl FlowSample {
    /// Adds a generation, the newest first.
    pub(crate) fn add(&mut self, stored: &Stored, now_ms: u64) {
        let (created_ms, state) = (stored.header.created_ms, &stored.state);
        self.looked_at += 1;
        self.reaches_ms = Some(created_ms);
        self.started.add(created_ms, now_ms);
        if !state.status.is_final() {
            return;
        }
        self.ended.add(state.updated_ms, now_ms);
        match state.status {
            Status::Completed => self.took_ms.push(state.updated_ms.saturating_sub(created_ms)),
            Status::Failed | Status::Stuck => {
                self.failed.add(state.updated_ms, now_ms);
                if self.last_failure.as_ref().is_none_or(|known| known.at_ms < state.updated_ms) {
                    let execution = ExecutionRef::of(&stored.header.execution);
                    let (error, at_ms) = (state.reason.clone(), state.updated_ms);
                    self.last_failure = Some(FlowFailure { execution, error, at_ms });
                }
            }
            _ => {}
        }
    }
}

impl FlowMetrics {
    pub(crate) fn new(flow: String, statuses: StatusCounts, mut sample: FlowSample, has_older: bool) -> Self {
        sample.took_ms.sort_unstable();
        sample.reaches_ms = sample.reaches_ms.filter(|_| has_older);
        FlowMetrics { flow, statuses, sample }
    }

    /// Its name.
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// Whether it is a `#[flow]` of this program.
    pub fn is_known(&self) -> bool {
        program::find(&self.flow).is_some()
    }

    /// How many of its executions have this status.
    pub fn executions(&self, status: Status) -> u64 {
        self.statuses.of(status)
    }

    /// At how many of its newest executions it was looked for what follows.
    pub fn looked_at(&self) -> u64 {
        self.sample.looked_at
    }

    /// When the oldest of these was created; `None` if all executions of the flow are among them. What began before then is in no
    /// rate.
    pub fn reaches(&self) -> Option<SystemTime> {
        self.sample.reaches_ms.map(time)
    }

    /// How many began in the last hour.
    pub fn started_last_hour(&self) -> u64 {
        self.sample.started.hour
    }

    /// How many began in the last day.
    pub fn started_last_day(&self) -> u64 {
        self.sample.started.day
    }

    /// How many ended in the last hour.
    pub fn ended_last_hour(&self) -> u64 {
        self.sample.ended.hour
    }

    /// How many ended in the last day.
    pub fn ended_last_day(&self) -> u64 {
        self.sample.ended.day
    }

    /// How many failed or became stuck in the last hour.
    pub fn failed_last_hour(&self) -> u64 {
        self.sample.failed.hour
    }

    /// How many failed or became stuck in the last day.
    pub fn failed_last_day(&self) -> u64 {
        self.sample.failed.day
    }

    /// Of those that completed, how long this share took at most, from their creation to their end: 0.5 gives the median. `None`
    /// if none has completed.
    pub fn took(&self, share: f64) -> Option<Duration> {
        let last = self.sample.took_ms.len().checked_sub(1)?;
        let nth = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.sample.took_ms.get(nth).map(|ms| Duration::from_millis(*ms))
    }

    /// The last one that failed or became stuck.
    pub fn last_failure(&self) -> Option<&FlowFailure> {
        self.sample.last_failure.as_ref()
    }
}

/// An execution that failed or became stuck.
#[derive(Clone, Debug)]
pub struct FlowFailure {
    execution: ExecutionRef,
    error: String,
    at_ms: u64,
}

impl FlowFailure {
    /// The execution.
    pub fn execution(&self) -> &ExecutionRef {
        &self.execution
    }

    /// Why.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// When.
    pub fn time(&self) -> SystemTime {
        time(self.at_ms)
    }
}
