//! Models behind Anthropic's messages API.
//!
//! Owns the terms of that API, and where the model and its key come from. Must not know HTTP's client, nor the agent loop.

mod content;
mod reply;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;

use self::stream::MessageReader;
use crate::delta::Deltas;
use crate::error::ModelError;
use crate::http::{
    Dialect, HttpModel, Question, Reader, Reading, Secret, Settings, builder, configuration, json::Object, set,
};
use crate::message::ModelResponse;
use crate::model::{Model, ModelRequest};

const DEFAULT_BASE_URL: &str = "https://api.anthropic.com/v1";
const DEFAULT_MODEL: &str = "claude-sonnet-4-5";
const VERSION: &str = "2023-06-01";

/// A model behind Anthropic's messages API, or a server that speaks the same API.
///
/// It retries like [`OpenAi`](crate::OpenAi). A typed answer comes from a tool call. The API has no seed and no penalties.
///
/// A model with an [effort](crate::ModelSettings::effort) thinks before it answers. Older models think within a bound, newer
/// ones adapt. The API does not force a tool call of a model that thinks, so such a model may answer in words first, and is asked
/// again.
///
/// The API requires a bound on each answer, thinking included. Unless [`ModelSettings::max_tokens`](crate::ModelSettings) sets
/// it, it is 16,384 tokens, 8,192 for Claude 3.5 and for models other than Claude, and 4,096 for older ones, which accept no
/// more. An answer that reaches the bound is an error.
///
/// Blocks of kinds other than text and tool calls (`thinking` with its signature, `redacted_thinking`, those of the provider's
/// own tools) are kept, and sent back with the conversation unchanged.
///
/// # Examples
///
/// ```no_run
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, Anthropic};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder(Anthropic::from_env()?).instructions("Be brief.").build()?;
/// println!("{}", agent.run("What is a tide?").await?.output);
/// # Ok(())
/// # }
/// ```
pub struct Anthropic {
    http: HttpModel<Messages>,
}

impl Anthropic {
    /// The model that the environment sets: `ANTHROPIC_API_KEY`, `ANTHROPIC_MODEL` (unless set, `claude-sonnet-4-5`) and
    /// `ANTHROPIC_BASE_URL` (unless set, Anthropic's own).
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the key is missing, or the address
    /// is invalid.
    pub fn from_env() -> Result<Self, ModelError> {
        let mut builder = Self::builder_from_env()?;
        if let Some(model) = set("ANTHROPIC_MODEL") {
            builder = builder.model(model);
        }
        builder.build()
    }

    /// A builder with the key and the address of the environment, `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL`. The caller
    /// chooses the model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the key is missing.
    pub fn builder_from_env() -> Result<AnthropicBuilder, ModelError> {
        let Some(key) = set("ANTHROPIC_API_KEY") else {
            return Err(configuration("cannot ask a model: the API key is missing; set ANTHROPIC_API_KEY"));
        };
        let builder = Self::builder(key);
        Ok(match set("ANTHROPIC_BASE_URL") {
            Some(url) => builder.base_url(url),
            None => builder,
        })
    }

    /// A builder with this key.
    pub fn builder(key: impl Into<String>) -> AnthropicBuilder {
        AnthropicBuilder { settings: Settings::new(key.into(), DEFAULT_BASE_URL, DEFAULT_MODEL) }
    }
}

impl fmt::Debug for Anthropic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anthropic")
            .field("model", &self.http.model)
            .field("server", &self.http.host())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Model for Anthropic {
    fn name(&self) -> &str {
        &self.http.model
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.http.request(request).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        self.http.request_streaming(request, deltas).await
    }
}

/// A builder of an [`Anthropic`].
#[must_use = "call `.build()` to get the model"]
#[derive(Debug)]
pub struct AnthropicBuilder {
    settings: Settings,
}

builder!(AnthropicBuilder);

impl AnthropicBuilder {
    /// Makes the model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the address is not an HTTP
    /// address, the key or an added header cannot be sent, or TLS has no trusted certificates.
    pub fn build(self) -> Result<Anthropic, ModelError> {
        Ok(Anthropic { http: self.settings.build(Messages)? })
    }
}

/// The dialect of the messages API.
struct Messages;

impl Dialect for Messages {
    const PATH: &'static str = "/messages";
    const OWN: &'static [&'static str] = &[
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "service_tier",
    ];

    fn key_variable(&self) -> &'static str {
        "ANTHROPIC_API_KEY"
    }

    fn headers(&self, key: &Secret) -> HeaderMap {
        let version = (HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
        let key = key.header("").map(|value| (HeaderName::from_static("x-api-key"), value));
        key.into_iter().chain([version]).collect()
    }

    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Object, ModelError> {
        wire::body(question, reading)
    }

    fn response(&self, json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        stream::response(json, question)
    }

    fn reader<'a>(&self, question: &'a Question<'a>) -> Box<dyn Reader + 'a> {
        Box::new(MessageReader::new(question))
    }
}
