//! OpenAI-compatible chat completions.
//!
//! Owns the words of that API, and where the model and its key come from. Must not know HTTP's client, nor the agent
//! loop.

mod said;
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

/// A model behind an OpenAI-compatible server: OpenAI's own, or one of the many that speak the same (llama.cpp, vLLM,
/// Ollama, gateways).
///
/// 408, 409, 425, 429 and 5xx, broken connections, bodies that are no JSON, streams that stall or break off and requests
/// that time out are tried again, as many times as [`retries`](OpenAiBuilder::retries) says, after the time that
/// `Retry-After` asks for. The provider may still be at work on a request that has timed out, and is then paid for each
/// try. An answer that is cut by its bound on tokens is not asked for again: it would be cut again.
///
/// What else the server says of an answer is kept and given back with the conversation where it may want it back: what
/// the model thought (`reasoning_content`, `reasoning`, `reasoning_details`, parts of the content that are no text), and
/// every field of a tool call (Gemini's `extra_content`). [`give_back`](OpenAiBuilder::give_back) turns that off.
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

/// An [`OpenAi`] in the making.
#[must_use = "call `.build()` to get the model"]
#[derive(Debug)]
pub struct OpenAiBuilder {
    settings: Settings,
    profile: ModelProfile,
    give_back: GiveBack,
}

builder!(OpenAiBuilder);

impl OpenAiBuilder {
    /// What the server can do: call tools and hold an answer to a JSON schema, unless set. Some servers can do one of
    /// them alone.
    pub fn profile(self, profile: ModelProfile) -> Self {
        Self { profile, ..self }
    }

    /// What goes back to the server of that which it says beside text and tool calls; everything unless set.
    pub fn give_back(self, give_back: GiveBack) -> Self {
        Self { give_back, ..self }
    }

    /// The model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the address is no HTTP
    /// address, the key cannot stand in a header, or TLS has no certificates to trust.
    pub fn build(self) -> Result<OpenAi, ModelError> {
        let chat = Chat { profile: self.profile, max_tokens: "max_tokens", give_back: self.give_back };
        let mut http = self.settings.build(chat)?;
        if http.host() == "api.openai.com" {
            // Its newer models take only the new name, most other servers only the old one.
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
