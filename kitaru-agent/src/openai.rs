//! OpenAI-compatible chat completions over HTTP.
//!
//! Owns the address, the key, and sending again within a bound. Must not know the agent loop. The key is in one header
//! and nowhere else: no log line, error or `Debug` form holds it.

mod client;
mod retry;
mod secret;
#[cfg(test)]
mod tests;
mod wire;

use std::{env, fmt, time::Duration};

use async_trait::async_trait;

use self::{
    client::{Client, Reply},
    retry::{Attempt, Patience},
    secret::Secret,
};
use crate::{Model, ModelError, ModelErrorKind, ModelRequest, ModelResponse};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4.1-mini";
/// How much of what a server said about an error is kept.
const MAX_MESSAGE_CHARS: usize = 600;

/// A model behind an OpenAI-compatible server: OpenAI's own, or one of the many that speak the same (llama.cpp, vLLM,
/// Ollama, gateways).
///
/// 429, 408 and 5xx, broken connections and bodies that are no JSON are tried again, as many times as
/// [`retries`](OpenAiBuilder::retries) says, after the time that `Retry-After` asks for. A request that timed out is
/// not: the provider may be at work on it, and paid.
///
/// The environment's proxies (`HTTPS_PROXY`, `NO_PROXY`) are used, except for a server on this machine.
///
/// # Examples
///
/// ```no_run
/// use kitaru_agent::{Agent, OpenAi};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder(OpenAi::from_env()?).instructions("Be brief.").build()?;
/// println!("{}", agent.run("What is a tide?").await?.output);
/// # Ok(())
/// # }
/// ```
pub struct OpenAi {
    model: String,
    key: Secret,
    client: Client,
    patience: Patience,
}

