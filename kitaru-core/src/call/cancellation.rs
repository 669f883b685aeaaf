//! How a body, and work that it started, learns that its outcome is no longer needed. Owns the token; must not know the
//! reason.

use std::fmt;
use std::sync::Arc;

use tokio::sync::SetOnce;

use crate::context::Ambient;

/// The cancellation of the body that calls this. More precisely, of its current try.
///
/// A body is cancelled when its execution is cancelled, when its call is dropped (the loser of a
/// [`race`](crate::race())), and when it exceeds its timeout. An `async` body is then dropped at its next `.await`.
/// Work that it started elsewhere is not dropped, and neither is a `blocking` body. Give them the token, so that they
/// can stop.
///
/// A flow's own code has no cancellation: it is dropped. [`undo`](crate::undo()) registers what is to run then.
///
/// # Panics
///
/// Outside a checkpoint's body.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::doc_support::*;
/// # run_flow(async {
/// # let body = || async {
/// let cancellation = kitaru::cancellation();
/// let computed = tokio::task::spawn_blocking(move || {
///     let mut rounds = 0;
///     while rounds < 1_000 && !cancellation.is_cancelled() {
///         rounds += 1;
///     }
///     rounds
/// });
/// # Ok::<u32, kitaru::Error>(computed.await.unwrap()) };
/// # assert_eq!(kitaru::dynamic::checkpoint("compute").run(body).await.unwrap(), 1_000);
/// # });
/// ```
pub fn cancellation() -> Cancellation {
    Ambient::with(|ambient| match ambient {
        Ambient::Body(scope) => Cancellation(scope.cancellation()),
        Ambient::Flow(_) | Ambient::Outside => panic!(
            "cannot call kitaru::cancellation(): no checkpoint's body runs here; call it in a body, before anything \
             is spawned"
        ),
    })
}

/// Says whether a body was cancelled. Made by [`cancellation`]. Clones refer to the same body.
#[derive(Clone)]
pub struct Cancellation(Arc<SetOnce<()>>);

impl Cancellation {
    /// Whether the body was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.initialized()
    }

    /// Waits until the body is cancelled. If the body ends first, this waits forever.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future loses nothing.
    pub async fn cancelled(&self) {
        self.0.wait().await;
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
