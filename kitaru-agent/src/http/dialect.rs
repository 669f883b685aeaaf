//! The seam to the words of a provider.
//!
//! Owns what is asked of them: a body for a request, and a reader for an answer. Must not know how either travels.

use std::fmt;

use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::json::Object;
use super::secret::Secret;
use crate::delta::Delta;
use crate::error::{ModelError, ModelErrorKind};
use crate::message::ModelResponse;
use crate::model::ModelRequest;

/// The words of one kind of server.
pub(crate) trait Dialect: Send + Sync {
    /// The variable of the environment that holds the key, for messages.
    const KEY_VARIABLE: &'static str;
    /// Below the base URL.
    const PATH: &'static str;

    fn headers(&self, key: &Secret) -> HeaderMap;

    /// The body of a request.
    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Object, ModelError>;

    /// Reads a whole answer.
    fn response(&self, json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError>;

    /// What reads an answer in pieces.
    fn reader<'a>(&self, question: &'a Question<'a>) -> Box<dyn Reader + 'a>;
}

/// What is asked, and of which model.
pub(crate) struct Question<'a> {
    pub(crate) model: &'a str,
    pub(crate) request: &'a ModelRequest,
}

impl Question<'_> {
    pub(crate) fn error(&self, kind: ModelErrorKind, what: impl fmt::Display) -> ModelError {
        error_of(self.model, kind, what)
    }
}

/// The error of a model that does `what`.
pub(crate) fn error_of(model: &str, kind: ModelErrorKind, what: impl fmt::Display) -> ModelError {
    ModelError::new(kind, format!("`{model}` {what}"))
}

/// How an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Whole,
    Streaming,
}

/// Puts a streamed answer together.
pub(crate) trait Reader: Send {
    /// Takes one event.
    ///
    /// # Errors
    ///
    /// What is no such event, and an error that the server sends as one.
    fn event(&mut self, event: &str, data: &str) -> Result<Read, ModelError>;

    /// Whether a part of the answer has come.
    fn has_begun(&self) -> bool;

    /// Takes the clean end of a stream whose server has not said that the answer is over.
    ///
    /// # Errors
    ///
    /// That the answer is not complete, unless what has come says that it is.
    fn end(&mut self) -> Result<Read, ModelError>;
}

/// What came of an event.
pub(crate) enum Read {
    More(Vec<Delta>),
    /// The answer is complete, and said to be by the server.
    Over(Vec<Delta>, ModelResponse),
}

/// The error of a model that is not set up right.
pub(crate) fn configuration(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Configuration, message)
}
