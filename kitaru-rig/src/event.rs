//! The events of a run, as they happen.
//!
//! Owns the events, and those of a whole answer. Must not know where the answer comes from.

use std::sync::Arc;

use futures::StreamExt as _;
use rig_core::completion::CompletionResponse;
use rig_core::effect::Outcome;
use rig_core::serve::Reply;
use rig_core::streaming::{Item, Relayed, StreamEvent};
use rig_core::tool::ToolResult;

use crate::usage::RigUsage;

/// An event of a run. See [`RigRun::on_event`](crate::RigRun::on_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RigEvent {
    /// A piece of the model's answer.
    Said(StreamEvent),
    /// The answer broke off. The pieces since the last [`Usage`](Self::Usage) are void.
    Void,
    /// The answer is complete, and recorded if it is a checkpoint. The cost of the run so far.
    Usage(RigUsage),
    /// A tool was called. The model receives this output.
    Tool {
        /// Its name.
        name: String,
        /// Its arguments, as JSON.
        arguments: String,
        /// Its output.
        result: ToolResult,
    },
}

/// The receiver of events.
pub(crate) type Listener = Arc<dyn Fn(RigEvent) + Send + Sync>;

/// Sends a whole answer as if it had been streamed.
pub(crate) async fn tell_whole(response: CompletionResponse, listener: &Listener) {
    let mut pieces = Reply::Outcome(Ok(Outcome::Completion(response))).into_stream();
    while let Some(piece) = pieces.next().await {
        tell_piece(piece.ok(), listener);
    }
}

/// Sends a piece, if its content has a type of its own. Returns whether it did.
pub(crate) fn tell_piece(piece: Option<Relayed>, listener: &Listener) -> bool {
    let Some(Relayed::Item(Item::Event(event))) = piece else { return false };
    listener(RigEvent::Said(event));
    true
}
