//! Models behind OpenAI's Responses API.
//!
//! Owns the terms of that API, and where the model and its key come from. Must not know HTTP's client, nor the agent loop.

mod content;
mod items;
mod reply;
mod stream;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde_json::value::RawValue;

use self::stream::ResponseReader;
use crate::delta::Deltas;
use crate::error::ModelError;
use crate::http::{
    Dialect, HttpModel, Question, Reader, Reading, Secret, Settings, builder, configuration, json::Object, set,
};
use crate::message::ModelResponse;
use crate::model::{Model, ModelProfile, ModelRequest};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-5-mini";

/// A model behind OpenAI's Responses API, or a server that speaks the same API.
///
/// It is the API for OpenAI's reasoning models: it returns their reasoning as items, which go back with the conversation
/// unchanged, encrypted where the provider does not show them. Nothing is kept at the provider: each request has the whole
/// conversation (`store` is false).
///
/// It retries like [`OpenAi`](crate::OpenAi). A typed answer comes from a tool call or from a schema. The API has no stop texts,
/// no seed, no penalties and no bound on reasoning. Items of the provider's own tools are kept, and sent back too.
///
/// At Azure, the address is `https://my-resource.openai.azure.com/openai/v1`, and the model is the name of a deployment.
///
/// # Examples
///
/// ```no_run
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, Effort, ModelSettings, OpenAiResponses};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let model = OpenAiResponses::builder_from_env()?.model("gpt-5").build()?;
/// let agent = Agent::builder(model).settings(ModelSettings::default().effort(Effort::Low)).build()?;
/// println!("{}", agent.run("What is a tide?").await?.output);
/// # Ok(())
/// # }
/// ```
pub struct OpenAiResponses {
    http: HttpModel<Responses>,
}

impl OpenAiResponses {
    /// The model that the environment sets: `OPENAI_API_KEY`, `OPENAI_MODEL` (unless set, `gpt-5-mini`) and `OPENAI_BASE_URL`
    /// (unless set, OpenAI's own).
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the key is missing, or the address
    /// is invalid.
    pub fn from_env() -> Result<Self, ModelError> {
        let mut builder = Self::builder_from_env()?;
        if let Some(model) = set("OPENAI_MODEL") {
            builder = builder.model(model);
        }
        builder.build()
    }

    /// A builder with the key and the address of the environment, `OPENAI_API_KEY` and `OPENAI_BASE_URL`. The caller chooses
    /// the model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the key is missing.
    pub fn builder_from_env() -> Result<OpenAiResponsesBuilder, ModelError> {
        let Some(key) = set("OPENAI_API_KEY") else {
            return Err(configuration("cannot ask a model: the API key is missing; set OPENAI_API_KEY"));
        };
        let builder = Self::builder(key);
        Ok(match set("OPENAI_BASE_URL") {
            Some(url) => builder.base_url(url),
            None => builder,
        })
    }

    /// A builder with this key; an empty one for a server that needs none.
    pub fn builder(key: impl Into<String>) -> OpenAiResponsesBuilder {
        OpenAiResponsesBuilder { settings: Settings::new(key.into(), DEFAULT_BASE_URL, DEFAULT_MODEL) }
    }
}

impl fmt::Debug for OpenAiResponses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiResponses")
            .field("model", &self.http.model)
            .field("server", &self.http.host())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Model for OpenAiResponses {
    fn name(&self) -> &str {
        &self.http.model
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.http.request(request).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        self.http.request_streaming(request, deltas).await
    }

    fn profile(&self) -> ModelProfile {
        ModelProfile { tools: true, json_schema: true }
    }
}

/// A builder of an [`OpenAiResponses`].
#[must_use = "call `.build()` to get the model"]
#[derive(Debug)]
pub struct OpenAiResponsesBuilder {
    settings: Settings,
}

builder!(OpenAiResponsesBuilder);

impl OpenAiResponsesBuilder {
    /// Makes the model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the address is not an HTTP
    /// address, the key or an added header cannot be sent, or TLS has no trusted certificates.
    pub fn build(self) -> Result<OpenAiResponses, ModelError> {
        let host = self.settings.host();
        let is_azure = host.ends_with(".openai.azure.com") || host.ends_with(".services.ai.azure.com");
        let key_header = if is_azure { KeyHeader::ApiKey } else { KeyHeader::Bearer };
        Ok(OpenAiResponses { http: self.settings.build(Responses { key_header })? })
    }
}

/// The dialect of the Responses API.
struct Responses {
    key_header: KeyHeader,
}

/// The header that carries the key.
enum KeyHeader {
    Bearer,
    ApiKey,
}

impl Dialect for Responses {
    const PATH: &'static str = "/responses";
    const OWN: &'static [&'static str] = &[
        "model",
        "input",
        "instructions",
        "previous_response_id",
        "conversation",
        "tool_choice",
        "parallel_tool_calls",
        "store",
        "background",
        "stream",
        "temperature",
        "top_p",
        "max_output_tokens",
        "service_tier",
    ];

    fn key_variable(&self) -> &'static str {
        "OPENAI_API_KEY"
    }

    fn headers(&self, key: &Secret) -> HeaderMap {
        let header = match self.key_header {
            KeyHeader::Bearer => key.header("Bearer ").map(|value| (AUTHORIZATION, value)),
            KeyHeader::ApiKey => key.header("").map(|value| (HeaderName::from_static("api-key"), value)),
        };
        header.into_iter().collect()
    }

    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Object, ModelError> {
        wire::body(question, reading)
    }

    fn response(&self, json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        reply::response(json, question)
    }

    fn reader<'a>(&self, question: &'a Question<'a>) -> Box<dyn Reader + 'a> {
        Box::new(ResponseReader::new(question))
    }
}
