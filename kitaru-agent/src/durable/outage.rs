//! For how long a model that is away is waited for.
//!
//! Owns the times. Must not know which errors tell of an outage, nor how a pause is kept.

use std::time::Duration;

use kitaru_core::{Backoff, dynamic};

/// In a flow that is parked meanwhile, and that another process takes up.
const WHERE_IT_IS_PARKED: Duration = Duration::from_secs(24 * 60 * 60);
/// Where somebody waits for the run.
const ELSEWHERE: Duration = Duration::from_secs(2 * 60);
/// The pauses between two requests.
pub(super) const BACKOFF: Backoff = Backoff::starting_at(Duration::from_millis(500)).up_to(Duration::from_secs(300));

/// How long the outage of a model may last: what was set, or what is usual where this code runs.
pub(super) fn longest(set: Option<Duration>) -> Duration {
    set.unwrap_or_else(|| if dynamic::resumes_by_itself() { WHERE_IT_IS_PARKED } else { ELSEWHERE })
}
