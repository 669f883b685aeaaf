//! The options that a call's methods set. Must not know how they are applied.

use std::time::Duration;

use crate::call::resolution::Happened;
use crate::machine::Backoff;

/// What the call's methods set.
pub(crate) struct Options<R> {
    pub(crate) retries: u32,
    /// In place of a number of retries.
    pub(crate) outage: Option<Outage<R>>,
    /// The attribute's, unless set.
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_if: Option<RetryIf<R>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    /// How a person says the outcome of a body if it is not known whether it ended.
    pub(crate) happened: Happened<R>,
}

/// For how long an error asks for no further try.
type AskedPause<R> = Box<dyn Fn(&R) -> Option<Duration> + Send + Sync>;

/// Whether a result that is an error allows another try.
type RetryIf<R> = Box<dyn Fn(&R) -> bool + Send + Sync>;

/// Something outside that may have an outage, and how long the call waits for it.
pub(crate) struct Outage<R> {
    pub(crate) what: String,
    pub(crate) longest: Duration,
    /// For how long an error asks for no further try.
    pub(crate) asked: AskedPause<R>,
    /// The text that people see of an error.
    pub(crate) shown: fn(&R) -> String,
}

/// Which log line of a checkpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Occasion {
    /// Its body has run.
    Finished,
    /// A record answers it.
    Cached,
}

/// What a log line adds about a result.
pub type Summarize<R> = fn(&R, Occasion) -> String;
