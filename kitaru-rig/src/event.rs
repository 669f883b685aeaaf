//! What happens in a run, as it is told while it happens.
//!
//! Owns the events and telling those of an answer that is there as a whole. Must not know where it comes from.

use std::sync::Arc;

use futures::StreamExt as _;
use rig_core::completion::CompletionResponse;
use rig_core::effect::Outcome;
use rig_core::serve::Reply;
use rig_core::streaming::{Item, Relayed, StreamEvent};
use rig_core::tool::ToolResult;

use crate::usage::RigUsage;

/// What is told of a run while it happens. See [`RigRun::on_event`](crate::RigRun::on_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RigEvent {
    /// A piece of what the model says.
    Said(StreamEvent),
    /// The answer broke off. What was said since the last [`Usage`](Self::Usage) is void.
    Void,
    /// The answer is complete, and recorded where it is a checkpoint. This is what the run has cost so far.
    Usage(RigUsage),
    /// A tool was called, and gave this, which the model is told.
    Tool {
        /// Its name.
        name: String,
        /// What it was called with, as JSON.
        arguments: String,
        /// What it gave.
        result: ToolResult,
    },
}

/// Who is told.
pub(crate) type Listener = Arc<dyn Fn(RigEvent) + Send + Sync>;

/// Tells an answer as if it had been said piece by piece.
pub(crate) async fn tell_whole(response: CompletionResponse, listener: &Listener) {
    let mut pieces = Reply::Outcome(Ok(Outcome::Completion(response))).into_stream();
    while let Some(piece) = pieces.next().await {
        tell_piece(piece.ok(), listener);
    }
}

/// Tells a piece, if there is anything in it that is modelled. Whether there was.
pub(crate) fn tell_piece(piece: Option<Relayed>, listener: &Listener) -> bool {
    let Some(Relayed::Item(Item::Event(event))) = piece else { return false };
    listener(RigEvent::Said(event));
    true
}
