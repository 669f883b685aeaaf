//! Rings of events, one for each execution. Owns their bounds and their locks: an event takes that of its own ring, and those of
//! others only where the bound on all is reached. Must not know where events are from.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use kitaru_core::ExecutionRef;

use crate::api::{LogEvent, Logs, LogsQuery};

/// How many events of an execution are kept, and how many bytes.
const MOST_EVENTS: usize = 1_000;
const MOST_EVENT_BYTES: usize = 256 << 10;
/// Of how many executions events are kept, and how many bytes in all.
const MOST_RINGS: usize = 1_000;
const MOST_BYTES: usize = 16 << 20;
/// What an event takes besides its texts.
const EVENT: usize = 200;

/// The rings of a process.
#[derive(Default)]
pub(super) struct Rings {
    all: Mutex<HashMap<ExecutionRef, Arc<Ring>>>,
    bytes: AtomicUsize,
    /// The number of the last event.
    last: AtomicU64,
}

/// The newest events of an execution.
pub(super) struct Ring {
    execution: ExecutionRef,
    events: Mutex<Events>,
    /// The number of the last event: the ring that is silent for longest is dropped first.
    last: AtomicU64,
}

#[derive(Default)]
struct Events {
    kept: VecDeque<(LogEvent, usize)>,
    bytes: usize,
    /// How many are no longer kept.
    dropped: u64,
    /// Whether the ring was dropped. Spans may still have it.
    is_dropped: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rings {
    /// The ring of an execution.
    pub(super) fn of(&self, execution: ExecutionRef) -> Arc<Ring> {
        let mut all = lock(&self.all);
        if let Some(ring) = all.get(&execution) {
            return ring.clone();
        }
        let ring = Arc::new(Ring {
            execution: execution.clone(),
            events: Mutex::default(),
            last: AtomicU64::new(self.last.load(Ordering::Relaxed)),
        });
        all.insert(execution, ring.clone());
        self.make_room(&mut all);
        ring
    }

    /// A ring that was dropped begins again, so that the spans which have it need not look for another one.
    fn again(&self, ring: Arc<Ring>) -> Arc<Ring> {
        let mut all = lock(&self.all);
        if let Some(other) = all.get(&ring.execution) {
            return other.clone();
        }
        ring.last.store(self.last.load(Ordering::Relaxed), Ordering::Relaxed);
        lock(&ring.events).is_dropped = false;
        all.insert(ring.execution.clone(), ring.clone());
        self.make_room(&mut all);
        ring
    }

    /// Keeps an event. Its number and its time are set here.
    pub(super) fn keep(&self, ring: &Arc<Ring>, mut event: LogEvent) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        event.time_ms = now_us / 1_000;
        let mut ring = ring.clone();
        while let Some(refused) = self.push(&ring, event, now_us) {
            event = refused;
            ring = self.again(ring);
        }
        if self.bytes.load(Ordering::Relaxed) > MOST_BYTES {
            self.make_room(&mut lock(&self.all));
        }
    }

    /// Adds an event to its ring, or gives it back if the ring was dropped.
    fn push(&self, ring: &Ring, mut event: LogEvent, now_us: u64) -> Option<LogEvent> {
        let bytes = size(&event);
        let mut events = lock(&ring.events);
        if events.is_dropped {
            return Some(event);
        }
        // With the lock, so that the events of a ring are in the order of their numbers.
        event.number = self.number(now_us);
        ring.last.store(event.number, Ordering::Relaxed);
        events.kept.push_back((event, bytes));
        events.bytes += bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        while events.kept.len() > MOST_EVENTS || events.bytes > MOST_EVENT_BYTES {
            let Some((_, bytes)) = events.kept.pop_front() else { break };
            events.bytes -= bytes;
            events.dropped += 1;
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        None
    }

    /// A number above all before, also those of an earlier process: who follows a log continues behind a number.
    fn number(&self, now_us: u64) -> u64 {
        let next = |last: u64| now_us.max(last + 1);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_default())
    }

    /// Drops the rings that are silent for longest, an eighth of what may be kept, if there is too much.
    fn make_room(&self, all: &mut HashMap<ExecutionRef, Arc<Ring>>) {
        if all.len() <= MOST_RINGS && self.bytes.load(Ordering::Relaxed) <= MOST_BYTES {
            return;
        }
        let mut oldest: Vec<_> = all.values().map(|ring| (ring.last.load(Ordering::Relaxed), ring.clone())).collect();
        oldest.sort_by_key(|(last, _)| *last);
        for (_, ring) in oldest {
            let is_enough = all.len() <= MOST_RINGS / 8 * 7 && self.bytes.load(Ordering::Relaxed) <= MOST_BYTES / 8 * 7;
            if is_enough || all.len() == 1 {
                return;
            }
            all.remove(&ring.execution);
            let dropped = Events { is_dropped: true, ..Events::default() };
            let events = std::mem::replace(&mut *lock(&ring.events), dropped);
            self.bytes.fetch_sub(events.bytes, Ordering::Relaxed);
        }
    }

    /// The events of an execution behind a number, oldest first.
    pub(super) fn read(&self, execution: &ExecutionRef, query: &LogsQuery) -> Logs {
        let ring = lock(&self.all).get(execution).cloned();
        let Some(ring) = ring else { return Logs { events: Vec::new(), next_after: None, dropped: 0 } };
        let events = lock(&ring.events);
        let after = query.after.unwrap_or_default();
        let limit = query.limit.map_or(MOST_EVENTS, |limit| (limit as usize).clamp(1, MOST_EVENTS));
        let first = events.kept.partition_point(|(event, _)| event.number <= after);
        let mut wanted =
            events.kept.iter().skip(first).filter(|(event, _)| query.level.is_none_or(|level| event.level <= level));
        let given: Vec<_> = wanted.by_ref().take(limit).map(|(event, _)| event.clone()).collect();
        let next_after = wanted.next().and(given.last()).map(|last| last.number);
        Logs { events: given, next_after, dropped: events.dropped }
    }
}

fn size(event: &LogEvent) -> usize {
    let fields = event.fields.as_object().into_iter().flatten();
    let fields: usize = fields.map(|(name, value)| name.len() + value.as_str().map_or(16, str::len) + 64).sum();
    EVENT + event.target.len() + event.message.len() + event.checkpoint.as_ref().map_or(0, String::len) + fields
}

#[cfg(test)]
impl Ring {
    /// Does something while no event can be added.
    pub(super) fn with_events_locked(&self, does: impl FnOnce()) {
        let _events = lock(&self.events);
        does();
    }
}
