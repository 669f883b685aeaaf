//! Runs for code that is not async.
//!
//! Owns the one runtime that they share. Must not know what runs on it.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::AgentError;

/// Clients keep connections, and each is served by the runtime that it was made on; so there is one runtime for all.
static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// Blocks this thread until `future` is over.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, AgentError> {
    if Handle::try_current().is_ok() {
        let message = "a run was to block a thread of an async runtime; await it instead, or call it in a thread of its \
                       own";
        return Err(AgentError::Misuse(message.to_owned()));
    }
    Ok(runtime()?.block_on(future))
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
