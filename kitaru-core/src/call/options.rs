//! How a call is to run: what its methods set. Owns the words for that; must not know what is done with them.

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
    /// How a person says what the body came to, where it is not known that it ended.
    pub(crate) happened: Happened<R>,
}

/// How long a result that is an error asks to be left alone.
type AskedPause<R> = Box<dyn Fn(&R) -> Option<Duration> + Send + Sync>;

/// Whether a result that is an error is worth another try.
type RetryIf<R> = Box<dyn Fn(&R) -> bool + Send + Sync>;

/// Something outside that may be away for a while, and for how long it is waited for.
pub(crate) struct Outage<R> {
    pub(crate) what: String,
    pub(crate) longest: Duration,
    /// How long a result asks to be left alone.
    pub(crate) asked: AskedPause<R>,
    /// What people are told of a result that is an error.
    pub(crate) shown: fn(&R) -> String,
}

/// What a log line tells of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Occasion {
    /// Its body has run.
    Finished,
    /// A record answers it.
    Cached,
}

/// What a log line adds of a result.
pub type Summarize<R> = fn(&R, Occasion) -> String;