impl OpenAi {
    /// The model that the environment names: `OPENAI_API_KEY`, `OPENAI_MODEL` (unless set, `gpt-4.1-mini`) and
    /// `OPENAI_BASE_URL` (unless set, OpenAI's own).
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](ModelErrorKind::Configuration) when there is no key, or the address
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
    /// A [`ModelError`] of kind [`Configuration`](ModelErrorKind::Configuration) when there is no key.
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
        OpenAiBuilder {
            key: Secret::new(key.into()),
            base_url: DEFAULT_BASE_URL.to_owned(),
            model: DEFAULT_MODEL.to_owned(),
            timeout: Duration::from_secs(300),
            patience: Patience::default(),
        }
    }

    /// One try.
    async fn attempt(&self, request: &ModelRequest, body: &[u8]) -> Attempt {
        let reply = match self.client.post("/chat/completions", &self.key, body).await {
            Ok(reply) => reply,
            Err(error) => return Attempt::Failed(self.presentable(error.kind(), error)),
        };
        if reply.status != 200 {
            return self.refusal(&reply);
        }
        match serde_json::from_slice(&reply.body) {
            Ok(json) => match wire::response(json, &self.model, request.messages.len()) {
                Ok(response) => Attempt::Answered(response),
                Err(error) => Attempt::Settled(self.presentable(error.kind(), error)),
            },
            Err(error) => {
                let message = format!("`{}` answered with something that is no JSON ({error})", self.model);
                Attempt::Failed(ModelError::new(ModelErrorKind::InvalidResponse, message))
            }
        }
    }

    fn refusal(&self, reply: &Reply) -> Attempt {
        let (status, model) = (reply.status, &self.model);
        let (said, code) = wire::complaint(&reply.body);
        let error = |kind, what: String| self.presentable(kind, what);
        match status {
            // What the server says here may quote the key in part.
            401 | 403 => Attempt::Settled(error(
                ModelErrorKind::Unauthorized,
                format!("the server refuses the API key for `{model}` (status {status}); check OPENAI_API_KEY"),
            )),
            429 if code.as_deref() == Some("insufficient_quota") => Attempt::Settled(error(
                ModelErrorKind::RateLimited,
                format!("the quota for `{model}` is used up (status 429): {said}"),
            )),
            429 => Attempt::Asked(
                error(
                    ModelErrorKind::RateLimited,
                    format!("`{model}` takes no more requests for now (status 429): {said}"),
                ),
                reply.retry_after,
            ),
            408 | 500.. => Attempt::Asked(
                error(ModelErrorKind::Unavailable, format!("the server of `{model}` failed (status {status}): {said}")),
                reply.retry_after,
            ),
            _ => Attempt::Settled(error(
                ModelErrorKind::Rejected,
                format!("the server rejects the request to `{model}` (status {status}): {said}"),
            )),
        }
    }

    /// An error whose text is of bounded length and without the key, whatever the server said. The key goes first, so
    /// that the cut leaves no half of it.
    fn presentable(&self, kind: ModelErrorKind, message: impl fmt::Display) -> ModelError {
        let text = self.key.hide(&message.to_string());
        match text.char_indices().nth(MAX_MESSAGE_CHARS) {
            Some((end, _)) => ModelError::new(kind, format!("{} …", &text[..end])),
            None => ModelError::new(kind, text),
        }
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("model", &self.model)
            .field("server", &self.client.host())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Model for OpenAi {
    fn name(&self) -> &str {
        &self.model
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let body = wire::body(&self.model, request, self.client.is_openai_itself())?;
        let mut tries = 0;
        loop {
            let (error, asked) = match self.attempt(request, &body).await {
                Attempt::Answered(response) => return Ok(response),
                Attempt::Settled(error) => return Err(error),
                Attempt::Failed(error) if error.kind() == ModelErrorKind::TimedOut => return Err(error),
                Attempt::Failed(error) => (error, None),
                Attempt::Asked(error, asked) => (error, asked),
            };
            let Some(pause) = self.patience.pause(tries, asked) else {
                return Err(match asked {
                    Some(asked) => error.with_retry_after(asked),
                    None => error,
                });
            };
            tries += 1;
            tracing::warn!("{error}; asking again in {pause:.1?} ({tries} of {})", self.patience.retries);
            tokio::time::sleep(pause).await;
        }
    }
}

/// An [`OpenAi`] in the making.
#[must_use = "call `.build()` to get the model"]
#[derive(Debug)]
pub struct OpenAiBuilder {
    key: Secret,
    base_url: String,
    model: String,
    timeout: Duration,
    patience: Patience,
}

impl OpenAiBuilder {
    /// Where the server is, `/v1` included.
    pub fn base_url(self, url: impl Into<String>) -> Self {
        Self { base_url: url.into(), ..self }
    }

    /// Which model to ask for.
    pub fn model(self, model: impl Into<String>) -> Self {
        Self { model: model.into(), ..self }
    }

    /// How long one try may take, the answer included; 5 minutes unless set.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How many times a request is tried again; 3 unless set.
    pub fn retries(mut self, retries: u32) -> Self {
        self.patience.retries = retries;
        self
    }

    /// The longest wait before a request is tried again; a minute unless set. A server that asks for more gets no
    /// further try, and the error says how long it asked for.
    pub fn max_retry_wait(mut self, wait: Duration) -> Self {
        self.patience.max_wait = wait;
        self
    }

    /// The model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] of kind [`Configuration`](ModelErrorKind::Configuration) when the address is no HTTP address,
    /// the key cannot stand in a header, or TLS has no certificates to trust.
    pub fn build(self) -> Result<OpenAi, ModelError> {
        if !self.key.fits_a_header() {
            return Err(configuration("the API key holds characters that no key has; check OPENAI_API_KEY"));
        }
        let client = Client::new(&self.base_url, self.timeout)?;
        Ok(OpenAi { model: self.model, key: self.key, client, patience: self.patience })
    }
}

/// A variable of the environment; one that is empty counts as not set.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn configuration(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Configuration, message)
}
