//! The seam to a model.
//!
//! Owns the request to a model and the trait that answers it. Must not know a provider, nor which decorators wrap the model: a
//! decorator is a [`Model`] too.

mod settings;

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use settings::{Effort, ModelSettings, OnLength, ToolChoice};

use crate::delta::Deltas;
use crate::error::ModelError;
use crate::message::{
    Attachment, Media, Message, ModelResponse, RequestPart, ToolReturn, attachments_in, map_media_in,
};
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

    /// The media of the conversation, with the calls to whose outputs they belong.
    pub fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        attachments_in(&self.messages)
    }

    /// The same request, with digests of its media in place of their content: all that a key needs.
    pub(crate) fn by_digest(&self) -> Cow<'_, Self> {
        if self.attachments().next().is_none() {
            return Cow::Borrowed(self);
        }
        let mut request = self.clone();
        map_media_in(&mut request.messages, Media::by_digest);
        Cow::Owned(request)
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
