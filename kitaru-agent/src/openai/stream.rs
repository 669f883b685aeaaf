//! A completion in pieces.
//!
//! Owns how chunks add up. Must not know how they come.

use std::fmt::Display;

use serde::Deserialize;
use serde_json::Value;

use super::wire::{self, CompletionUsage};
use crate::{
    Delta, ModelError, ModelErrorKind, ModelResponse, ResponsePart, Stop, Text, Tokens, ToolCall,
    http::{Question, Read, Reader, error_of},
};

/// What comes after the last chunk.
const DONE: &str = "[DONE]";

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<ChunkChoice>,
    model: Option<String>,
    usage: Option<CompletionUsage>,
}

#[derive(Deserialize)]
struct ChunkChoice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    delta: ChunkDelta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct ChunkDelta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ChunkCall>>,
}

#[derive(Deserialize)]
struct ChunkCall {
    /// Which call it is a piece of; a server that leaves it out sends each call in one piece.
    index: Option<usize>,
    id: Option<String>,
    #[serde(default)]
    function: ChunkFunction,
}

#[derive(Default, Deserialize)]
struct ChunkFunction {
    name: Option<String>,
    arguments: Option<String>,
}

/// Puts a completion together.
pub(super) struct ChatReader {
    model: String,
    /// How many messages there are before the answer.
    so_far: usize,
    text: String,
    refusal: String,
    calls: Vec<ToolCall>,
    answered_by: Option<String>,
    stop: Option<Stop>,
    tokens: Tokens,
}

impl ChatReader {
    pub(super) fn new(question: &Question<'_>) -> Self {
        Self {
            model: question.model.to_owned(),
            so_far: question.request.messages.len(),
            text: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            answered_by: None,
            stop: None,
            tokens: Tokens::default(),
        }
    }

    fn error(&self, kind: ModelErrorKind, what: impl Display) -> ModelError {
        error_of(&self.model, kind, what)
    }

    fn invalid(&self, what: impl Display) -> ModelError {
        self.error(ModelErrorKind::InvalidResponse, what)
    }

    fn add(&mut self, call: ChunkCall) -> Result<(), ModelError> {
        let nth = call.index.unwrap_or(self.calls.len());
        if nth == self.calls.len() {
            let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| wire::call_id(self.so_far, nth));
            self.calls.push(ToolCall::new(id, "", ""));
        }
        let Some(known) = self.calls.get_mut(nth) else {
            return Err(self.invalid(format_args!("sent a piece of a tool call {nth} that it had not begun")));
        };
        known.tool.push_str(&call.function.name.unwrap_or_default());
        known.arguments.push_str(&call.function.arguments.unwrap_or_default());
        Ok(())
    }

    fn over(&mut self) -> Result<Read, ModelError> {
        if self.stop.is_none() {
            return Err(self.error(ModelErrorKind::Interrupted, "ended its answer without saying why"));
        }
        let text = std::mem::take(&mut self.text);
        let text = (!text.is_empty()).then(|| ResponsePart::Text(Text::new(text)));
        let calls = std::mem::take(&mut self.calls);
        let deltas = calls.iter().cloned().map(Delta::ToolCall).collect();
        let mut response =
            ModelResponse::new(text.into_iter().chain(calls.into_iter().map(ResponsePart::ToolCall)).collect());
        response.model = self.answered_by.take();
        response.stop = self.stop;
        response.tokens = self.tokens;
        let refusal = Some(std::mem::take(&mut self.refusal));
        Ok(Read::Over(deltas, wire::unless_refused(response, refusal, &self.model)?))
    }
}

impl Reader for ChatReader {
    fn event(&mut self, _: &str, data: &str) -> Result<Read, ModelError> {
        if data.trim() == DONE {
            return self.over();
        }
        let json: Value = serde_json::from_str(data)
            .map_err(|error| self.invalid(format_args!("sent a chunk that is no JSON ({error})")))?;
        if let Some(message) = wire::error_in(&json) {
            return Err(
                self.error(ModelErrorKind::Unavailable, format_args!("broke off its answer with an error: {message}"))
            );
        }
        let chunk: Chunk = serde_json::from_value(json)
            .map_err(|error| self.invalid(format_args!("sent a chunk that is none of a completion: {error}")))?;
        self.answered_by = self.answered_by.take().or(chunk.model);
        if let Some(usage) = chunk.usage {
            self.tokens = usage.into();
        }
        let mut deltas = Vec::new();
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                self.text.push_str(&text);
                deltas.push(Delta::Text(text));
            }
            self.refusal.push_str(&choice.delta.refusal.unwrap_or_default());
            for call in choice.delta.tool_calls.unwrap_or_default() {
                self.add(call)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.stop = Some(wire::stop(&reason));
            }
        }
        Ok(Read::More(deltas))
    }
}
