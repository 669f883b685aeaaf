//! When to retry a request.
//!
//! Owns the decision, as plain functions. Must not know HTTP's client, and waits for nothing itself.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use crate::error::ModelError;
use crate::message::ModelResponse;

/// The result of one try.
pub(crate) enum Attempt {
    Answered(ModelResponse),
    /// A retry would give the same result.
    Settled(ModelError),
    /// The connection or the body broke.
    Failed(ModelError),
    /// The server refused for now, and may have set a time.
    Asked(ModelError, Option<Duration>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) retries: u32,
    pub(crate) max_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { retries: 3, max_wait: Duration::from_secs(60) }
    }
}

impl Patience {
    /// How long to wait before the next try. `None` if there is none. `asked` is the time that the server set.
    pub(crate) fn pause(&self, tries: u32, asked: Option<Duration>) -> Option<Duration> {
        if tries >= self.retries || asked.is_some_and(|asked| asked > self.max_wait) {
            return None;
        }
        let doubled = Duration::from_millis(500).saturating_mul(2u32.saturating_pow(tries)).min(Duration::from_secs(8));
        // Up to a quarter longer, so that clients that failed together do not retry together.
        let jitter = doubled.mul_f64(0.25 * (RandomState::new().hash_one(tries) % 1000) as f64 / 1000.0);
        Some(asked.unwrap_or(doubled + jitter).min(self.max_wait))
    }
}

/// Reads a count of milliseconds.
pub(crate) fn retry_after_ms(value: &str) -> Option<Duration> {
    retry_after_seconds(value.trim().parse::<f64>().ok()? / 1000.0)
}

/// Reads a duration as Google writes it: `34.5s`.
pub(crate) fn retry_delay(value: &str) -> Option<Duration> {
    retry_after_seconds(value.trim().strip_suffix('s')?.parse().ok()?)
}

fn retry_after_seconds(seconds: f64) -> Option<Duration> {
    // A number that does not fit a duration is longer than any.
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Reads `Retry-After`: seconds, a fraction of them, or a date.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return retry_after_seconds(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_a_fraction_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |text| retry_after(text, now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read(" 0.25 "), Some(Duration::from_millis(250)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", SystemTime::now()), Some(Duration::ZERO));
        assert_eq!((read("-1"), read("soon"), read("NaN")), (None, None, None));
        assert_eq!((read("99999999999999999999999"), read("1e400")), (Some(Duration::MAX), Some(Duration::MAX)));
    }

    #[test]
    fn retry_after_in_milliseconds_and_googles_delay_are_read() {
        assert_eq!((retry_after_ms("1500"), retry_after_ms("soon")), (Some(Duration::from_millis(1500)), None));
        assert_eq!((retry_delay("34.5s"), retry_delay("34")), (Some(Duration::from_millis(34_500)), None));
        assert_eq!((retry_delay("-1s"), retry_delay("1e400s")), (None, Some(Duration::MAX)));
    }

    #[test]
    fn without_a_wish_of_the_server_the_pauses_double_up_to_a_bound() {
        let patience = Patience { retries: 9, max_wait: Duration::from_secs(60) };
        let pauses: Vec<_> = (0..9).filter_map(|tries| patience.pause(tries, None)).collect();
        for (pause, seconds) in pauses.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0]) {
            assert!((seconds..=seconds * 1.25).contains(&pause.as_secs_f64()), "{pauses:?}");
        }
        assert_eq!(patience.pause(9, None), None);
        assert_eq!(patience.pause(0, Some(Duration::from_secs(59))), Some(Duration::from_secs(59)));
        assert_eq!(patience.pause(0, Some(Duration::from_secs(61))), None);
    }

    #[test]
    fn server_that_asks_for_the_longest_wait_is_waited_for_and_the_last_try_is_the_last() {
        let patience = Patience { retries: 3, max_wait: Duration::from_secs(60) };
        assert_eq!(patience.pause(2, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(patience.pause(2, Some(Duration::from_millis(60_001))), None);
        assert_eq!(patience.pause(3, Some(Duration::from_secs(1))), None);
    }
}
