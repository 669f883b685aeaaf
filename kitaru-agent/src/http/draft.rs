//! An answer that has been read, before it counts.
//!
//! Owns what the dialects have in common in the end of an answer. Must not know their words.

use serde_json::value::RawValue;

use super::{
    Question,
    json::{Object, text},
};
use crate::{ModelError, ModelErrorKind, ModelResponse, Opaque, Place, ResponsePart, Stop, Tokens, answer::counted};

/// What was said, in whichever way it came.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) parts: Vec<ResponsePart>,
    pub(crate) model: Option<String>,
    /// Why it stopped, in the provider's word.
    pub(crate) reason: Option<String>,
    /// What the model said in place of an answer.
    pub(crate) refusal: String,
    pub(crate) tokens: Tokens,
}

impl Draft {
    /// The response, if it counts.
    ///
    /// # Errors
    ///
    /// What keeps it from counting. A call without a name is looked at last: it may be what a bound has cut off.
    pub(crate) fn finish(self, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
        let Self { parts, model, reason, refusal, tokens } = self;
        let refusal = refusal.trim();
        if !refusal.is_empty() {
            return Err(question.error(ModelErrorKind::Refused, format_args!("refuses to answer: {refusal}")));
        }
        let mut response = ModelResponse::new(parts);
        response.model = model;
        response.stop = reason.as_deref().map(Stop::of);
        response.tokens = tokens;
        let response = counted(response, reason.as_deref(), question.model, question.request)?;
        if response.tool_calls().any(|call| call.tool.is_empty()) {
            return Err(question.error(ModelErrorKind::InvalidResponse, "asked for a tool without its name"));
        }
        Ok(response)
    }
}

/// An id for a call that came without one: its place in the conversation, behind `so_far` messages.
pub(crate) fn call_id(so_far: usize, nth: usize) -> String {
    format!("call_{so_far}_{nth}")
}

/// What a server says of an error that it answers with, whatever the status.
pub(crate) fn error_in(answer: &Object) -> Option<String> {
    let error = answer.get("error")?;
    let message = match Object::read(error) {
        Some(fields) if !fields.fields().any(|(_, value)| says_something(value)) => return None,
        Some(fields) => fields.text("message").unwrap_or_else(|| error.get().to_owned()),
        None => text(error)?,
    };
    Some(message.trim().to_owned()).filter(|message| !message.is_empty())
}

/// The parts for the fields of a tool call that this crate has no word for, which go back with the call. `within` is in
/// front of their names.
pub(crate) fn fields_of_a_call(dialect: &str, call: &Object, known: &[&str], within: &str) -> Vec<ResponsePart> {
    let unknown = call.fields().filter(|(name, value)| !known.contains(name) && says_something(value));
    let part = |(name, value): (&str, &RawValue)| {
        ResponsePart::Opaque(Opaque::new(dialect, Place::Call(format!("{within}{name}")), value.get()))
    };
    unknown.map(part).collect()
}

/// Whether a value is more than a place that is left empty.
pub(crate) fn says_something(value: &RawValue) -> bool {
    !matches!(value.get(), "null" | "\"\"" | "[]" | "{}" | "false")
}

/// What goes back to a model of `dialect` of a part, and its place.
pub(crate) fn given_back<'a>(dialect: &str, part: &'a ResponsePart) -> Option<(&'a Place, Box<RawValue>)> {
    match part {
        ResponsePart::Reasoning(opaque) | ResponsePart::Opaque(opaque) if opaque.dialect == dialect => {
            // What users made of no JSON goes nowhere: it would spoil the whole request.
            Some((&opaque.place, RawValue::from_string(opaque.json.clone()).ok()?))
        }
        _ => None,
    }
}
