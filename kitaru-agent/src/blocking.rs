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

/// Clients keep connections, and each is served by the runtime that it was made on; so there is one runtime for all.
static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// Blocks this thread until `future` is over.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, AgentError> {
    if is_in_async_code() {
        let message = "a run was to block a thread of an async runtime; await it instead, or call it in \
                       tokio::task::spawn_blocking or in a thread of its own";
        return Err(AgentError::Misuse(message.to_owned()));
    }
    Ok(runtime()?.block_on(future))
}

/// Whether this thread is to go on with other tasks soon.
///
/// On its runtime's threads tokio bounds what a task may do in one poll. It bounds nothing where a thread of a runtime may
/// block: in `spawn_blocking` and `block_in_place`. What is used up here is missed by none: the caller is refused.
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
        .map_err(|error| AgentError::Misuse(format!("no runtime for a run that blocks: {error}")))?;
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
    async fn a_run_blocks_wherever_a_thread_may_block_and_is_refused_elsewhere() {
        assert!(spawn_blocking(blocked).await.is_ok_and(|blocked| blocked));
        assert!(!blocked(), "in the body of a test");
        assert!(block_in_place(blocked));
        assert!(tokio::spawn(async { !blocked() && block_in_place(blocked) }).await.is_ok_and(|right| right));
        let elsewhere = std::thread::spawn(blocked).join();
        assert!(elsewhere.is_ok_and(|blocked| blocked));
    }

    #[tokio::test]
    async fn a_run_is_refused_on_a_runtime_of_one_thread() {
        assert!(!blocked());
        assert!(spawn_blocking(blocked).await.is_ok_and(|blocked| blocked));
    }
}
