//! Branches that a flow spawns with [`spawn`]. Owns the way of a branch's result to its handle; must not know when the
//! driver polls it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use crate::context::{Ambient, Branch};
use crate::runtime::lock;

/// Spawns a branch of the flow. The branch runs concurrently with the flow, and its checkpoints are the flow's.
///
/// It is what `tokio::spawn` would be if a task could carry the flow with it. The driver polls the branches together
/// with the flow, in the order in which they were spawned, so that a replay takes the path of the first run. Await the
/// [`BranchHandle`] for the result. Dropping the handle lets the branch continue. When the flow returns, branches that
/// still run are dropped.
///
/// # Panics
///
/// Outside a flow's own code: use `tokio::spawn` there. A panic in the branch fails the attempt, as one in the flow
/// does.
///
/// # Cancel safety
///
/// Awaiting the handle is cancel safe: no result is lost.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// let branch = kitaru::spawn(async { 6 * 7 });
/// assert_eq!(branch.await, 42);
/// # });
/// ```
pub fn spawn<F>(future: F) -> BranchHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Ambient::Flow(context) = Ambient::current() else {
        panic!("cannot call kitaru::spawn outside a flow's own code: there is no flow to carry; use tokio::spawn there")
    };
    let shared = Arc::new(Mutex::new(Shared { result: None, waiter: None }));
    let branch = {
        let shared = shared.clone();
        async move {
            let result = future.await;
            let waiter = {
                let mut shared = lock(&shared);
                shared.result = Some(result);
                shared.waiter.take()
            };
            waiter.into_iter().for_each(Waker::wake);
        }
    };
    context.add_branch(Branch::new(branch, context.flow_waker().into()));
    BranchHandle { shared }
}

/// The result of a branch, to be awaited. See [`spawn`].
#[must_use = "a branch continues without its handle, but its result is lost"]
pub struct BranchHandle<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

impl<T> fmt::Debug for BranchHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BranchHandle")
            .field("is_finished", &lock(&self.shared).result.is_some())
            .finish_non_exhaustive()
    }
}

struct Shared<T> {
    result: Option<T>,
    waiter: Option<Waker>,
}

impl<T> Future for BranchHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        let mut shared = lock(&self.shared);
        match shared.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                shared.waiter = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
