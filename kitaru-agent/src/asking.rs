//! Who asks a model again that is away for a while: the model itself, or its caller.
//!
//! Owns the word that passes between the two, through whatever stands between them. Must not know how either waits.

use std::future::Future;

tokio::task_local! {
    /// Set while the caller waits for the model by itself.
    static WAITED_FOR: ();
}

/// Asks, for somebody who waits and asks again if the model is away: it need not try again by itself then.
pub(crate) fn waited_for<F: Future>(asking: F) -> impl Future<Output = F::Output> {
    WAITED_FOR.scope((), asking)
}

/// Whether the caller waits by itself for a model that is away.
#[cfg(feature = "http")]
pub(crate) fn is_waited_for() -> bool {
    WAITED_FOR.try_with(|()| ()).is_ok()
}
