//! A call that gives its outcome together with its origin. Must not know how the origin is found out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use crate::call::origin::Origin;
use crate::call::{Body, Call};

impl<B: Body> Call<B> {
    /// Gives the outcome together with its origin. Nothing else about the call changes.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # use kitaru_core::doc_support::*;
    /// # run_flow(async {
    /// use kitaru::Error;
    /// use kitaru::dynamic::{Origin, checkpoint};
    ///
    /// let summary = checkpoint("summary").run(|| async { Ok::<_, Error>("rain".to_owned()) });
    /// let (summary, origin) = summary.retries(2).with_origin().await;
    /// assert_eq!(summary.unwrap(), "rain");
    /// // A replay of this flow gives `Origin::Replayed`.
    /// assert_eq!(origin, Origin::Ran);
    /// # });
    /// ```
    pub fn with_origin(self) -> WithOrigin<B> {
        WithOrigin { call: self }
    }
}

/// The future of an outcome and its origin. See [`Call::with_origin`].
#[must_use = "a checkpoint does nothing unless awaited"]
pub struct WithOrigin<B: Body> {
    call: Call<B>,
}

impl<B: Body> fmt::Debug for WithOrigin<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WithOrigin").field(&self.call).finish()
    }
}

impl<B: Body> Future for WithOrigin<B> {
    type Output = (B::Output, Origin);

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.call.poll_with_origin(cx)
    }
}
