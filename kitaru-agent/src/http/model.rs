//! A model over HTTP, and the results of its requests.
//!
//! Owns its parts, and how a reply is judged: an answer, a refusal, an error whose text may be shown. Must not know how many
//! tries there are.

use std::time::Duration;

use serde_json::value::RawValue;

use super::client::{Client, Reply};
use super::dialect::{Dialect, Question, Reading};
use super::draft::{is_out_of_quota, of_status};
use super::json::{Object, text};
use super::retry::{Attempt, Patience};
use super::secret::Secret;
use crate::error::{ModelError, ModelErrorKind};

/// How much of a server's error message is kept.
const MAX_MESSAGE_CHARS: usize = 600;

/// A model over HTTP.
pub(crate) struct HttpModel<D> {
    pub(crate) model: String,
    pub(crate) dialect: D,
    pub(super) key: Secret,
    pub(super) client: Client,
    pub(super) patience: Patience,
    pub(super) stall: Duration,
}

impl<D: Dialect> HttpModel<D> {
    pub(crate) fn host(&self) -> &str {
        self.client.host()
    }

    pub(super) fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Vec<u8>, ModelError> {
        let body = self.dialect.body(question, reading)?;
        serde_json::to_vec(&body).map_err(|error| {
            ModelError::new(ModelErrorKind::Other, format!("cannot write the request as JSON: {error}"))
        })
    }

    /// The result of a whole answer.
    pub(super) fn answered(&self, question: &Question<'_>, body: &[u8]) -> Attempt {
        match serde_json::from_str::<Box<RawValue>>(&String::from_utf8_lossy(body)) {
            Ok(json) => match self.dialect.response(&json, question) {
                Ok(response) => Attempt::Answered(response),
                Err(error) if matches!(error.kind(), ModelErrorKind::Unavailable | ModelErrorKind::RateLimited) => {
                    Attempt::Failed(self.presentable(error))
                }
                Err(error) => Attempt::Settled(self.presentable(error)),
            },
            Err(error) => {
                let what = format_args!("answered with something other than JSON ({error})");
                Attempt::Failed(question.error(ModelErrorKind::InvalidResponse, what))
            }
        }
    }

    pub(super) fn refusal(&self, reply: &Reply) -> Attempt {
        let (status, model) = (reply.status, &self.model);
        let (said, code) = complaint(&reply.body);
        let error = |kind, what: String| self.presentable(ModelError::new(kind, what));
        match of_status(status) {
            // The server's text may quote a part of the key.
            Some(ModelErrorKind::Unauthorized) => Attempt::Settled(error(
                ModelErrorKind::Unauthorized,
                format!(
                    "cannot ask `{model}`: the server refuses the API key (status {status}); check {}",
                    D::KEY_VARIABLE
                ),
            )),
            Some(ModelErrorKind::RateLimited) if code.as_deref().is_some_and(is_out_of_quota) => {
                Attempt::Settled(error(
                    ModelErrorKind::OutOfQuota,
                    format!("cannot ask `{model}`: its quota is used up (status 429): {said}"),
                ))
            }
            Some(ModelErrorKind::RateLimited) => Attempt::Asked(
                error(
                    ModelErrorKind::RateLimited,
                    format!("cannot ask `{model}`: it accepts no more requests for now (status 429): {said}"),
                ),
                reply.retry_after,
            ),
            Some(ModelErrorKind::Unavailable) => Attempt::Asked(
                error(
                    ModelErrorKind::Unavailable,
                    format!("cannot ask `{model}`: its server failed (status {status}): {said}"),
                ),
                reply.retry_after,
            ),
            _ => Attempt::Settled(error(
                ModelErrorKind::Rejected,
                format!("cannot ask `{model}`: the server rejects the request (status {status}): {said}"),
            )),
        }
    }

    /// An error with a text of bounded length and without the key, even if the server quoted it. The key is removed first, so
    /// that the cut does not leave a part of it.
    pub(super) fn presentable(&self, error: ModelError) -> ModelError {
        let text = self.key.hide(&error.to_string());
        match text.char_indices().nth(MAX_MESSAGE_CHARS) {
            Some((end, _)) => ModelError::new(error.kind(), format!("{} …", &text[..end])),
            None => ModelError::new(error.kind(), text),
        }
    }
}

/// A server's error message, and its code.
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
