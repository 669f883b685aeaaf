//! The seam to a model.
//!
//! Owns the request to a model and the trait that answers it. Must not know a provider, nor which decorators wrap the model: a
//! decorator is a [`Model`] too.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::delta::Deltas;
use crate::error::ModelError;
use crate::message::{Message, ModelResponse, RequestPart, ToolReturn};
use crate::tool::ToolDefinition;

/// An answerer of requests: a provider over HTTP, a function, or a decorator around another model.
///
/// Implementations need the attribute of the crate `async-trait`.
///
/// # Examples
///
/// A decorator that counts:
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// use kitaru::agent::{Model, ModelError, ModelRequest, ModelResponse};
///
/// struct Counted {
///     inner: Arc<dyn Model>,
///     count: AtomicUsize,
/// }
///
/// #[async_trait::async_trait]
/// impl Model for Counted {
///     fn name(&self) -> &str {
///         self.inner.name()
///     }
///
///     async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
///         self.count.fetch_add(1, Ordering::Relaxed);
///         self.inner.request(request).await
///     }
/// }
/// ```
#[async_trait]
pub trait Model: Send + Sync {
    /// The model's name. It is part of an agent's identity: a model with another name is another model, and a recorded answer
    /// of one does not answer for the other. It contains no address and no key.
    fn name(&self) -> &str;

    /// Sends one request.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] when there is no complete answer. It ends the run; a model that retries does so itself. An agent turns
    /// a response whose [`stop`](ModelResponse::stop) does not mean "complete" into such an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the answer. The provider may still charge for it.
    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError>;

    /// Sends one request, and passes on the pieces of the answer as they arrive. It returns the same as
    /// [`request`](Self::request). At that time the pieces since the last [`Delta::Void`](crate::Delta::Void) add up to its
    /// texts and tool calls. A model that cannot stream sends the answer in one piece.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request). An answer that broke off is an error, even if most of it arrived.
    ///
    /// # Cancel safety
    ///
    /// As [`request`](Self::request).
    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        let response = self.request(request).await?;
        deltas.send_whole(&response).await;
        Ok(response)
    }

    /// The abilities of the model, other than text.
    fn profile(&self) -> ModelProfile {
        ModelProfile::default()
    }
}

/// The abilities of a model, other than text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelProfile {
    /// It can call tools. Unless set, it can.
    pub tools: bool,
    /// Its provider enforces a JSON schema on the answer. Unless set, it does not.
    pub json_schema: bool,
}

impl Default for ModelProfile {
    fn default() -> Self {
        Self { tools: true, json_schema: false }
    }
}

#[async_trait]
impl<M: Model + ?Sized> Model for Arc<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        (**self).request(request).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        (**self).request_streaming(request, deltas).await
    }

    fn profile(&self) -> ModelProfile {
        (**self).profile()
    }
}

/// One request to a model. It contains nothing that differs when the same is asked again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelRequest {
    /// The agent's instructions, which precede the messages.
    pub instructions: Option<String>,
    /// The conversation so far; the last message is the one to answer.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<ToolDefinition>,
    /// The settings of the request.
    pub settings: ModelSettings,
    /// The form of the answer. Left out for text, so that such requests keep their earlier keys.
    #[serde(skip_serializing_if = "AnswerForm::is_text")]
    pub answer: AnswerForm,
}

impl ModelRequest {
    /// A request of these messages, without instructions, tools or settings.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, ..Self::default() }
    }

    /// The text of the newest user prompt.
    pub fn prompt(&self) -> Option<&str> {
        self.parts().rev().find_map(|part| match part {
            RequestPart::UserPrompt(prompt) => Some(prompt.content.as_str()),
            _ => None,
        })
    }

    /// The outputs of tools since the newest user prompt, in order.
    pub fn tool_returns(&self) -> Vec<&ToolReturn> {
        let mut found: Vec<_> = self
            .parts()
            .rev()
            .take_while(|part| !matches!(part, RequestPart::UserPrompt(_)))
            .filter_map(|part| match part {
                RequestPart::ToolReturn(given) => Some(given),
                _ => None,
            })
            .collect();
        found.reverse();
        found
    }

    fn parts(&self) -> impl DoubleEndedIterator<Item = &RequestPart> {
        self.messages.iter().flat_map(|message| match message {
            Message::Request(request) => request.parts.as_slice(),
            Message::Response(_) => &[],
        })
    }
}

