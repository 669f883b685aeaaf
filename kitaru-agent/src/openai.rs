//! Models behind OpenAI-compatible chat completions.
//!
//! Owns the terms of that API, and where the model and its key come from. Must not know HTTP's client, nor the agent loop.

mod reply;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::value::RawValue;

pub use wire::GiveBack;

use stream::ChatReader;
use wire::Chat;

use crate::delta::Deltas;
use crate::error::ModelError;
use crate::http::{
    Dialect, HttpModel, Question, Reader, Reading, Secret, Settings, builder, configuration, json::Object, set,
};
use crate::message::ModelResponse;
use crate::model::{Model, ModelProfile, ModelRequest};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4.1-mini";

/// A model behind an OpenAI-compatible server: OpenAI's own, or one of the many that speak the same API (llama.cpp, vLLM,
/// Ollama, gateways).
///
/// It retries after 408, 409, 425, 429 and 5xx, broken connections, bodies that are not JSON, streams that stall or break off
/// and requests that time out. [`retries`](OpenAiBuilder::retries) bounds the retries, and `Retry-After` sets the pause. The
/// provider may still be working on a request that timed out, and then charges for each try. An answer that was truncated by
/// its bound on tokens is not requested again: it would be truncated again.
///
/// Other parts of the server's answer are kept and sent back with the conversation, because the server may need them: the
/// model's reasoning (`reasoning_content`, `reasoning`, `reasoning_details`, parts of the content that are not text), and every
/// field of a tool call (Gemini's `extra_content`). [`give_back`](OpenAiBuilder::give_back) turns that off.
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
    /// The model that the environment sets: `OPENAI_API_KEY`, `OPENAI_MODEL` (unless set, `gpt-4.1-mini`) and `OPENAI_BASE_URL`
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
    pub fn builder_from_env() -> Result<OpenAiBuilder, ModelError> {
        let Some(key) = set("OPENAI_API_KEY") else {
            return Err(configuration(
                "cannot ask a model: the API key is missing; set OPENAI_API_KEY (a local server takes any value)",
            ));
        };
        let builder = Self::builder(key);
        Ok(match set("OPENAI_BASE_URL") {
            Some(url) => builder.base_url(url),
            None => builder,
        })
    }

    /// A builder with this key.
    pub fn builder(key: impl Into<String>) -> OpenAiBuilder {
        let settings = Settings::new(key.into(), DEFAULT_BASE_URL, DEFAULT_MODEL);
        let profile = ModelProfile { tools: true, json_schema: true };
        OpenAiBuilder { settings, profile, give_back: GiveBack::default() }
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

/// A builder of an [`OpenAi`].
#[must_use = "call `.build()` to get the model"]
#[derive(Debug)]
pub struct OpenAiBuilder {
    settings: Settings,
    profile: ModelProfile,
    give_back: GiveBack,
}

builder!(OpenAiBuilder);

impl OpenAiBuilder {
    /// The server's abilities: unless set, it can call tools and enforce a JSON schema. Some servers can do only one of them,
    /// or only one at a time.
    pub fn profile(self, profile: ModelProfile) -> Self {
        Self { profile, ..self }
    }

    /// Which other parts of an answer are sent back to the server; all unless set.
    pub fn give_back(self, give_back: GiveBack) -> Self {
        Self { give_back, ..self }
    }

    /// Makes the model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the address is not an HTTP
    /// address, the key cannot be sent in a header, or TLS has no trusted certificates.
    pub fn build(self) -> Result<OpenAi, ModelError> {
        let chat = Chat { profile: self.profile, max_tokens: "max_tokens", give_back: self.give_back };
        let mut http = self.settings.build(chat)?;
        if http.host() == "api.openai.com" {
            // Its newer models accept only the new name, most other servers only the old one.
            http.dialect.max_tokens = "max_completion_tokens";
        }
        Ok(OpenAi { http })
    }
}

impl Dialect for Chat {
    const KEY_VARIABLE: &'static str = "OPENAI_API_KEY";
    const PATH: &'static str = "/chat/completions";

    fn headers(&self, key: &Secret) -> HeaderMap {
        key.header("Bearer ").map(|value| (AUTHORIZATION, value)).into_iter().collect()
    }

    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Object, ModelError> {
        Ok(wire::body(question, self, reading))
    }

    fn response(&self, json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        stream::response(json, question)
    }

    fn reader<'a>(&self, question: &'a Question<'a>) -> Box<dyn Reader + 'a> {
        Box::new(ChatReader::new(question))
    }
}
