//! Tools for testing flows and checkpoints.

mod audit;
mod chance;
mod crash;
mod disk;
mod forking;
mod generation;
mod house;
mod indexes;
mod invariants;
#[cfg(test)]
mod invariants_tests;
mod kit;
mod post;
mod process;
mod quiet;
mod replay;
mod report;
mod script;
mod shelf;
#[doc(hidden)]
pub mod store;
mod storm;
mod table;
mod vigil;

use std::future::Future;

use crate::clock::Clock;
use crate::context::{Ambient, BodyScope, Within};
use crate::value::digest_parts;

pub use crash::{crash_everywhere, crash_report};
pub use forking::fork;
pub use kit::{KitResumeRequest, Stubbed, Testkit};
pub use replay::{replay, replay_file, replay_report};
pub use report::Report;
pub use script::Mismatch;
pub use storm::crash_randomly;
pub use table::JournalTable;

/// Runs a future in which checkpoints are plain functions, with their retries and timeouts, but without a flow, a store or a
/// record. For unit tests of checkpoints.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() {
/// use kitaru::{dynamic::checkpoint, testkit};
///
/// let doubled = testkit::plain(async {
///     checkpoint("double").run(|| async { Ok::<_, kitaru::Error>(2 * 21) }).await
/// });
/// assert_eq!(doubled.await.unwrap(), 42);
/// # }
/// ```
pub fn plain<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let scope = BodyScope::plain(Clock::system(), digest_parts(&[b"plain"]));
    Within::new(Ambient::Body(scope), future)
}
