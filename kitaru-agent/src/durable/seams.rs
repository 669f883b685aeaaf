//! Decorators that make a checkpoint of every call of a model and of a tool, and of what computes instructions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use futures::future::BoxFuture;
use kitaru_core::dynamic::{self, DynamicCheckpoint};
use kitaru_core::{Error, Resolution};
use serde::{Deserialize, Serialize};

use super::bill;
use super::options::{Effect, Record, ToolOptions};
use super::replayed::Replayed;
use crate::{
    Cost, Delta, Deltas, Instructions, Invocation, Model, ModelError, ModelProfile, ModelRequest, ModelResponse, Price,
    RunContext, Tokens, Tool, ToolDefinition, ToolError, ToolOutput, Usage,
};

/// A checkpoint of an agent. Its values are read by name, so that a later version of the types still reads them.
fn checkpoint(name: &str, version: &str) -> DynamicCheckpoint {
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
                let earlier = tries.fetch_add(1, Ordering::Relaxed);
                async move {
                    let response = match deltas {
                        None => self.inner.request(request).await?,
                        Some(deltas) => {
                            if earlier > 0 {
                                deltas.send(Delta::Void).await;
                            }
                            self.inner.request_streaming(request, deltas).await?
                        }
                    };
                    let response = response.priced(&self.price);
                    bill::note(&response.usage());
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

/// What a tool call adds to the usage of a run.
const ONE_CALL: Usage = Usage {
    requests: 0,
    tool_calls: 1,
    tokens: Tokens { input: 0, output: 0, cached_input: 0 },
    cost: Cost::from_nanos(0),
};

/// A tool each of whose calls is a checkpoint.
pub(super) struct DurableTool {
    checkpoint: String,
    version: String,
    inner: Arc<dyn Tool>,
    options: ToolOptions,
    replayed: Replayed,
}

impl DurableTool {
    pub(super) fn new(version: &str, inner: Arc<dyn Tool>, options: ToolOptions, replayed: Replayed) -> Self {
        let checkpoint = format!("{}_tool", inner.definition().name);
        DurableTool { checkpoint, version: version.to_owned(), inner, options, replayed }
    }
}

/// What a tool came to that the model is told. A retry is an outcome like any other, not a failure.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Output(ToolOutput),
    Retry(String),
}

impl ToolOutput {
    /// What somebody answers when a call that may run [once](crate::ToolOptions::once) was cut off, and has done its work
    /// all the same: it gave this.
    ///
    /// # Errors
    ///
    /// None that is known; what is recorded as JSON is written as JSON.
    pub fn happened(&self) -> Result<Resolution, Error> {
        Resolution::happened(&Told::Output(self.clone()))
    }
}

#[async_trait]
impl Tool for DurableTool {
    fn definition(&self) -> &ToolDefinition {
        self.inner.definition()
    }

    // Not an `async fn`: the checkpoint claims its name when the call is made, in the order of the model's calls.
    fn call<'life0, 'async_trait>(
        &'life0 self,
        call: Invocation,
    ) -> BoxFuture<'async_trait, Result<ToolOutput, ToolError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        if self.options.record == Record::No {
            return self.inner.call(call);
        }
        let arguments = call.arguments.clone();
        let tries = Arc::new(AtomicU32::new(0));
        let counted = tries.clone();
        let mut made = checkpoint(&self.checkpoint, &self.version);
        if self.options.effect == Effect::Once {
            made = made.at_most_once().ask_on_interrupt();
        }
        let mut told = made
            .arg("arguments", arguments.as_str())
            .run(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                let call = call.clone();
                async {
                    let told = match self.inner.call(call).await {
                        Ok(output) => Told::Output(output),
                        Err(ToolError::Retry(message)) => Told::Retry(message),
                        Err(failed) => return Err(failed),
                    };
                    bill::note(&ONE_CALL);
                    Ok(told)
                }
            })
            .retries(self.options.retries);
        if let Some(timeout) = self.options.timeout {
            told = told.timeout(timeout);
        }
        Box::pin(async move {
            let told = told.await?;
            if tries.load(Ordering::Relaxed) == 0 {
                self.replayed.add(ONE_CALL);
            }
            match told {
                Told::Output(output) => Ok(output),
                Told::Retry(message) => Err(ToolError::Retry(message)),
            }
        })
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
