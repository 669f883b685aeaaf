//! A future that begins when it is first polled.
//!
//! Owns its states: what is to be done can be changed until then. Must not know what is done.

use std::fmt;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;

/// What is to be done (`Q`), or what does it, on its way to an `O`.
pub(crate) enum Lazy<Q, O> {
    Ready(Box<Q>),
    Running(BoxFuture<'static, O>),
    Over,
}

impl<Q, O> Lazy<Q, O> {
    pub(crate) fn new(question: Q) -> Self {
        Self::Ready(Box::new(question))
    }

    /// Changes what is to be done. What has begun stays as it began.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Q)) {
        if let Self::Ready(question) = self {
            change(question);
        }
    }

    /// What is to be done, for whoever does it in another way.
    ///
    /// # Panics
    ///
    /// When it has begun.
    pub(crate) fn into_question(self) -> Q {
        match self {
            Self::Ready(question) => *question,
            Self::Running(_) | Self::Over => panic!("a run is gone through in another way after it was polled"),
        }
    }

    /// Polls what `begin` makes of the question.
    ///
    /// # Panics
    ///
    /// When it is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, begin: impl FnOnce(Q) -> BoxFuture<'static, O>) -> Poll<O> {
        let mut running = match std::mem::replace(self, Self::Over) {
            Self::Ready(question) => begin(*question),
            Self::Running(running) => running,
            Self::Over => panic!("a run is polled after it has given its result"),
        };
        let polled = running.poll_unpin(cx);
        if polled.is_pending() {
            *self = Self::Running(running);
        }
        polled
    }
}

impl<Q, O> fmt::Debug for Lazy<Q, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "not begun",
            Self::Running(_) | Self::Over => "begun",
        })
    }
}
