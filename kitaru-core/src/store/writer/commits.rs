//! How many commits a writer has made, and how long they took. Owns the classes in which they are counted; must not know what was
//! committed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Commits are counted in classes: those that took at most this many microseconds, and more than those of the class before. The
/// last class, behind these, has no bound.
pub(crate) const CLASS_BOUNDS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// Counts commits. Only the writer's thread adds to it.
#[derive(Default)]
pub(super) struct CommitCounter {
    classes: [AtomicU64; CLASS_BOUNDS_US.len() + 1],
    took_us: AtomicU64,
    failed: AtomicU64,
}

/// The commits so far, those that failed included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitTimes {
    pub(crate) classes: [u64; CLASS_BOUNDS_US.len() + 1],
    pub(crate) took_us: u64,
    pub(crate) failed: u64,
}

impl CommitCounter {
    pub(super) fn add(&self, took: Duration, is_durable: bool) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = CLASS_BOUNDS_US.partition_point(|bound_us| *bound_us < took_us);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        self.took_us.fetch_add(took_us, Ordering::Relaxed);
        if !is_durable {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn so_far(&self) -> CommitTimes {
        CommitTimes {
            classes: self.classes.each_ref().map(|class| class.load(Ordering::Relaxed)),
            took_us: self.took_us.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_is_counted_in_the_class_whose_bound_it_does_not_exceed() {
        let counter = CommitCounter::default();
        for us in [0, 100, 101, 1_000_000, 1_000_001, 9_000_000] {
            counter.add(Duration::from_micros(us), us != 101);
        }
        let CommitTimes { classes, took_us, failed } = counter.so_far();
        assert_eq!((classes[0], classes[1], classes[11], classes[12]), (2, 1, 1, 2));
        assert_eq!((classes.iter().sum::<u64>(), took_us, failed), (6, 11_000_202, 1));
    }
}
