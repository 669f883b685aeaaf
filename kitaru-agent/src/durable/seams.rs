//! Decorators that make a checkpoint of every request to a model, and of what computes instructions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use kitaru_core::dynamic::{self, DynamicCheckpoint};

use super::bill;
use super::replayed::Replayed;
use crate::{
    Deltas, Instructions, Model, ModelError, ModelProfile, ModelRequest, ModelResponse, Price, RunContext, ToolError,
};

/// A checkpoint of an agent. Its values are read by name, so that a later version of the types still reads them.
pub(super) fn checkpoint(name: &str, version: &str) -> DynamicCheckpoint {
    dynamic::checkpoint(name.to_owned()).version(version.to_owned()).json()
}

/// A model each of whose requests is a checkpoint.
pub(super) struct DurableModel {
    checkpoint: String,
    version: String,
    inner: Arc<dyn Model>,
    replayed: Replayed,
    price: Price,
}

impl DurableModel {
    pub(super) fn new(agent: &str, version: &str, inner: Arc<dyn Model>, replayed: Replayed, price: Price) -> Self {
        let checkpoint = format!("{agent}_model_request");
        DurableModel { checkpoint, version: version.to_owned(), inner, replayed, price }
    }

    /// Whether somebody listens is no part of the question: streamed and plain requests answer each other.
    async fn ask(&self, request: &ModelRequest, deltas: Option<&Deltas>) -> Result<ModelResponse, ModelError> {
        let tries = AtomicU32::new(0);
        let asked = checkpoint(&self.checkpoint, &self.version)
            .arg("model", self.inner.name())
            .arg("request", request)
            .run(|| {
                tries.fetch_add(1, Ordering::Relaxed);
                async move {
                    let response = match deltas {
                        None => self.inner.request(request).await?,
                        Some(deltas) => self.inner.request_streaming(request, deltas).await?,
                    };
                    let response = response.priced(&self.price);
                    bill::note(response.usage());
                    Ok::<_, ModelError>(response)
                }
            });
        let response = asked.await?;
        if tries.into_inner() == 0 {
            self.replayed.add(response.usage());
            if let Some(deltas) = deltas {
                deltas.send_whole(&response).await;
            }
        }
        Ok(response)
    }
}

#[async_trait]
impl Model for DurableModel {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.ask(request, None).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        self.ask(request, Some(deltas)).await
    }

    fn profile(&self) -> ModelProfile {
        self.inner.profile()
    }
}

/// Instructions that are computed once, and recorded: what they look at may have changed when they are needed again.
pub(super) struct DurableInstructions {
    checkpoint: String,
    version: String,
    prompt: String,
    inner: Arc<dyn Instructions>,
}

impl DurableInstructions {
    pub(super) fn new(agent: &str, version: &str, prompt: &str, inner: Arc<dyn Instructions>) -> Self {
        let checkpoint = format!("{agent}_instructions");
        DurableInstructions { checkpoint, version: version.to_owned(), prompt: prompt.to_owned(), inner }
    }
}

#[async_trait]
impl Instructions for DurableInstructions {
    async fn text(&self, context: RunContext) -> Result<String, ToolError> {
        checkpoint(&self.checkpoint, &self.version)
            .arg("prompt", &self.prompt)
            .run(|| self.inner.text(context.clone()))
            .await
    }
}
