//! The pieces of a response while the model still produces it.
//!
//! Owns the pieces of a response and their way. Must not know who listens.

use std::{fmt, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};

use crate::message::{ModelResponse, ResponsePart, ToolCall};

/// A piece of a response that is still on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// More of a text.
    Text(String),
    /// A complete tool call.
    ToolCall(ToolCall),
    /// The response broke off and is asked for again: all pieces so far are void.
    Void,
}

type Send = dyn Fn(Delta) -> BoxFuture<'static, ()> + std::marker::Send + Sync;

/// Where a model sends the pieces of a response. Clones share the destination.
#[derive(Clone)]
pub struct Deltas(Option<Arc<Send>>);

impl Deltas {
    /// Calls `send` for each piece; a piece is taken when its future is ready.
    pub fn new<F>(send: F) -> Self
    where
        F: Fn(Delta) -> BoxFuture<'static, ()> + std::marker::Send + Sync + 'static,
    {
        Self(Some(Arc::new(send)))
    }

    /// For requests without a listener.
    pub fn unheard() -> Self {
        Self(None)
    }

    /// Sends one piece.
    ///
    /// # Cancel safety
    ///
    /// A piece whose future is dropped may not have been taken.
    pub fn send(&self, delta: Delta) -> BoxFuture<'static, ()> {
        match &self.0 {
            Some(send) => send(delta),
            None => futures::future::ready(()).boxed(),
        }
    }

    /// Sends a whole response, each text and each tool call as one piece.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the pieces that follow are not sent, and the last one may not have been taken.
    pub async fn send_whole(&self, response: &ModelResponse) {
        for part in &response.parts {
            match part {
                ResponsePart::Text(text) => self.send(Delta::Text(text.content.clone())).await,
                ResponsePart::ToolCall(call) => self.send(Delta::ToolCall(call.clone())).await,
                // They are for the provider.
                ResponsePart::Reasoning(_) | ResponsePart::Opaque(_) => {}
            }
        }
    }
}

impl fmt::Debug for Deltas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Deltas(heard)" } else { "Deltas(unheard)" })
    }
}
