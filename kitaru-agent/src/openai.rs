//! OpenAI-compatible chat completions.
//!
//! Owns the words of that API, and where the model and its key come from. Must not know HTTP's client, nor the agent
//! loop.

mod stream;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use self::stream::ChatReader;
use crate::{
    Deltas, Model, ModelError, ModelProfile, ModelRequest, ModelResponse,
    http::{Dialect, HttpModel, Question, Reader, Reading, Secret, Settings, builder, configuration, set},
};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4.1-mini";

/// A model behind an OpenAI-compatible server: OpenAI's own, or one of the many that speak the same (llama.cpp, vLLM,
/// Ollama, gateways).
///
/// 429, 408 and 5xx, broken connections, bodies that are no JSON and streams that stall or break off are tried again,
/// as many times as [`retries`](OpenAiBuilder::retries) says, after the time that `Retry-After` asks for. A request that
/// timed out before its answer began is not: the provider may be at work on it, and paid.
///
/// The environment's proxies (`HTTPS_PROXY`, `NO_PROXY`) are used, except for a server on this machine.
///
/// # Examples
///
/// ```no_run
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, OpenAi};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder(OpenAi::from_env()?).instructions("Be brief.").build()?;
/// println!("{}", agent.run("What is a tide?").await?.output);
/// # Ok(())
/// # }
/// ```
pub struct OpenAi {
    http: HttpModel<Chat>,
}

impl OpenAi {
    /// The model that the environment names: `OPENAI_API_KEY`, `OPENAI_MODEL` (unless set, `gpt-4.1-mini`) and
    /// `OPENAI_BASE_URL` (unless set, OpenAI's own).
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when there is no key, or the address
    /// is none.
    pub fn from_env() -> Result<Self, ModelError> {
        let mut builder = Self::builder_from_env()?;
        if let Some(model) = set("OPENAI_MODEL") {
            builder = builder.model(model);
        }
        builder.build()
    }

    /// Begins a model with the key and the address of the environment, `OPENAI_API_KEY` and `OPENAI_BASE_URL`, for
    /// those who choose the model themselves.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when there is no key.
    pub fn builder_from_env() -> Result<OpenAiBuilder, ModelError> {
        let Some(key) = set("OPENAI_API_KEY") else {
            return Err(configuration("no API key; set OPENAI_API_KEY (a local server takes any value)"));
        };
        let builder = Self::builder(key);
        Ok(match set("OPENAI_BASE_URL") {
            Some(url) => builder.base_url(url),
            None => builder,
        })
    }

    /// Begins a model with this key.
    pub fn builder(key: impl Into<String>) -> OpenAiBuilder {
        let settings = Settings::new(key.into(), DEFAULT_BASE_URL, DEFAULT_MODEL);
        OpenAiBuilder { settings, profile: ModelProfile { tools: true, json_schema: true } }
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("model", &self.http.model)
            .field("server", &self.http.host())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Model for OpenAi {
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
        self.http.dialect.profile
    }
}

/// An [`OpenAi`] in the making.
#[must_use = "call `.build()` to get the model"]
#[derive(Debug)]
pub struct OpenAiBuilder {
    settings: Settings,
    profile: ModelProfile,
}

builder!(OpenAiBuilder);

impl OpenAiBuilder {
    /// What the server can do: call tools and hold an answer to a JSON schema, unless set. Some servers can do one of
    /// them alone.
    pub fn profile(self, profile: ModelProfile) -> Self {
        Self { profile, ..self }
    }

    /// The model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the address is no HTTP
    /// address, the key cannot stand in a header, or TLS has no certificates to trust.
    pub fn build(self) -> Result<OpenAi, ModelError> {
        let mut http = self.settings.build(Chat { profile: self.profile, max_tokens: "max_tokens" })?;
        if http.host() == "api.openai.com" {
            // Its newer models take only the new name, most other servers only the old one.
            http.dialect.max_tokens = "max_completion_tokens";
        }
        Ok(OpenAi { http })
    }
}

/// The words of chat completions.
struct Chat {
    profile: ModelProfile,
    /// What the bound on an answer is called.
    max_tokens: &'static str,
}

impl Dialect for Chat {
    const KEY_VARIABLE: &'static str = "OPENAI_API_KEY";
    const PATH: &'static str = "/chat/completions";

    fn headers(&self, key: &Secret) -> HeaderMap {
        key.header("Bearer ").map(|value| (AUTHORIZATION, value)).into_iter().collect()
    }

    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Value, ModelError> {
        Ok(wire::body(question, self.max_tokens, reading))
    }

    fn response(&self, json: Value, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        wire::response(json, question)
    }

    fn reader(&self, question: &Question<'_>) -> Box<dyn Reader> {
        Box::new(ChatReader::new(question))
    }
}
