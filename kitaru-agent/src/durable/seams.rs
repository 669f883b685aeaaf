//! Decorators that make a checkpoint of every call of a model and of a tool.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use kitaru_core::dynamic;
use serde::{Deserialize, Serialize};

use crate::{
    Invocation, Model, ModelError, ModelProfile, ModelRequest, ModelResponse, Tool, ToolDefinition, ToolError,
    ToolOutput,
};

/// A model each of whose requests is a checkpoint.
pub(super) struct DurableModel {
    checkpoint: String,
    inner: Arc<dyn Model>,
}

impl DurableModel {
    pub(super) fn new(agent: &str, inner: Arc<dyn Model>) -> Self {
        DurableModel { checkpoint: format!("{agent}_model_request"), inner }
    }
}

#[async_trait]
impl Model for DurableModel {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        dynamic::checkpoint(self.checkpoint.clone())
            .json()
            .arg("model", self.inner.name())
            .arg("request", request)
            .run(|| self.inner.request(request))
            .await
    }

    fn profile(&self) -> ModelProfile {
        self.inner.profile()
    }
}

/// A tool each of whose calls is a checkpoint.
pub(super) struct DurableTool {
    checkpoint: String,
    inner: Arc<dyn Tool>,
}

impl DurableTool {
    pub(super) fn new(inner: Arc<dyn Tool>) -> Self {
        DurableTool { checkpoint: format!("{}_tool", inner.definition().name), inner }
    }
}

/// What a tool came to that the model is told. A retry is an outcome like any other, not a failure.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Output(ToolOutput),
    Retry(String),
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
        let arguments = call.arguments.clone();
        let told =
            dynamic::checkpoint(self.checkpoint.clone()).json().arg("arguments", arguments.as_str()).run(move || {
                let call = call.clone();
                async {
                    match self.inner.call(call).await {
                        Ok(output) => Ok(Told::Output(output)),
                        Err(ToolError::Retry(message)) => Ok(Told::Retry(message)),
                        Err(failed) => Err(failed),
                    }
                }
            });
        Box::pin(async {
            match told.await? {
                Told::Output(output) => Ok(output),
                Told::Retry(message) => Err(ToolError::Retry(message)),
            }
        })
    }
}
