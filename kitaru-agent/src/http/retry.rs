//! When to ask again.
//!
//! Owns the decision, as plain functions. Must not know HTTP's client, and waits for nothing itself.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use crate::{ModelError, ModelResponse};

/// What one try came to.
pub(crate) enum Attempt {
    Answered(ModelResponse),
    /// Asking again would give the same.
    Settled(ModelError),
    /// The connection or the body broke.
    Failed(ModelError),
    /// The server said no for now, and perhaps for how long.
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
    /// How long to wait before the next try; nothing when there is to be none. `asked` is what the server asked for.
    pub(crate) fn pause(&self, tries: u32, asked: Option<Duration>) -> Option<Duration> {
        if tries >= self.retries || asked.is_some_and(|asked| asked > self.max_wait) {
            return None;
        }
        let doubled = Duration::from_millis(500).saturating_mul(2u32.saturating_pow(tries)).min(Duration::from_secs(8));
        // Up to a quarter longer, so that many clients that failed at once do not come back at once.
        let jitter = doubled.mul_f64(0.25 * (RandomState::new().hash_one(tries) % 1000) as f64 / 1000.0);
        Some(asked.unwrap_or(doubled + jitter).min(self.max_wait))
    }
}

/// Reads `Retry-After`: seconds, a fraction of them, or a date.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}
