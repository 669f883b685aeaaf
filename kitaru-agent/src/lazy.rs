//! A future that begins on its first poll.
//!
//! Owns its states: the task can be changed until then. Must not know the task.

use std::fmt;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;

/// A task (`Q`), or the future that does it, on its way to an `O`.
pub(crate) enum Lazy<Q, O> {
    Ready(Box<Q>),
    Running(BoxFuture<'static, O>),
    Over,
}

impl<Q, O> Lazy<Q, O> {
    pub(crate) fn new(question: Q) -> Self {
        Self::Ready(Box::new(question))
    }

    /// Changes the task. A task that has begun does not change.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Q)) {
        if let Self::Ready(question) = self {
            change(question);
        }
    }

    /// The task, for a caller that does it in another way.
    ///
    /// # Panics
    ///
    /// When the task has begun.
    pub(crate) fn into_question(self) -> Q {
        match self {
            Self::Ready(question) => *question,
            Self::Running(_) | Self::Over => {
                panic!("cannot step through the run: it was polled before; call `.steps()` or `.stream()` first")
            }
        }
    }

    /// Polls the future that `begin` makes of the task.
    ///
    /// # Panics
    ///
    /// When it has returned its output.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, begin: impl FnOnce(Q) -> BoxFuture<'static, O>) -> Poll<O> {
        let mut running = match std::mem::replace(self, Self::Over) {
            Self::Ready(question) => begin(*question),
            Self::Running(running) => running,
            Self::Over => panic!("cannot poll the run: it has returned its result; await it once"),
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