/// The form that a model's answer must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerForm {
    /// Text.
    #[default]
    Text,
    /// A call of one of the tools, never text.
    Tool,
    /// JSON of this schema, which describes an object.
    Schema {
        /// The name of the schema.
        name: String,
        /// The schema.
        schema: Value,
    },
}

impl AnswerForm {
    /// Whether the answer is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }
}

/// Settings of a request. A setting that is not set is left to the provider.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::ModelSettings;
///
/// let base = ModelSettings::default().temperature(0.2).max_tokens(500);
/// let strict = base.clone().overridden_by(&ModelSettings::default().temperature(0.0));
/// assert_eq!((strict.temperature, strict.max_tokens), (Some(0.0), Some(500)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelSettings {
    /// The randomness of the answer.
    pub temperature: Option<f64>,
    /// The share of the likeliest words to consider.
    pub top_p: Option<f64>,
    /// The most tokens of an answer, reasoning included. An answer that reaches it is an error: see
    /// [`on_length`](Self::on_length).
    pub max_tokens: Option<u32>,
    /// Asks a provider that supports it for the same answer each time.
    pub seed: Option<u64>,
    /// Whether the model may call several tools in one response.
    pub parallel_tool_calls: Option<bool>,
    /// What happens to a text that reached the bound on its tokens. Left out of the stored form if it is not set, so that such
    /// requests keep their earlier keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_length: Option<OnLength>,
}

/// What happens to a text answer that stopped at the bound on its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLength {
    /// It is an error that says to raise the bound.
    #[default]
    Fail,
    /// It is the answer, as far as it goes. Its response has [`Stop::Length`](crate::Stop). A typed answer and an answer with
    /// tool calls are still errors.
    Accept,
}

impl ModelSettings {
    /// Sets the temperature.
    pub fn temperature(self, value: f64) -> Self {
        Self { temperature: Some(value), ..self }
    }

    /// Sets the share of the likeliest words.
    pub fn top_p(self, value: f64) -> Self {
        Self { top_p: Some(value), ..self }
    }

    /// Bounds the answer.
    pub fn max_tokens(self, value: u32) -> Self {
        Self { max_tokens: Some(value), ..self }
    }

    /// Sets the seed.
    pub fn seed(self, value: u64) -> Self {
        Self { seed: Some(value), ..self }
    }

    /// Allows or forbids several tool calls in one answer.
    pub fn parallel_tool_calls(self, value: bool) -> Self {
        Self { parallel_tool_calls: Some(value), ..self }
    }

    /// Sets what happens to a text that reached the bound on its tokens; an error unless set.
    pub fn on_length(self, value: OnLength) -> Self {
        Self { on_length: Some(value), ..self }
    }

    /// These settings, overridden by those that `other` sets.
    pub fn overridden_by(self, other: &Self) -> Self {
        Self {
            temperature: other.temperature.or(self.temperature),
            top_p: other.top_p.or(self.top_p),
            max_tokens: other.max_tokens.or(self.max_tokens),
            seed: other.seed.or(self.seed),
            parallel_tool_calls: other.parallel_tool_calls.or(self.parallel_tool_calls),
            on_length: other.on_length.or(self.on_length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_override_others_one_by_one() {
        let all = |n: u32, temperature: f64, on_length| {
            let settings = ModelSettings::default().temperature(temperature).top_p(temperature).max_tokens(n);
            settings.seed(n.into()).parallel_tool_calls(n == 1).on_length(on_length)
        };
        let (one, two) = (all(1, 0.1, OnLength::Accept), all(2, 0.2, OnLength::Fail));
        assert_eq!(one.clone().overridden_by(&two), two);
        assert_eq!(one.clone().overridden_by(&ModelSettings::default()), one);
        assert_eq!(ModelSettings::default().overridden_by(&one), one);
    }
}
