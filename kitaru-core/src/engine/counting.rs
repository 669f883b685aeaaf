//! The last count of the executions of a store. Owns for how long it counts; must not know how it is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::view::StoreCounts;

/// A count that took no longer than this is made each time.
const BRIEF: Duration = Duration::from_millis(50);
/// Counts take at most one part in so many of the time.
const REST: u32 = 20;
/// A count that is older than this is not shown.
const STALE: Duration = Duration::from_secs(60);

/// The last count of the executions of a store.
#[derive(Default)]
pub(crate) struct LastCount {
    pub(super) last: Mutex<Option<TimedCount>>,
    /// Held while the next one is made in the background.
    pub(super) next: Mutex<()>,
}

/// A count, and how long it took.
pub(crate) struct TimedCount {
    pub(super) counts: Arc<StoreCounts>,
    pub(super) ended: Instant,
    pub(super) took: Duration,
}

impl TimedCount {
    /// Whether it may be shown although executions have moved since.
    pub(super) fn is_recent(&self) -> bool {
        self.took > BRIEF && self.ended.elapsed() < STALE
    }

    /// Whether it is time for the next one.
    pub(super) fn is_due(&self) -> bool {
        self.ended.elapsed() >= self.took.saturating_mul(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_of_a_large_store_is_shown_for_a_minute_and_made_again_after_a_rest() {
        let counting = |took_ms: u64, ago_s: u64| {
            let counts = Arc::new(StoreCounts { flows: Vec::new(), uncounted: 0, oldest_wait: None, counted_ms: 0 });
            let ended = Instant::now().checked_sub(Duration::from_secs(ago_s)).expect("the system runs for so long");
            TimedCount { counts, ended, took: Duration::from_millis(took_ms) }
        };
        assert!(!counting(50, 0).is_recent(), "a small store is counted each time");
        assert!(counting(51, 59).is_recent() && !counting(51, 61).is_recent());
        assert!(!counting(1_000, 19).is_due() && counting(1_000, 20).is_due());
    }
}
