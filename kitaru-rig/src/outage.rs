//! For how long a model that is away is waited for.
//!
//! Owns the times. Must not know which errors tell of an outage, nor how a pause is kept.

use std::time::Duration;

use kitaru_core::{Backoff, dynamic};

use crate::rig::Patience;

/// In a flow that is parked meanwhile, and that another process takes up.
const WHERE_IT_IS_PARKED: Duration = Duration::from_secs(24 * 60 * 60);
/// Where somebody waits for the run.
const ELSEWHERE: Duration = Duration::from_secs(2 * 60);
/// The pauses between two requests.
pub(crate) const BACKOFF: Backoff = Backoff::starting_at(Duration::from_millis(500)).up_to(Duration::from_secs(300));

/// How long the outage of a model may last, or else how many times more it is asked.
pub(crate) fn longest(patience: Patience) -> Result<Duration, u32> {
    match patience {
        Patience::Usual if dynamic::resumes_by_itself() => Ok(WHERE_IT_IS_PARKED),
        Patience::Usual => Ok(ELSEWHERE),
        Patience::Time(longest) => Ok(longest),
        Patience::Times(times) => Err(times),
    }
}
