//! How long to wait between the tries of a checkpoint. Owns the arithmetic; must not know what is tried.

use std::time::Duration;

/// The pause before each further try of a checkpoint. It doubles from try to try up to a bound, and varies randomly by
/// a fifth, so that calls that failed together do not repeat together.
///
/// Exponential backoff with jitter as in Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// The pause before the second try.
    pub const DEFAULT_FIRST: Duration = Duration::from_millis(200);
    /// The longest pause.
    pub const DEFAULT_CAP: Duration = Duration::from_secs(60);

    /// A backoff that starts with `first` and grows to [`DEFAULT_CAP`](Backoff::DEFAULT_CAP), or to `first` if that is
    /// longer.
    pub const fn starting_at(first: Duration) -> Self {
        let cap = if first.as_millis() > Self::DEFAULT_CAP.as_millis() { first } else { Self::DEFAULT_CAP };
        Self { first, cap }
    }

    /// The same, growing to `cap` instead.
    #[must_use]
    pub const fn up_to(self, cap: Duration) -> Self {
        Self { first: self.first, cap }
    }

    /// Whether a requested pause is ignored: a pause shorter than the first one is not a rest.
    pub(crate) fn is_no_rest(&self, asked: Duration) -> bool {
        asked < self.first.min(self.cap)
    }

    /// The pause after `failures` tries that failed, with `chance` between 0 and `u64::MAX`.
    pub(crate) fn pause(&self, failures: u32, chance: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        let spread = 0.8 + 0.4 * (chance as f64 / u64::MAX as f64);
        // A pause that no duration can express is over any bound.
        Duration::try_from_secs_f64(full.as_secs_f64() * spread).unwrap_or(Duration::MAX).min(self.cap)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::starting_at(Self::DEFAULT_FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_cap_and_strays_by_a_fifth() {
        let backoff = Backoff::starting_at(Duration::from_secs(1));
        let middle = u64::MAX / 2;
        let seconds = |failures, chance| backoff.pause(failures, chance).as_secs_f64();
        assert!((seconds(1, middle) - 1.0).abs() < 0.01);
        assert!((seconds(3, middle) - 4.0).abs() < 0.01);
        assert!((seconds(3, 0) - 3.2).abs() < 0.01);
        assert!((seconds(3, u64::MAX) - 4.8).abs() < 0.01);
        assert!(seconds(1_000_000, u64::MAX) <= 60.0);
        let long = backoff.up_to(Duration::from_secs(3_600));
        assert_eq!(long.pause(1_000_000, u64::MAX), Duration::from_secs(3_600));
        assert_eq!(backoff.up_to(Duration::from_millis(10)).pause(1, 0), Duration::from_millis(8));
    }

    #[test]
    fn the_longest_pause_is_a_pause_like_any_other() {
        let longest = Backoff::starting_at(Duration::MAX);
        for chance in [0, u64::MAX / 2, u64::MAX] {
            assert!(longest.pause(1, chance) > Duration::MAX / 2);
            assert!(longest.pause(u32::MAX, chance) > Duration::MAX / 2);
        }
    }

    #[test]
    fn the_first_pause_is_200_ms_unless_set() {
        assert_eq!(Backoff::default().pause(1, 0), Duration::from_millis(160));
        assert_eq!(Backoff::default().pause(1, u64::MAX), Duration::from_millis(240));
    }
}
