//! Spans for tools that trace programs: one for each request that a model gets, and one for each call that a tool gets, by the
//! conventions of OpenTelemetry for generative AI. They have a target and a level of their own, so that no log shows them unless
//! it is asked to. Owns their names and fields; must not know who reads them, nor put texts, arguments and answers there.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{Instrument as _, Span, field, trace_span};

use crate::delta::Deltas;
use crate::error::{ModelError, ToolError};
use crate::message::ModelResponse;
use crate::model::{Model, ModelProfile, ModelRequest};
use crate::price::Price;
use crate::tool::{Calling, Invocation, Tool, ToolDefinition};

const TARGET: &str = "kitaru::telemetry";

/// A model whose requests are spans. A durable agent wraps it, so that an answer from a record is none.
pub(crate) struct TracedModel {
    pub(crate) inner: Arc<dyn Model>,
    pub(crate) price: Price,
}

impl TracedModel {
    fn span(&self) -> Span {
        let name = self.inner.name();
        let span = trace_span!(
            target: TARGET,
            "chat",
            otel.name = field::Empty,
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = name,
            gen_ai.usage.input_tokens = field::Empty,
            gen_ai.usage.output_tokens = field::Empty,
            gen_ai.usage.cache_read.input_tokens = field::Empty,
            kitaru.cost = field::Empty,
            "error.type" = field::Empty,
        );
        if !span.is_disabled() {
            span.record("otel.name", field::display(format_args!("chat {name}")));
        }
        span
    }

    fn ended(&self, span: &Span, answered: &Result<ModelResponse, ModelError>) {
        if span.is_disabled() {
            return;
        }
        match answered {
            Ok(response) => {
                let usage = response.usage();
                span.record("gen_ai.usage.input_tokens", usage.tokens.input);
                span.record("gen_ai.usage.output_tokens", usage.tokens.output);
                span.record("gen_ai.usage.cache_read.input_tokens", usage.tokens.cached_input);
                let cost = response.clone().priced(&self.price).usage().cost;
                if !cost.is_zero() {
                    span.record("kitaru.cost", cost.nanos() as f64 / 1e9);
                }
            }
            // Its text may quote what was asked.
            Err(error) => drop(span.record("error.type", field::debug(error.kind()))),
        }
    }
}

#[async_trait]
impl Model for TracedModel {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let span = self.span();
        let answered = self.inner.request(request).instrument(span.clone()).await;
        self.ended(&span, &answered);
        answered
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        let span = self.span();
        let answered = self.inner.request_streaming(request, deltas).instrument(span.clone()).await;
        self.ended(&span, &answered);
        answered
    }

    fn profile(&self) -> ModelProfile {
        self.inner.profile()
    }
}

/// A tool whose calls are spans.
pub(crate) struct TracedTool<D>(pub(crate) Arc<dyn Tool<D>>);

impl<D: Send + Sync + 'static> Tool<D> for TracedTool<D> {
    fn definition(&self) -> &ToolDefinition {
        self.0.definition()
    }

    // Not `async`: what the inner tool does when its future is made must not wait for the first poll.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation<D>) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let name = &*self.0.definition().name;
        let span = trace_span!(
            target: TARGET,
            "execute_tool",
            otel.name = field::Empty,
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = name,
            "error.type" = field::Empty,
        );
        if span.is_disabled() {
            return self.0.call(call);
        }
        span.record("otel.name", field::display(format_args!("execute_tool {name}")));
        let made = span.in_scope(|| self.0.call(call));
        Box::pin(async move {
            let given = made.instrument(span.clone()).await;
            match &given {
                Ok(_) | Err(ToolError::Approval(_)) => {}
                Err(ToolError::Retry(_)) => drop(span.record("error.type", "retry")),
                Err(_) => drop(span.record("error.type", "failed")),
            }
            given
        })
    }
}
