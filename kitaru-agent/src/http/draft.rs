//! An answer that was read, before it counts.
//!
//! Owns what the dialects have in common at the end of an answer. Must not know their terms.

use serde_json::value::RawValue;

use super::dialect::Question;
use super::json::{Object, text};
use crate::answer::counted;
use crate::error::{ModelError, ModelErrorKind};
use crate::message::{ModelResponse, Opaque, Place, ResponsePart, Stop};
use crate::price::Cost;
use crate::tokens::Tokens;

/// The content of an answer, streamed or whole.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) parts: Vec<ResponsePart>,
    pub(crate) model: Option<String>,
    /// The provider's word for why it stopped.
    pub(crate) reason: Option<String>,
    /// The model's text instead of an answer.
    pub(crate) refusal: String,
    pub(crate) tokens: Tokens,
    /// Its cost, if the provider reports it.
    pub(crate) cost: Option<Cost>,
}

impl Draft {
    /// The response, if it counts.
    ///
    /// # Errors
    ///
    /// Why the response does not count. A call without a name is checked last: a bound may have cut the name off.
    pub(crate) fn finish(self, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        let Self { parts, model, reason, refusal, tokens, cost } = self;
        let refusal = refusal.trim();
        if !refusal.is_empty() {
            return Err(question.error(ModelErrorKind::Refused, format_args!("refuses to answer: {refusal}")));
        }
        let mut response = ModelResponse::new(parts);
        response.model = model;
        response.stop = reason.as_deref().map(Stop::of);
        response.tokens = tokens;
        response.cost = cost;
        let response = counted(response, reason.as_deref(), question.model, question.request)?;
        if response.tool_calls().any(|call| call.tool.is_empty()) {
            return Err(question.error(ModelErrorKind::InvalidResponse, "called a tool without its name"));
        }
        // Many servers say so of a text answer. In an empty answer it means that a call was lost.
        let is_nothing = response.tool_calls().next().is_none() && response.output().trim().is_empty();
        if is_nothing && response.stop == Some(Stop::ToolCalls) {
            return Err(question.error(ModelErrorKind::InvalidResponse, "reported a tool call, and sent none"));
        }
        Ok(response)
    }
}

/// An id for a call that arrived without one: its place in the conversation, after `so_far` messages.
pub(crate) fn call_id(so_far: usize, nth: usize) -> String {
    format!("call_{so_far}_{nth}")
}

/// An error in an answer with a status of success.
pub(crate) struct Complaint {
    message: String,
    /// `None` if the server does not name the kind of error.
    kind: Option<ModelErrorKind>,
}

impl Complaint {
    /// The error of the model, of the kind `unless_said` if the server names none.
    pub(crate) fn into_error(self, question: &Question<'_>, what: &str, unless_said: ModelErrorKind) -> ModelError {
        let Self { message, kind } = self;
        match kind {
            // The server's text may quote a part of the key.
            Some(ModelErrorKind::Unauthorized) => question.error(
                ModelErrorKind::Unauthorized,
                format_args!("{what} with an error: the server refuses the API key"),
            ),
            kind => question.error(kind.unwrap_or(unless_said), format_args!("{what} with an error: {message}")),
        }
    }
}

/// The error in a server's answer, with any status.
pub(crate) fn error_in(answer: &Object) -> Option<Complaint> {
    let error = answer.get("error")?;
    let (message, kind) = match Object::read(error) {
        Some(fields) if !fields.fields().any(|(_, value)| says_something(value)) => return None,
        Some(fields) => (fields.text("message").unwrap_or_else(|| error.get().to_owned()), kind_of(&fields)),
        None => (text(error)?, None),
    };
    let message = message.trim().to_owned();
    (!message.is_empty()).then_some(Complaint { message, kind })
}

/// The words for kinds of errors, the most reliable first.
const KINDS: [(ModelErrorKind, &[&str]); 3] = [
    (
        ModelErrorKind::Unauthorized,
        &["authentication", "unauthenticated", "unauthorized", "permission", "forbidden", "invalid_api_key"],
    ),
    (ModelErrorKind::RateLimited, &["rate_limit", "too_many_requests", "resource_exhausted"]),
    (
        ModelErrorKind::Rejected,
        &[
            "invalid_request",
            "invalid_prompt",
            "bad_request",
            "not_found",
            "too_large",
            "context_length",
            "invalid_argument",
        ],
    ),
];

/// The kind of an error, by the status in it or by a word for it.
fn kind_of(error: &Object) -> Option<ModelErrorKind> {
    let names = ["code", "status", "type"];
    let words: Vec<_> =
        names.iter().filter_map(|name| error.text(name)).map(|word| word.to_ascii_lowercase()).collect();
    if words.iter().any(|word| is_out_of_quota(word)) {
        return Some(ModelErrorKind::OutOfQuota);
    }
    let number = |name: &&str| error.count(name).or_else(|| error.text(name)?.trim().parse().ok());
    let status = names.iter().filter_map(number).find_map(|number| u16::try_from(number).ok().and_then(of_status));
    let of_words = || {
        let says = |known: &&str| words.iter().any(|word| word.contains(known));
        KINDS.iter().find(|(_, known)| known.iter().any(&says)).map(|(kind, _)| *kind)
    };
    status.or_else(of_words)
}

/// Whether a word for an error means that the quota is used up.
pub(crate) fn is_out_of_quota(word: &str) -> bool {
    word == "insufficient_quota" || word == "billing_error"
}

/// The kind of error of a status. `None` for success, and for a number that is not a status.
pub(crate) fn of_status(status: u16) -> Option<ModelErrorKind> {
    match status {
        401 | 403 => Some(ModelErrorKind::Unauthorized),
        402 => Some(ModelErrorKind::OutOfQuota),
        429 => Some(ModelErrorKind::RateLimited),
        // The conflict is on the provider's side: it has no state that our request could contradict.
        408 | 409 | 425 | 500..=999 => Some(ModelErrorKind::Unavailable),
        300..=499 => Some(ModelErrorKind::Rejected),
        _ => None,
    }
}

/// The parts for unknown fields of a tool call, which go back with the call. `within` precedes their names.
pub(crate) fn fields_of_a_call(dialect: &str, call: &Object, known: &[&str], within: &str) -> Vec<ResponsePart> {
    let unknown = call.fields().filter(|(name, value)| !known.contains(name) && says_something(value));
    let part = |(name, value): (&str, &RawValue)| {
        ResponsePart::Opaque(Opaque::new(dialect, Place::Call(format!("{within}{name}")), value.get()))
    };
    unknown.map(part).collect()
}

/// Whether a value is more than an empty placeholder.
pub(crate) fn says_something(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}" | "false")
}

/// The content in a part for a model of `dialect`, and its place.
pub(crate) fn given_back<'a>(dialect: &str, part: &'a ResponsePart) -> Option<(&'a Place, Box<RawValue>)> {
    match part {
        ResponsePart::Reasoning(opaque) | ResponsePart::Opaque(opaque) if opaque.dialect == dialect => {
            // If users made a part that is not JSON, it is not sent: it would spoil the whole request.
            Some((&opaque.place, RawValue::from_string(opaque.json.clone()).ok()?))
        }
        _ => None,
    }
}
