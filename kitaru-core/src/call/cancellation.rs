//! How a body, and what it has set going, learns that nobody waits for it any more. Owns the token; must not know why.

use std::fmt;
use std::sync::Arc;

use tokio::sync::SetOnce;

use crate::context::Ambient;

/// The cancellation of the body that this is called in: of its try, to be exact.
///
/// A body is cancelled when its execution is, when its call is dropped (the loser of a [`race`](crate::race())), and when
/// it takes longer than its timeout. An `async` body is dropped then, at its next `.await`. What it has set going beside
/// itself is not, nor is a `blocking` body, which runs on: hand them the token, so that they can stop.
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
            "kitaru::cancellation() was called outside a checkpoint's body; it belongs to a body: ask for it there, before \
             anything is spawned. A flow's own code is dropped when it is cancelled; kitaru::undo registers what is to run \
             then"
        ),
    })
}

/// Tells whether a body was cancelled. Made by [`cancellation`]; clones tell of the same body.
#[derive(Clone)]
pub struct Cancellation(Arc<SetOnce<()>>);

impl Cancellation {
    /// Whether the body was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.initialized()
    }

    /// Waits until the body is cancelled: for ever, if it comes to its end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when this is dropped.
    pub async fn cancelled(&self) {
        self.0.wait().await;
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
