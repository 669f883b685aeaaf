//! Models over HTTP: sending, sending again within a bound, and reading streams.
//!
//! Owns what providers have in common. Must not know the words of any of them, which is a [`Dialect`]'s, nor the agent
//! loop. The key is in one header and nowhere else: no log line, error or `Debug` form holds it.
//!
//! The words are read from JSON field by field, not by the types of a provider's client library: servers that call
//! themselves compatible leave fields out and send arguments as JSON in place of text, which such a library takes for an
//! error, and what is wrong with a stream has to be told apart from its end. Streams of events are taken apart by
//! `sse-stream`, which the MCP client uses too.

mod builder;
#[cfg(test)]
pub(crate) mod canned;
mod client;
pub(crate) mod draft;
pub(crate) mod json;
mod retry;
mod secret;
mod stream;
#[cfg(all(test, feature = "openai"))]
mod tests;

use std::fmt;

use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

pub(crate) use builder::{Settings, builder, set};
#[cfg(feature = "mcp")]
pub(crate) use client::plain;
pub(crate) use secret::Secret;

use self::{
    client::{Client, Reply},
    draft::{is_out_of_quota, of_status},
    json::{Object, text},
    retry::{Attempt, Patience},
    stream::Streamed,
};
use crate::asking::is_waited_for;
use crate::delta::{Delta, Deltas};
use crate::error::{ModelError, ModelErrorKind};
use crate::message::ModelResponse;
use crate::model::ModelRequest;
use crate::shown::Shown;

/// How much of what a server said about an error is kept.
const MAX_MESSAGE_CHARS: usize = 600;

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

/// A model that is asked over HTTP.
pub(crate) struct HttpModel<D> {
    pub(crate) model: String,
    pub(crate) dialect: D,
    key: Secret,
    client: Client,
    patience: Patience,
    stall: std::time::Duration,
}

impl<D: Dialect> HttpModel<D> {
    pub(crate) fn host(&self) -> &str {
        self.client.host()
    }

    pub(crate) async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let question = Question { model: &self.model, request };
        let body = self.body(&question, Reading::Whole)?;
        let mut tries = 0;
        loop {
            match self.whole(&question, &body).await {
                Attempt::Answered(response) => return Ok(response),
                failed => self.pause(failed, &mut tries).await?,
            }
        }
    }

    pub(crate) async fn request_streaming(
        &self,
        request: &ModelRequest,
        deltas: &Deltas,
    ) -> Result<ModelResponse, ModelError> {
        let question = Question { model: &self.model, request };
        let body = self.body(&question, Reading::Streaming)?;
        let mut tries = 0;
        loop {
            let Streamed { attempt, heard } = self.streamed(&question, &body, deltas).await;
            match attempt {
                Attempt::Answered(response) => return Ok(response),
                failed => {
                    if heard {
                        deltas.send(Delta::Void).await;
                    }
                    self.pause(failed, &mut tries).await?;
                }
            }
        }
    }

    fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Vec<u8>, ModelError> {
        let body = self.dialect.body(question, reading)?;
        serde_json::to_vec(&body).map_err(|error| ModelError::new(ModelErrorKind::Other, format!("no JSON: {error}")))
    }

    /// Waits before the next try, or ends in the error of the last one.
    async fn pause(&self, failed: Attempt, tries: &mut u32) -> Result<(), ModelError> {
        let (error, asked) = match failed {
            Attempt::Answered(_) => return Ok(()),
            Attempt::Settled(error) => return Err(error),
            Attempt::Failed(error) => (error, None),
            Attempt::Asked(error, asked) => (error, asked),
        };
        // The caller waits by itself, and longer.
        let is_left_to_them = error.is_transient() && is_waited_for();
        let Some(pause) = self.patience.pause(*tries, asked).filter(|_| !is_left_to_them) else {
            return Err(match asked {
                Some(asked) => error.with_retry_after(asked),
                None => error,
            });
        };
        *tries += 1;
        tracing::warn!("{}; asking again in {pause:.1?} ({tries} of {})", Shown(error), self.patience.retries);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// One try.
    async fn whole(&self, question: &Question<'_>, body: &[u8]) -> Attempt {
        let headers = self.dialect.headers(&self.key);
        let reply = match self.client.post(D::PATH, headers, body).await {
            Ok(reply) => reply,
            Err(error) => return Attempt::Failed(self.presentable(error)),
        };
        if !reply.is_answer() {
            return self.refusal(&reply);
        }
        self.answered(question, &reply.body)
    }

    /// What a whole answer comes to.
    fn answered(&self, question: &Question<'_>, body: &[u8]) -> Attempt {
        match serde_json::from_str::<Box<RawValue>>(&String::from_utf8_lossy(body)) {
            Ok(json) => match self.dialect.response(&json, question) {
                Ok(response) => Attempt::Answered(response),
                Err(error) if matches!(error.kind(), ModelErrorKind::Unavailable | ModelErrorKind::RateLimited) => {
                    Attempt::Failed(self.presentable(error))
                }
                Err(error) => Attempt::Settled(self.presentable(error)),
            },
            Err(error) => {
                let what = format_args!("answered with something that is no JSON ({error})");
                Attempt::Failed(question.error(ModelErrorKind::InvalidResponse, what))
            }
        }
    }

    fn refusal(&self, reply: &Reply) -> Attempt {
        let (status, model) = (reply.status, &self.model);
        let (said, code) = complaint(&reply.body);
        let error = |kind, what: String| self.presentable(ModelError::new(kind, what));
        match of_status(status) {
            // What the server says here may quote the key in part.
            Some(ModelErrorKind::Unauthorized) => Attempt::Settled(error(
                ModelErrorKind::Unauthorized,
                format!("the server refuses the API key for `{model}` (status {status}); check {}", D::KEY_VARIABLE),
            )),
            Some(ModelErrorKind::RateLimited) if code.as_deref().is_some_and(is_out_of_quota) => Attempt::Settled(
                error(ModelErrorKind::OutOfQuota, format!("the quota for `{model}` is used up (status 429): {said}")),
            ),
            Some(ModelErrorKind::RateLimited) => Attempt::Asked(
                error(
                    ModelErrorKind::RateLimited,
                    format!("`{model}` takes no more requests for now (status 429): {said}"),
                ),
                reply.retry_after,
            ),
            Some(ModelErrorKind::Unavailable) => Attempt::Asked(
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
    fn presentable(&self, error: ModelError) -> ModelError {
        let text = self.key.hide(&error.to_string());
        match text.char_indices().nth(MAX_MESSAGE_CHARS) {
            Some((end, _)) => ModelError::new(error.kind(), format!("{} …", &text[..end])),
            None => ModelError::new(error.kind(), text),
        }
    }
}

/// What a server says about an error, and its code for it.
fn complaint(body: &[u8]) -> (String, Option<String>) {
    let json: Object = serde_json::from_slice(body).unwrap_or_default();
    let error = json.object("error").unwrap_or_default();
    let code = error.text("code");
    match error.text("message").or_else(|| json.get("error").and_then(text)) {
        Some(message) => (message.trim().to_owned(), code),
        None if body.is_empty() => ("no reason given".to_owned(), code),
        None => (String::from_utf8_lossy(body).trim().to_owned(), code),
    }
}

pub(crate) fn configuration(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::Configuration, message)
}
