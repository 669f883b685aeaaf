//! The execution around the current code.

use std::sync::Arc;

use crate::context::{Ambient, Context};
use crate::view::ExecutionRef;

/// The execution of the flow or the body that calls this: for a link in a question, the name of a channel, a line in a log.
/// None outside flows, and where `testkit::plain` makes checkpoints plain functions.
///
/// Every attempt gets the same value. It is not a part of a checkpoint's key: pass it as an argument where it matters.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// # let refund = kitaru::dynamic::flow("refund").run(|| async {
/// let link = match kitaru::current_execution() {
///     Some(execution) => format!("https://desk.example/approve/{execution}"),
///     None => "no flow".to_owned(),
/// };
/// # Ok::<_, kitaru::Error>(link) });
/// # assert_eq!(refund.id("r-1").on(&kitaru).await?, "https://desk.example/approve/refund/r-1");
/// # Ok(()) }
/// ```
pub fn current_execution() -> Option<ExecutionRef> {
    context().map(|context| ExecutionRef::of(&context.attempt.execution))
}

/// Whether the flow or the body that calls this belongs to a [fork](crate::Kitaru::fork), or to a child that a fork began: then an
/// effect may have happened in the original. `false` outside flows.
///
/// Every attempt gets the same value.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// # let refund = kitaru::dynamic::flow("refund").run(|| async {
/// # async fn send_mail() {}
/// if !kitaru::is_fork() {
///     send_mail().await;
/// }
/// # Ok::<_, kitaru::Error>(()) });
/// # refund.id("r-1").on(&kitaru).await?;
/// # Ok(()) }
/// ```
pub fn is_fork() -> bool {
    context().is_some_and(|context| context.attempt.fork.is_some())
}

fn context() -> Option<Arc<Context>> {
    match Ambient::current() {
        Ambient::Flow(context) => Some(context),
        Ambient::Body(scope) => scope.context(),
        Ambient::Outside => None,
    }
}
