//! A whole response, which also ends each stream.
//!
//! Owns what is around its items: status, usage, model. Must not know how events arrive.

use serde_json::value::RawValue;

use super::items::ReplyItems;
use crate::error::{ModelError, ModelErrorKind};
use crate::http::{
    Question,
    draft::{Draft, error_in},
    json::Object,
};
use crate::message::ModelResponse;
use crate::tokens::Tokens;

/// Reads a whole response.
pub(super) fn response(json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
    let invalid = |what: &str| question.error(ModelErrorKind::InvalidResponse, what);
    let Some(response) = Object::read(json) else {
        return Err(invalid("answered without a response: it is not an object"));
    };
    if let Some(complaint) = error_in(&response) {
        return Err(complaint.into_error(question, "answered", ModelErrorKind::InvalidResponse));
    }
    if response.get("output").is_none() && response.get("status").is_none() {
        return Err(invalid("answered without a response: missing field `output`"));
    }
    counted(&response, &response.list("output"), None, question)
}

/// The answer that a response with these items is. `unless_said` is why it stopped, if it does not say so itself.
///
/// # Errors
///
/// Why it does not count.
pub(super) fn counted(
    response: &Object,
    items: &[Box<RawValue>],
    unless_said: Option<&str>,
    question: &Question<'_>,
) -> Result<ModelResponse, ModelError> {
    let reply = ReplyItems::read(items, question.request.messages.len());
    let usage = response.object("usage").unwrap_or_default();
    let cached = usage.object("input_tokens_details").and_then(|details| details.count("cached_tokens"));
    let tokens = Tokens {
        input: usage.count("input_tokens").unwrap_or_default(),
        output: usage.count("output_tokens").unwrap_or_default(),
        cached_input: cached.unwrap_or_default(),
    };
    let status = response.text("status").filter(|status| !status.is_empty());
    let reason = match status.as_deref().or(unless_said) {
        Some("incomplete") => {
            let details = response.object("incomplete_details").unwrap_or_default();
            Some(details.text("reason").unwrap_or_else(|| "incomplete".to_owned()))
        }
        Some("completed") if reply.has_calls() => Some("tool_calls".to_owned()),
        Some("failed") => Some("error".to_owned()),
        status => status.map(str::to_owned),
    };
    let (parts, refusal, model) = (reply.parts, reply.refusal, response.text("model"));
    Draft { parts, refusal, model, reason, tokens, ..Draft::default() }.finish(question)
}
