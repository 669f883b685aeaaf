//! The events of a run, as they happen.
//!
//! Owns the events and their way from the loop to the listener. Must not know what causes them.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::delta::{Delta, Deltas};
use crate::message::{RequestPart, ToolCall};
use crate::result::RunResult;
use crate::usage::Usage;

/// An event of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEvent<T = String> {
    /// The model produced more text.
    Text(String),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// The model's response broke off and is asked for again: the text and the tool calls since the last
    /// [`Usage`](Self::Usage) are void.
    Void,
    /// The model's response is complete. The cost of the run so far.
    Usage(Usage),
    /// The model will receive this: the output of a tool, or what was wrong.
    Told(RequestPart),
    /// The run has ended. No event follows.
    Finished(RunResult<T>),
}

type Listener<T> = dyn Fn(RunEvent<T>) -> BoxFuture<'static, ()> + Send + Sync;

/// Where the loop sends events.
pub(crate) struct Events<T>(Option<Arc<Listener<T>>>);

impl<T: 'static> Events<T> {
    pub(crate) fn new(listener: impl Fn(RunEvent<T>) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(crate) fn unheard() -> Self {
        Self(None)
    }

    pub(crate) async fn send(&self, event: RunEvent<T>) {
        if let Some(listener) = &self.0 {
            listener(event).await;
        }
    }

    /// Where a model sends its pieces, if there is a listener.
    pub(crate) fn deltas(&self) -> Option<Deltas> {
        let listener = self.0.clone()?;
        Some(Deltas::new(move |delta| {
            listener(match delta {
                Delta::Text(text) => RunEvent::Text(text),
                Delta::ToolCall(call) => RunEvent::ToolCall(call),
                Delta::Void => RunEvent::Void,
            })
        }))
    }
}
