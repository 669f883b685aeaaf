//! A future in an ambient of its own. Must not know what the future does.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll};

use crate::context::ambient::Ambient;

/// A future that is polled, and dropped, in an ambient of its own.
pub(crate) struct Within<F> {
    ambient: Ambient,
    future: Option<Pin<Box<F>>>,
}

impl<F> Within<F> {
    pub(crate) fn new(ambient: Ambient, future: F) -> Self {
        Within { ambient, future: Some(Box::pin(future)) }
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let entered = self.ambient.clone().enter();
        let future = self.future.as_mut().expect("polled after it was dropped");
        let polled = pin!(future).as_mut().poll(cx);
        drop(entered);
        polled
    }
}

impl<F> Drop for Within<F> {
    fn drop(&mut self) {
        let _entered = self.ambient.clone().enter();
        self.future = None;
    }
}
