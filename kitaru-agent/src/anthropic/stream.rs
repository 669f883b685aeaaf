//! A streamed message.
//!
//! Owns what is around its blocks: events, usage, the reason of its end. Must not know how blocks add up, nor how events
//! arrive.

use serde_json::{json, value::RawValue};

use super::reply::ReplyBlocks;
use crate::delta::Delta;
use crate::error::{ModelError, ModelErrorKind};
use crate::http::{
    Question, Read, Reader,
    draft::{Draft, error_in},
    json::{Object, raw, text},
};
use crate::message::{ModelResponse, Stop};
use crate::tokens::Tokens;

/// Assembles a message.
pub(super) struct MessageReader<'a> {
    question: &'a Question<'a>,
    said: ReplyBlocks,
    draft: Draft,
    usage: Usage,
}

/// The counts so far.
#[derive(Clone, Copy, Default)]
struct Usage {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
}

impl Usage {
    /// Replaces the known counts with those in `usage`.
    fn update(&mut self, usage: &Object) {
        for (count, name) in [
            (&mut self.input, "input_tokens"),
            (&mut self.output, "output_tokens"),
            (&mut self.cache_read, "cache_read_input_tokens"),
            (&mut self.cache_creation, "cache_creation_input_tokens"),
        ] {
            *count = usage.count(name).or(*count);
        }
    }
}

impl From<Usage> for Tokens {
    /// The API does not count cached tokens as input.
    fn from(usage: Usage) -> Self {
        let cached = usage.cache_read.unwrap_or(0);
        let through_cache = cached.saturating_add(usage.cache_creation.unwrap_or(0));
        let mut tokens = Tokens::new(usage.input.unwrap_or(0).saturating_add(through_cache), usage.output.unwrap_or(0));
        tokens.cached_input = cached;
        tokens
    }
}

/// Reads a whole message.
pub(super) fn response(json: &RawValue, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
    let invalid = |what: &str| question.error(ModelErrorKind::InvalidResponse, what);
    let Some(message) = Object::read(json) else {
        return Err(invalid("answered without a message: it is not an object"));
    };
    if let Some(complaint) = error_in(&message) {
        return Err(complaint.into_error(question, "answered", ModelErrorKind::InvalidResponse));
    }
    let mut reader = MessageReader::new(question);
    reader.note(&message);
    // A missing content is an empty one, if the message says why it stopped.
    if message.get("content").is_none() && reader.draft.reason.is_none() {
        return Err(invalid("answered without a message: missing field `content`"));
    }
    for block in message.list("content") {
        // A text instead of a block is a text block.
        let of_text = text(&block).and_then(|text| raw(&json!({ "type": "text", "text": text })));
        reader.said.begin(None, &of_text.unwrap_or(block));
    }
    reader.finish()
}

impl<'a> MessageReader<'a> {
    pub(super) fn new(question: &'a Question<'a>) -> Self {
        Self { question, said: ReplyBlocks::default(), draft: Draft::default(), usage: Usage::default() }
    }

    fn so_far(&self) -> usize {
        self.question.request.messages.len()
    }

    /// Takes the fields next to the blocks. Unexpected ones are not part of the answer, and are ignored.
    fn note(&mut self, around: &Object) {
        self.draft.model = self.draft.model.take().or_else(|| around.text("model"));
        if let Some(usage) = around.object("usage") {
            self.usage.update(&usage);
        }
        if let Some(reason) = around.text("stop_reason").filter(|reason| !reason.is_empty()) {
            self.draft.reason = Some(reason);
        }
    }

    fn interrupted(&self) -> ModelError {
        self.question.error(ModelErrorKind::Interrupted, "ended its answer before it was complete")
    }

    fn finish(&mut self) -> Result<ModelResponse, ModelError> {
        let parts = std::mem::take(&mut self.said).into_parts(self.so_far());
        Draft { parts, tokens: self.usage.into(), ..std::mem::take(&mut self.draft) }.finish(self.question)
    }

    /// The message, which the server has declared complete.
    fn over(&mut self) -> Result<Read, ModelError> {
        let Some(reason) = &self.draft.reason else { return Err(self.interrupted()) };
        let is_complete = matches!(Stop::of(reason), Stop::End | Stop::ToolCalls);
        // If the answer was cut, the error must name the cut.
        if is_complete && (self.said.is_open() || self.said.has_lost_input()) {
            return Err(self.interrupted());
        }
        Ok(Read::Over(Vec::new(), self.finish()?))
    }
}

impl Reader for MessageReader<'_> {
    fn event(&mut self, event: &str, data: &str) -> Result<Read, ModelError> {
        let invalid = |what: String| self.question.error(ModelErrorKind::InvalidResponse, what);
        if data.trim().is_empty() {
            return Ok(Read::More(Vec::new()));
        }
        let json: Box<RawValue> =
            serde_json::from_str(data).map_err(|error| invalid(format!("sent an event that is not JSON ({error})")))?;
        let Some(fields) = Object::read(&json) else {
            return Err(invalid("sent an event that is not an object".to_owned()));
        };
        if let Some(complaint) = error_in(&fields) {
            return Err(complaint.into_error(self.question, "broke off its answer", ModelErrorKind::Unavailable));
        }
        let label = fields.get("index").map(|index| index.get().to_owned());
        let no_block = |_| {
            let label = label.as_deref().unwrap_or("without a number");
            invalid(format!("sent a piece of a block {label} that is not open"))
        };
        let kind = fields.text("type").unwrap_or_else(|| event.to_owned());
        let piece: Option<Delta> = match &*kind {
            "message_start" => {
                self.note(&fields.object("message").unwrap_or_default());
                None
            }
            "content_block_start" => fields.get("content_block").and_then(|block| self.said.begin(label, block)),
            "content_block_delta" => {
                self.said.grow(&label, &fields.object("delta").unwrap_or_default()).map_err(no_block)?
            }
            "content_block_stop" => self.said.end(&label, self.question.request.messages.len()).map_err(no_block)?,
            "message_delta" => {
                self.note(&fields.object("delta").unwrap_or_default());
                self.note(&fields);
                None
            }
            "message_stop" => return self.over(),
            // Pings, and unknown events.
            _ => None,
        };
        Ok(Read::More(piece.into_iter().collect()))
    }

    fn has_begun(&self) -> bool {
        !self.said.is_nothing() || self.said.is_reasoning()
    }

    fn is_reasoning(&self) -> bool {
        self.said.is_reasoning()
    }

    /// Only the last event of a message says that it is complete.
    fn end(&mut self) -> Result<Read, ModelError> {
        Err(self.question.error(ModelErrorKind::Interrupted, "broke off in the middle of its answer"))
    }
}
