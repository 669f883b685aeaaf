//! A branch of a flow. Owns when it is polled again, and catches its panics; must not know its purpose.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use crate::error::Error;

/// A branch, as the driver holds it.
pub(crate) struct Branch {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    waker: Arc<BranchWaker>,
}

struct BranchWaker {
    woken: AtomicBool,
    flow: Waker,
}

impl Wake for BranchWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.flow.wake_by_ref();
    }
}

impl Branch {
    /// A branch that also wakes the flow when it is woken.
    pub(super) fn new(future: impl Future<Output = ()> + Send + 'static, flow: Waker) -> Self {
        Branch { future: Some(Box::pin(future)), waker: Arc::new(BranchWaker { woken: AtomicBool::new(true), flow }) }
    }

    /// Polls the branch if it was woken. The caller has entered the flow's ambient.
    ///
    /// # Errors
    ///
    /// If it panicked.
    pub(crate) fn poll(&mut self) -> Result<(), Error> {
        if !self.waker.woken.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let Some(future) = &mut self.future else { return Ok(()) };
        let waker = Waker::from(self.waker.clone());
        let polled =
            std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut TaskContext::from_waker(&waker))));
        match polled {
            Ok(Poll::Pending) => Ok(()),
            Ok(Poll::Ready(())) => {
                self.future = None;
                Ok(())
            }
            Err(panic) => {
                self.future = None;
                Err(Error::panicked("a branch of the flow", panic))
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.future.is_none()
    }
}
