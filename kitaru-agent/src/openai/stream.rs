//! A streamed completion.
//!
//! Owns what is around its message: choices, usage, the reason of its end. Must not know how a message adds up, nor how events
//! arrive.

use serde_json::value::RawValue;

use super::reply::{Delivery, ReplyContent};
use super::server::Traits;
use crate::delta::Delta;
use crate::error::{ModelError, ModelErrorKind};
use crate::http::{
    Question, Read, Reader,
    draft::{Draft, error_in},
    json::Object,
};
use crate::message::ModelResponse;
use crate::price::Cost;
use crate::tokens::Tokens;

/// The event after the last chunk; some servers omit it.
const DONE: &str = "[DONE]";

/// Assembles a completion.
pub(super) struct ChatReader<'a> {
    question: &'a Question<'a>,
    traits: Traits,
    said: ReplyContent,
    draft: Draft,
}

/// Reads a whole completion.
pub(super) fn response(json: &RawValue, question: &Question<'_>, traits: &Traits) -> Result<ModelResponse, ModelError> {
    let invalid = |what: &str| question.error(ModelErrorKind::InvalidResponse, what);
    let Some(completion) = Object::read(json) else {
        return Err(invalid("answered without a completion: it is not an object"));
    };
    if let Some(complaint) = error_in(&completion) {
        return Err(complaint.into_error(question, "answered", ModelErrorKind::InvalidResponse));
    }
    if completion.get("choices").is_none() {
        return Err(invalid("answered without a completion: missing field `choices`"));
    }
    let Some(choice) = completion.list("choices").first().and_then(|choice| Object::read(choice)) else {
        return Err(invalid("answered with a completion that has no choice"));
    };
    let Some(message) = choice.object("message") else {
        return Err(invalid("answered with a choice that has no message"));
    };
    let mut reader = ChatReader::new(question, traits);
    reader.note(&completion);
    reader.note_end(&choice);
    reader.said.add(&message, Delivery::Whole);
    reader.said.end();
    reader.finish()
}

impl<'a> ChatReader<'a> {
    pub(super) fn new(question: &'a Question<'a>, traits: &Traits) -> Self {
        let said = ReplyContent::new(question, traits.reasoning_tags);
        Self { question, traits: *traits, said, draft: Draft::default() }
    }

    fn invalid(&self, what: &str) -> ModelError {
        self.question.error(ModelErrorKind::InvalidResponse, what)
    }

    /// Takes the fields next to the choices. Unexpected ones are not part of the answer, and are ignored.
    fn note(&mut self, around: &Object) {
        self.draft.model = self.draft.model.take().or_else(|| around.text("model"));
        let Some(usage) = around.object("usage") else { return };
        let tokens = &mut self.draft.tokens;
        let details = usage.object("prompt_tokens_details").unwrap_or_default();
        *tokens = Tokens {
            input: usage.count("prompt_tokens").unwrap_or(tokens.input),
            output: usage.count("completion_tokens").unwrap_or(tokens.output),
            cached_input: details
                .count("cached_tokens")
                .or_else(|| usage.count("prompt_cache_hit_tokens"))
                .unwrap_or(tokens.cached_input),
        };
        if self.traits.reports_cost {
            self.draft.cost = usage.number("cost").map(Cost::of).or(self.draft.cost);
        }
    }

    fn note_end(&mut self, choice: &Object) {
        if let Some(reason) = choice.text("finish_reason").filter(|reason| !reason.is_empty()) {
            self.draft.reason = Some(reason);
        }
    }

    fn finish(&mut self) -> Result<ModelResponse, ModelError> {
        let said = std::mem::replace(&mut self.said, ReplyContent::new(self.question, None));
        let (parts, refusal) = said.into_parts();
        Draft { parts, refusal, ..std::mem::take(&mut self.draft) }.finish(self.question)
    }
}

impl Reader for ChatReader<'_> {
    fn event(&mut self, _: &str, data: &str) -> Result<Read, ModelError> {
        match data.trim() {
            DONE => return self.end(),
            // An empty event, by which some servers keep the connection open.
            "" => return Ok(Read::More(Vec::new())),
            _ => {}
        }
        let json: Box<RawValue> = serde_json::from_str(data)
            .map_err(|error| self.invalid(&format!("sent a chunk that is not JSON ({error})")))?;
        let Some(chunk) = Object::read(&json) else { return Err(self.invalid("sent a chunk that is not an object")) };
        if let Some(complaint) = error_in(&chunk) {
            return Err(complaint.into_error(self.question, "broke off its answer", ModelErrorKind::Unavailable));
        }
        self.note(&chunk);
        let mut deltas = Vec::new();
        for choice in chunk.list("choices").iter().filter_map(|choice| Object::read(choice)) {
            if choice.count("index").is_some_and(|index| index != 0) {
                continue;
            }
            // Some servers send the whole message instead of a piece.
            let whole = || choice.object("message").filter(|_| self.said.is_nothing());
            if let Some(piece) = choice.object("delta").or_else(whole) {
                deltas.extend(self.said.add(&piece, Delivery::InPieces));
            }
            self.note_end(&choice);
        }
        Ok(Read::More(deltas))
    }

    fn has_begun(&self) -> bool {
        !self.said.is_nothing()
    }

    /// An answer with a reason for its end is complete; later events are about it.
    fn end(&mut self) -> Result<Read, ModelError> {
        if self.draft.reason.is_none() {
            return Err(self.question.error(ModelErrorKind::Interrupted, "ended its answer without saying why"));
        }
        let text = self.said.end();
        let response = self.finish()?;
        let deltas = text.into_iter().chain(response.tool_calls().cloned().map(Delta::ToolCall)).collect();
        Ok(Read::Over(deltas, response))
    }
}
