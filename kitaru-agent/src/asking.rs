//! Who retries an unavailable model: the model itself, or its caller.
//!
//! Owns the mark that the caller sets for the model, through any decorators. Must not know how either waits.

use std::future::Future;

tokio::task_local! {
    /// Set while the caller itself waits for the model.
    static WAITED_FOR: ();
}

/// Asks for a caller that waits and retries if the model is unavailable. The model need not retry then.
pub(crate) fn waited_for<F: Future>(asking: F) -> impl Future<Output = F::Output> {
    WAITED_FOR.scope((), asking)
}

/// Whether the caller itself waits for an unavailable model.
#[cfg(feature = "http")]
pub(crate) fn is_waited_for() -> bool {
    WAITED_FOR.try_with(|()| ()).is_ok()
}
