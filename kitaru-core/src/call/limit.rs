//! A bound on how long a flow waits for something, kept across crashes. Owns the race of the two.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::call::timer::Sleep;
use crate::error::{Error, Kind, cannot};

/// Waits for a future, such as a call or a block of calls, for at most this long. The time begins when this is first
/// polled. It is recorded, and continues across crashes and restarts. A checkpoint's own
/// [`timeout`](crate::Call::timeout) differs: it bounds one try of its body.
///
/// A future that takes longer is dropped, which cancels it.
///
/// # Errors
///
/// A [timeout](Error::is_timeout), if the time is over first.
///
/// # Panics
///
/// Outside a flow's own code: use `tokio::time::timeout` there.
///
/// # Cancel safety
///
/// Dropping it drops the future, which cancels a checkpoint's call in it.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// use std::time::Duration;
///
/// let answer = kitaru::timeout(Duration::from_secs(60), async { 42 }).await;
/// assert_eq!(answer.unwrap(), 42);
/// let late = kitaru::timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
/// assert!(late.unwrap_err().is_timeout());
/// # });
/// ```
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future: Box::pin(future), limit: Sleep::limit(duration), duration }
}

/// A future and how long it may take. Made by [`timeout`].
#[must_use = "futures do nothing unless awaited"]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    limit: Sleep,
    duration: Duration,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The future first: if both are ready, it was in time.
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let duration = self.duration;
        Pin::new(&mut self.limit).poll(cx).map(|()| {
            Err(cannot!(
                Kind::TimedOut,
                "finish the future",
                "it timed out, it took longer than {duration:?}",
                "raise the timeout"
            ))
        })
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("duration", &self.duration).finish_non_exhaustive()
    }
}
