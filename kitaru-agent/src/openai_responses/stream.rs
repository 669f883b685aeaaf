//! A streamed response.
//!
//! Owns its events. The last one has the whole response, which is the answer; the pieces before it are for listeners, and must
//! add up to it. Must not know how events arrive.

use serde_json::value::RawValue;

use super::items::call;
use super::reply::counted;
use crate::delta::Delta;
use crate::error::{ModelError, ModelErrorKind};
use crate::http::{
    Question, Read, Reader,
    draft::error_in,
    json::{Object, Pieces},
};
use crate::message::{ModelResponse, ToolCall};

/// Assembles a response.
pub(super) struct ResponseReader<'a> {
    question: &'a Question<'a>,
    /// The complete items, for a server whose last event lacks them.
    items: Vec<Box<RawValue>>,
    /// What listeners know.
    text: Pieces,
    calls: Vec<ToolCall>,
    has_begun: bool,
    is_reasoning: bool,
}

impl<'a> ResponseReader<'a> {
    pub(super) fn new(question: &'a Question<'a>) -> Self {
        let (items, calls) = (Vec::new(), Vec::new());
        Self { question, items, text: Pieces::default(), calls, has_begun: false, is_reasoning: false }
    }

    fn invalid(&self, what: &str) -> ModelError {
        self.question.error(ModelErrorKind::InvalidResponse, what)
    }

    /// An item is complete.
    fn take(&mut self, item: &RawValue) -> Option<Delta> {
        let fields = Object::read(item)?;
        self.items.push(item.to_owned());
        self.has_begun = true;
        self.is_reasoning = false;
        let is_call = fields.text("type").as_deref() == Some("function_call");
        is_call.then(|| {
            let call = call(&fields, self.question.request.messages.len(), self.calls.len());
            self.calls.push(call.clone());
            Delta::ToolCall(call)
        })
    }

    /// The server declares the response complete, or as far as it goes.
    fn over(&mut self, response: &Object, reason: &str) -> Result<Read, ModelError> {
        if let Some(complaint) = error_in(response) {
            return Err(complaint.into_error(self.question, "broke off its answer", ModelErrorKind::Unavailable));
        }
        let mut items = response.list("output");
        if items.is_empty() {
            items = std::mem::take(&mut self.items);
        }
        let answer = counted(response, &items, Some(reason), self.question)?;
        let rest = self.rest(&answer).ok_or_else(|| {
            self.question.error(ModelErrorKind::Interrupted, "sent pieces that do not add up to its answer")
        })?;
        Ok(Read::Over(rest, answer))
    }

    /// What listeners do not know of the answer. `None` if they know of something else.
    fn rest(&self, answer: &ModelResponse) -> Option<Vec<Delta>> {
        let text = answer.output();
        let rest = text.strip_prefix(self.text.as_str())?;
        let text = (!rest.is_empty()).then(|| Delta::Text(rest.to_owned()));
        let calls: Vec<_> = answer.tool_calls().cloned().collect();
        let calls = calls.strip_prefix(&*self.calls)?.iter().cloned().map(Delta::ToolCall);
        Some(text.into_iter().chain(calls).collect())
    }
}

impl Reader for ResponseReader<'_> {
    fn event(&mut self, event: &str, data: &str) -> Result<Read, ModelError> {
        let data = data.trim();
        // The end mark of another API, which some servers send too.
        if data.is_empty() || data == "[DONE]" {
            return Ok(Read::More(Vec::new()));
        }
        let json: Box<RawValue> = serde_json::from_str(data)
            .map_err(|error| self.invalid(&format!("sent an event that is not JSON ({error})")))?;
        let Some(fields) = Object::read(&json) else { return Err(self.invalid("sent an event that is not an object")) };
        let kind = fields.text("type").unwrap_or_else(|| event.to_owned());
        let mut complaint = error_in(&fields);
        if kind == "error" && complaint.is_none() {
            // Its fields are those of the error.
            let mut around = Object::default();
            around.put("error", &fields);
            complaint = error_in(&around);
        }
        if let Some(complaint) = complaint {
            return Err(complaint.into_error(self.question, "broke off its answer", ModelErrorKind::Unavailable));
        }
        let delta = match &*kind {
            "response.output_text.delta" => {
                self.has_begun = true;
                let piece = fields.get("delta").and_then(|piece| self.text.push(piece));
                piece.filter(|piece| !piece.is_empty()).map(|piece| Delta::Text(piece.to_owned()))
            }
            "response.output_item.added" => {
                let kind = fields.object("item").and_then(|item| item.text("type"));
                self.is_reasoning = kind.as_deref() == Some("reasoning");
                self.has_begun |= self.is_reasoning;
                None
            }
            "response.output_item.done" => {
                let item = fields.get("item").map(ToOwned::to_owned);
                item.and_then(|item| self.take(&item))
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let reason = kind.trim_start_matches("response.");
                return self.over(&fields.object("response").unwrap_or_default(), reason);
            }
            kind => {
                // Pieces of reasoning, refusals and calls.
                self.has_begun |= kind.ends_with(".delta");
                None
            }
        };
        Ok(Read::More(delta.into_iter().collect()))
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn is_reasoning(&self) -> bool {
        self.is_reasoning
    }

    /// Only the last event says that a response is complete.
    fn end(&mut self) -> Result<Read, ModelError> {
        Err(self.question.error(ModelErrorKind::Interrupted, "broke off in the middle of its answer"))
    }
}
