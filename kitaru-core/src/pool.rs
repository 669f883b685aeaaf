//! Where blocking work runs: on the runtime's blocking pool or, if a test keeps everything on one thread, immediately.
//! Must not know the work.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::JoinHandle;

thread_local! {
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// Why blocking work gave no result.
pub(crate) enum Gone {
    Panicked(Box<dyn Any + Send>),
    /// The runtime shuts down.
    ShutDown,
}

/// Makes blocking work on this thread run immediately from now on.
#[cfg(feature = "testkit")]
pub(crate) fn work_at_once() {
    AT_ONCE.set(true);
}

/// Runs blocking work outside the runtime's threads. It begins before this is polled.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Gone>> + Send {
    let begun = match AT_ONCE.get() {
        true => Begun::Done(catch_unwind(AssertUnwindSafe(work)).map_err(Gone::Panicked)),
        false => Begun::OnThePool(tokio::task::spawn_blocking(work)),
    };
    async move {
        match begun {
            Begun::Done(done) => done,
            Begun::OnThePool(working) => working.await.map_err(|failed| match failed.is_panic() {
                true => Gone::Panicked(failed.into_panic()),
                false => Gone::ShutDown,
            }),
        }
    }
}

enum Begun<T> {
    Done(Result<T, Gone>),
    OnThePool(JoinHandle<T>),
}
