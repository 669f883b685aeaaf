//! The seam to a model.
//!
//! Owns what is asked of a model and the trait that answers it. Must not know a provider, nor who stands in front of
//! the model: a decorator is a [`Model`] too.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::delta::Deltas;
use crate::error::ModelError;
use crate::message::{Message, ModelResponse, RequestPart, ToolReturn};
use crate::tool::ToolDefinition;

/// Something that answers requests: a provider over HTTP, a function, or a decorator in front of another model.
///
/// Its implementations want the attribute of the crate `async-trait`.
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
    /// The model's name, which is part of an agent's identity: another name is another model, and its answers are not
    /// those of this one. It holds no address and no key.
    fn name(&self) -> &str;

    /// Asks once.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] when there is no answer in full. It ends the run; a model that wants to try again does so
    /// itself. An agent takes a response whose [`stop`](ModelResponse::stop) does not mean "complete" for such an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up on the answer. The provider may have been paid for it all the same.
    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError>;

    /// Asks once, and sends the pieces of the answer on while they come in. What it gives is the same as that of
    /// [`request`](Self::request), and when it gives it, the pieces since the last [`Delta::Void`](crate::Delta::Void)
    /// add up to its texts and tool calls. A model that cannot do so sends the answer in one piece.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request); an answer that broke off is an error, however much of it there was.
    ///
    /// # Cancel safety
    ///
    /// As [`request`](Self::request).
    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        let response = self.request(request).await?;
        deltas.send_whole(&response).await;
        Ok(response)
    }

    /// What the model can do beside answering in words.
    fn profile(&self) -> ModelProfile {
        ModelProfile::default()
    }
}

/// What a model can do beside answering in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelProfile {
    /// It calls tools; so it does unless said otherwise.
    pub tools: bool,
    /// Its provider holds its answer to a JSON schema; so it does only where that is said.
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

/// Everything that a model is told in one request, and nothing that differs when the same is asked again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelRequest {
    /// The agent's instructions, which go before the messages.
    pub instructions: Option<String>,
    /// The conversation so far; the last message is the one to answer.
    pub messages: Vec<Message>,
    /// The tools that the model may ask for.
    pub tools: Vec<ToolDefinition>,
    /// How to answer.
    pub settings: ModelSettings,
    /// What the answer is to be. Left out where it is words, so that such requests keep the keys that they had.
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

    /// What tools gave since the newest user prompt, in order.
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

/// What a model is told of its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerForm {
    /// In words.
    #[default]
    Text,
    /// By a call of one of the tools, never in words.
    Tool,
    /// JSON of this schema, which is that of an object.
    Schema {
        /// What the schema is called.
        name: String,
        /// The schema.
        schema: Value,
    },
}

impl AnswerForm {
    /// Whether the answer is given in words.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }
}

/// How a model should answer. What is not set is left to the provider.
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
    /// How much chance there is in the choice of words.
    pub temperature: Option<f64>,
    /// Which share of the likeliest words is considered.
    pub top_p: Option<f64>,
    /// The most tokens to answer with, reasoning included. An answer that comes to it is an error: see
    /// [`on_length`](Self::on_length).
    pub max_tokens: Option<u32>,
    /// Asks a provider that can for the same answer each time.
    pub seed: Option<u64>,
    /// Whether the model may ask for several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// What a text that came to the bound on its tokens is. Left out of the stored form where it is not set, so that
    /// such requests keep the keys that they had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_length: Option<OnLength>,
}

/// What an answer in words is that stopped because it came to the bound on its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnLength {
    /// An error that says to raise the bound.
    #[default]
    Fail,
    /// The answer, as far as it goes. Its response says [`Stop::Length`](crate::Stop). A typed answer and an answer with
    /// tool calls are an error all the same.
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

    /// Sets what a text that came to the bound on its tokens is; an error unless set.
    pub fn on_length(self, value: OnLength) -> Self {
        Self { on_length: Some(value), ..self }
    }

    /// These settings, with those that `other` sets in their place.
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
    fn settings_take_the_place_of_others_one_by_one() {
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
