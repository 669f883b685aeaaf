//! Models behind OpenAI-compatible chat completions.
//!
//! Owns the terms of that API, and where the model and its key come from. Must not know HTTP's client, nor the agent loop.

mod content;
mod reply;
mod server;
mod stream;
mod tagged;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde_json::value::RawValue;

pub(crate) use server::word as effort_word;
pub use server::{ChatServer, GiveBack};

use stream::ChatReader;
use wire::Chat;

use crate::delta::Deltas;
use crate::error::ModelError;
use crate::http::{
    Dialect, HttpModel, Question, Reader, Reading, Secret, Settings, builder, configuration, json::Object, set,
};
use crate::message::ModelResponse;
use crate::model::{Model, ModelProfile, ModelRequest};

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

    /// A builder with this key, for OpenAI's own server unless an address is set.
    pub fn builder(key: impl Into<String>) -> OpenAiBuilder {
        let base_url = ChatServer::OpenAi.traits().base_url.unwrap_or_default();
        let settings = Settings::new(key.into(), base_url, DEFAULT_MODEL);
        OpenAiBuilder { settings, server: None, profile: None, give_back: None }
    }

    /// A builder for one of the known servers, with this key; an empty one for a server that needs none. The caller chooses the
    /// model, and the address of a server that has no usual one.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::{ChatServer, OpenAi};
    ///
    /// let model = OpenAi::at(ChatServer::Vllm, "").base_url("http://gpu-3:8000/v1").model("Qwen/Qwen3-32B").build()?;
    /// # drop(model);
    /// # Ok::<(), kitaru::agent::ModelError>(())
    /// ```
    pub fn at(server: ChatServer, key: impl Into<String>) -> OpenAiBuilder {
        let settings = Settings::new(key.into(), server.traits().base_url.unwrap_or_default(), "");
        OpenAiBuilder { settings, server: Some(server), profile: None, give_back: None }
    }

    /// A builder for a deployment of Azure OpenAI, which is the model's name unless another is set. `endpoint` is the address of
    /// the resource. Azure's newer address without versions, `…/openai/v1`, needs only
    /// [`base_url`](OpenAiBuilder::base_url).
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::OpenAi;
    ///
    /// let endpoint = "https://my-resource.openai.azure.com";
    /// let model = OpenAi::azure("key", endpoint, "my-gpt", "2024-10-21").build()?;
    /// # drop(model);
    /// # Ok::<(), kitaru::agent::ModelError>(())
    /// ```
    pub fn azure(key: impl Into<String>, endpoint: &str, deployment: &str, api_version: &str) -> OpenAiBuilder {
        let base_url = format!("{}/openai/deployments/{deployment}", endpoint.trim_end_matches('/'));
        Self::at(ChatServer::Azure, key).base_url(base_url).query("api-version", api_version).model(deployment)
    }

    /// A builder for the OpenAI-compatible endpoint of Amazon Bedrock in a region, with a Bedrock API key.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::OpenAi;
    ///
    /// let model = OpenAi::bedrock("key", "eu-west-1").model("openai.gpt-oss-120b-1:0").build()?;
    /// # drop(model);
    /// # Ok::<(), kitaru::agent::ModelError>(())
    /// ```
    pub fn bedrock(key: impl Into<String>, region: &str) -> OpenAiBuilder {
        let base_url = format!("https://bedrock-runtime.{region}.amazonaws.com/openai/v1");
        Self::at(ChatServer::Bedrock, key).base_url(base_url)
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
    server: Option<ChatServer>,
    profile: Option<ModelProfile>,
    give_back: Option<GiveBack>,
}

builder!(OpenAiBuilder);

impl OpenAiBuilder {
    /// Which of the known servers it is, for a known one behind another address; the address decides unless set.
    pub fn server(self, server: ChatServer) -> Self {
        Self { server: Some(server), ..self }
    }

    /// The server's abilities: unless set, it can call tools and, if it is not known to lack that, enforce a JSON schema. Some
    /// servers can do only one of them, or only one at a time.
    pub fn profile(self, profile: ModelProfile) -> Self {
        Self { profile: Some(profile), ..self }
    }

    /// Which other parts of an answer are sent back to the server; all unless set, except for servers that refuse them.
    pub fn give_back(self, give_back: GiveBack) -> Self {
        Self { give_back: Some(give_back), ..self }
    }

    /// Makes the model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](crate::ModelErrorKind::Configuration) when the address is not an HTTP
    /// address, the key or an added header cannot be sent, no model is named, or TLS has no trusted certificates.
    pub fn build(self) -> Result<OpenAi, ModelError> {
        let traits = self.server.unwrap_or_else(|| ChatServer::of_host(&self.settings.host())).traits();
        let profile = self.profile.unwrap_or(ModelProfile { tools: true, json_schema: traits.has_json_schema });
        let give_back = self.give_back.unwrap_or(traits.give_back);
        Ok(OpenAi { http: self.settings.build(Chat { profile, traits, give_back })? })
    }
}

impl Dialect for Chat {
    const PATH: &'static str = "/chat/completions";
    const OWN: &'static [&'static str] = &[
        "model",
        "messages",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "parallel_tool_calls",
        "response_format",
        "stream",
        "stream_options",
        "n",
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "random_seed",
        "stop",
        "service_tier",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
    ];

    fn key_variable(&self) -> &'static str {
        self.traits.key_variable
    }

    fn headers(&self, key: &Secret) -> HeaderMap {
        let header = match self.traits.key_header {
            Some(name) => key.header("").map(|value| (HeaderName::from_static(name), value)),
            None => key.header("Bearer ").map(|value| (AUTHORIZATION, value)),
        };
        header.into_iter().collect()
    }

    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Object, ModelError> {
        wire::body(question, self, reading)
    }

    fn response(&self, json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        stream::response(json, question, &self.traits)
    }

    fn reader<'a>(&self, question: &'a Question<'a>) -> Box<dyn Reader + 'a> {
        Box::new(ChatReader::new(question, &self.traits))
    }
}
