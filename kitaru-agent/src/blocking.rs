//! Runs for code that is not async.
//!
//! Owns the one runtime that they share. Must not know what runs on it.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::coop,
};

use crate::error::AgentError;

/// Clients keep connections, and the runtime on which a connection was made serves it. So all runs share one runtime.
static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// Blocks this thread until `future` is ready.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, AgentError> {
    if is_in_async_code() {
        let message =
            "cannot block on a run: this thread belongs to an async runtime; await the run, or use spawn_blocking";
        return Err(AgentError::Misuse(message.to_owned()));
    }
    Ok(runtime()?.block_on(future))
}

/// Whether this thread must soon continue with other tasks.
///
/// On its runtime's threads tokio bounds what a task may do in one poll. It sets no bound on threads that may block: in
/// `spawn_blocking` and `block_in_place`. Using up the bound here does no harm: the caller is refused.
fn is_in_async_code() -> bool {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut is_bounded = || match coop::poll_proceed(cx) {
        Poll::Ready(proceeding) => {
            proceeding.made_progress();
            false
        }
        Poll::Pending => true,
    };
    Handle::try_current().is_ok() && (0..=u8::MAX).any(|_| is_bounded())
}

fn runtime() -> Result<&'static Runtime, AgentError> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = *runtime {
        return Ok(runtime);
    }
    let built = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AgentError::Misuse(format!("cannot make a runtime for a blocking run: {error}")))?;
    Ok(runtime.insert(Box::leak(Box::new(built))))
}

#[cfg(test)]
mod tests {
    use tokio::task::{block_in_place, spawn_blocking};

    use super::*;

    fn blocked() -> bool {
        match block_on(async { 1 }) {
            Ok(one) => one == 1,
            Err(error) => {
                assert!(error.to_string().contains("spawn_blocking"), "{error}");
                false
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn run_blocks_only_on_threads_that_may_block() {
        assert!(spawn_blocking(blocked).await.is_ok_and(|blocked| blocked));
        assert!(!blocked(), "in the body of a test");
        assert!(block_in_place(blocked));
        assert!(tokio::spawn(async { !blocked() && block_in_place(blocked) }).await.is_ok_and(|right| right));
        let elsewhere = std::thread::spawn(blocked).join();
        assert!(elsewhere.is_ok_and(|blocked| blocked));
    }

    #[tokio::test]
    async fn blocking_run_is_refused_on_a_runtime_of_one_thread() {
        assert!(!blocked());
        assert!(spawn_blocking(blocked).await.is_ok_and(|blocked| blocked));
    }
}
