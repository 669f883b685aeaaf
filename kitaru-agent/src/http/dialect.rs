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
use crate::message::ModelResponse;
use crate::model::ModelRequest;

/// The terms of one kind of server.
pub(crate) trait Dialect: Send + Sync {
    /// The variable of the environment that holds the key, for messages.
    const KEY_VARIABLE: &'static str;
    /// The path below the base URL.
    const PATH: &'static str;

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
