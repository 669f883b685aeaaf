//! The seam to the terms of a provider.
//!
//! Owns what a dialect provides: a body for a request, and a reader for an answer. Must not know how either travels.

use std::fmt;

use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::json::Object;
use super::secret::Secret;
use crate::delta::Delta;
use crate::error::{ModelError, ModelErrorKind};
use crate::message::{Message, ModelResponse, RequestPart};
use crate::model::{AnswerForm, ModelRequest, ToolChoice};

/// The terms of one kind of server.
pub(crate) trait Dialect: Send + Sync {
    /// The path below the base URL.
    const PATH: &'static str;
    /// The fields of a body that are the dialect's own, or that a setting has: a user may not add them.
    const OWN: &'static [&'static str];

    /// The variable of the environment that holds the key, for messages.
    fn key_variable(&self) -> &'static str;

    fn headers(&self, key: &Secret) -> HeaderMap;

    /// The body of a request.
    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Object, ModelError>;

    /// Reads a whole answer.
    fn response(&self, json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError>;

    /// The reader of a streamed answer.
    fn reader<'a>(&self, question: &'a Question<'a>) -> Box<dyn Reader + 'a>;
}

/// A request, and the model for it.
pub(crate) struct Question<'a> {
    pub(crate) model: &'a str,
    pub(crate) request: &'a ModelRequest,
}

impl Question<'_> {
    pub(crate) fn error(&self, kind: ModelErrorKind, what: impl fmt::Display) -> ModelError {
        error_of(self.model, kind, what)
    }
}

/// Which tools the model must call, in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    Auto,
    None,
    Required,
    Tool(&'a str),
}

impl<'a> Question<'a> {
    /// Which tools the model must call now. A forced call that the model has made is no longer forced, so that it can answer.
    ///
    /// # Errors
    ///
    /// If the tool does not exist.
    pub(crate) fn choice(&self) -> Result<Choice<'a>, ModelError> {
        let request = self.request;
        let is_prompt = |message: &Message| match message {
            Message::Request(said) => said.parts.iter().any(|part| matches!(part, RequestPart::UserPrompt(_))),
            Message::Response(_) => false,
        };
        let since = request.messages.iter().rposition(is_prompt).unwrap_or_default();
        let called = request.messages[since..].iter().any(|message| match message {
            Message::Response(response) => response.tool_calls().next().is_some(),
            Message::Request(_) => false,
        });
        let forced = match &request.settings.tool_choice {
            Some(ToolChoice::Tool(name)) if !request.tools.iter().any(|tool| tool.name == *name) => {
                return Err(configuration(format!(
                    "cannot ask `{}`: it must call tool `{name}`, and has no such tool; check `tool_choice`",
                    self.model
                )));
            }
            Some(ToolChoice::Tool(name)) if !called => Some(Choice::Tool(name)),
            Some(ToolChoice::Required) if !called => Some(Choice::Required),
            Some(ToolChoice::None) => Some(Choice::None),
            _ => None,
        };
        Ok(match (&request.answer, forced) {
            (AnswerForm::Tool, Some(Choice::Tool(name))) => Choice::Tool(name),
            (AnswerForm::Tool, _) => Choice::Required,
            (_, forced) => forced.unwrap_or(Choice::Auto),
        })
    }

    /// The error of a setting that the server's API lacks.
    pub(crate) fn lacks(&self, setting: &str, instead: &str) -> ModelError {
        configuration(format!("cannot ask `{}`: its API has no `{setting}`; {instead}", self.model))
    }
}

/// An error of a model, with what the model did.
pub(crate) fn error_of(model: &str, kind: ModelErrorKind, what: impl fmt::Display) -> ModelError {
    ModelError::new(kind, format!("cannot use the answer of `{model}`: it {what}"))
}

/// How an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Whole,
    Streaming,
}

/// Assembles a streamed answer.
pub(crate) trait Reader: Send {
    /// Takes one event.
    ///
    /// # Errors
    ///
    /// If it is not a valid event, or if it contains an error of the server.
    fn event(&mut self, event: &str, data: &str) -> Result<Read, ModelError>;

    /// Whether a part of the answer has arrived.
    fn has_begun(&self) -> bool;

    /// Whether the model is reasoning, as far as the server says: it may be silent meanwhile.
    fn is_reasoning(&self) -> bool {
        false
    }

    /// Takes the clean end of a stream that lacks the server's end mark.
    ///
    /// # Errors
    ///
    /// If the answer is not complete, unless earlier events say that it is.
    fn end(&mut self) -> Result<Read, ModelError>;
}

/// The result of an event.
pub(crate) enum Read {
    More(Vec<Delta>),
    /// The answer is complete, and the server said so.
    Over(Vec<Delta>, ModelResponse),
}

/// The error of a model that is not configured correctly.
pub(crate) fn configuration(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Configuration, message)
}
