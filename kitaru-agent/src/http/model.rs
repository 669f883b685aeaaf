//! A model over HTTP, and the results of its requests.
//!
//! Owns its parts, and how a reply is judged: an answer, a refusal, an error whose text may be shown. Must not know how many
//! tries there are.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::client::{Client, Reply};
use super::dialect::{Dialect, Question, Reading, configuration};
use super::draft::{is_out_of_quota, of_status};
use super::json::{Object, text};
use super::retry::{self, Attempt, Patience};
use super::secret::{Secret, Secrets};
use crate::error::{ModelError, ModelErrorKind};

/// How much of a server's error message is kept.
const MAX_MESSAGE_CHARS: usize = 600;

/// A model over HTTP.
pub(crate) struct HttpModel<D> {
    pub(crate) model: String,
    pub(crate) dialect: D,
    pub(super) key: Secret,
    /// Added to each request.
    pub(super) headers: HeaderMap,
    pub(super) secrets: Secrets,
    pub(super) client: Client,
    pub(super) patience: Patience,
    pub(super) stall: Duration,
}

impl<D: Dialect> HttpModel<D> {
    pub(crate) fn host(&self) -> &str {
        self.client.host()
    }

    pub(super) fn body(&self, question: &Question<'_>, reading: Reading) -> Result<Vec<u8>, ModelError> {
        let mut body = self.dialect.body(question, reading)?;
        for (name, value) in &question.request.settings.body {
            if D::OWN.contains(&name.as_str()) || body.get(name).is_some() {
                return Err(configuration(format!(
                    "cannot ask `{}`: the body field `{name}` is the client's own; leave it out, or use the setting for it",
                    self.model
                )));
            }
            body.put(name, value);
        }
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

    /// The headers of a request.
    pub(super) fn all_headers(&self) -> HeaderMap {
        let mut headers = self.dialect.headers(&self.key);
        headers.extend(self.headers.clone());
        headers
    }

    pub(super) fn refusal(&self, reply: &Reply) -> Attempt {
        let (status, model) = (reply.status, &self.model);
        let ServerError { said, code, retry_delay } = ServerError::read(&reply.body);
        let retry_after = reply.retry_after.or(retry_delay);
        let error = |kind, what: String| self.presentable(ModelError::new(kind, what));
        match of_status(status) {
            // The server's text may quote a part of the key.
            Some(ModelErrorKind::Unauthorized) => Attempt::Settled(error(
                ModelErrorKind::Unauthorized,
                format!(
                    "cannot ask `{model}`: the server refuses the API key (status {status}); check {}",
                    self.dialect.key_variable()
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
                retry_after,
            ),
            Some(ModelErrorKind::Unavailable) => Attempt::Asked(
                error(
                    ModelErrorKind::Unavailable,
                    format!("cannot ask `{model}`: its server failed (status {status}): {said}"),
                ),
                retry_after,
            ),
            Some(ModelErrorKind::OutOfQuota) => Attempt::Settled(error(
                ModelErrorKind::OutOfQuota,
                format!("cannot ask `{model}`: its quota is used up (status {status}): {said}"),
            )),
            _ if code.as_deref() == Some("content_filter") => Attempt::Settled(error(
                ModelErrorKind::Refused,
                format!("cannot ask `{model}`: the provider withholds an answer (status {status}): {said}"),
            )),
            _ => Attempt::Settled(error(
                ModelErrorKind::Rejected,
                format!("cannot ask `{model}`: the server rejects the request (status {status}): {said}"),
            )),
        }
    }

    /// An error with a text of bounded length and without the key, even if the server quoted it. The key is removed first, so
    /// that the cut does not leave a part of it.
    pub(super) fn presentable(&self, error: ModelError) -> ModelError {
        let text = self.secrets.hide(self.key.hide(&error.to_string()));
        match text.char_indices().nth(MAX_MESSAGE_CHARS) {
            Some((end, _)) => ModelError::new(error.kind(), format!("{} …", &text[..end])),
            None => ModelError::new(error.kind(), text),
        }
    }
}

/// What a server says of an error.
struct ServerError {
    said: String,
    code: Option<String>,
    retry_delay: Option<Duration>,
}

impl ServerError {
    /// Reads the body of an error. Some servers send a list of one error, or have no object around its fields.
    fn read(body: &[u8]) -> Self {
        let listed = || serde_json::from_slice::<Vec<Object>>(body).ok()?.into_iter().next();
        let json: Object = serde_json::from_slice(body).ok().or_else(listed).unwrap_or_default();
        let error = json.object("error").unwrap_or_default();
        let details = error.list("details");
        let mut delays = details.iter().filter_map(|detail| Object::read(detail)?.text("retryDelay"));
        let retry_delay = delays.find_map(|delay| retry::retry_delay(&delay));
        let code = error.text("code").or_else(|| json.text("code"));
        let said = error.text("message").or_else(|| json.get("error").and_then(text)).or_else(|| json.text("message"));
        let said = match said {
            Some(message) => message.trim().to_owned(),
            None if body.is_empty() => "no reason given".to_owned(),
            None => String::from_utf8_lossy(body).trim().to_owned(),
        };
        Self { said, code, retry_delay }
    }
}
