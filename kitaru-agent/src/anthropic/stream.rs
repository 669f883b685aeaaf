//! A message in pieces.
//!
//! Owns how events add up. Must not know how they come.

use std::{collections::BTreeMap, fmt::Display};

use serde::Deserialize;
use serde_json::Value;

use super::wire::{self, AnswerUsage, Block};
use crate::{
    Delta, ModelError, ModelErrorKind, ModelResponse, ResponsePart, Stop, Text, Tokens, ToolCall,
    http::{Question, Read, Reader, error_of},
};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: BlockDelta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: End,
        #[serde(default)]
        usage: AnswerUsage,
    },
    MessageStop,
    /// Pings, and what else there may be.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    model: Option<String>,
    #[serde(default)]
    usage: AnswerUsage,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockDelta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    #[serde(other)]
    Other,
}

/// A block that is being sent.
struct Open {
    part: Option<ResponsePart>,
    over: Over,
}

#[derive(PartialEq)]
enum Over {
    Yes,
    No,
}

/// Puts a message together.
pub(super) struct MessageReader {
    model: String,
    blocks: BTreeMap<usize, Open>,
    answered_by: Option<String>,
    stop: Option<Stop>,
    usage: AnswerUsage,
}

impl MessageReader {
    pub(super) fn new(question: &Question<'_>) -> Self {
        let model = question.model.to_owned();
        Self { model, blocks: BTreeMap::new(), answered_by: None, stop: None, usage: AnswerUsage::default() }
    }

    fn invalid(&self, what: impl Display) -> ModelError {
        error_of(&self.model, ModelErrorKind::InvalidResponse, what)
    }

    /// The block that an event is a piece of.
    fn block(&mut self, index: usize) -> Result<&mut Open, ModelError> {
        let error = self.invalid(format_args!("sent a piece of a block {index} that is not open"));
        self.blocks.get_mut(&index).filter(|block| block.over == Over::No).ok_or(error)
    }

    fn piece(&mut self, index: usize, delta: BlockDelta) -> Result<Option<Delta>, ModelError> {
        let part = self.block(index)?.part.as_mut();
        Ok(match (part, delta) {
            (Some(ResponsePart::Text(known)), BlockDelta::TextDelta { text }) if !text.is_empty() => {
                known.content.push_str(&text);
                Some(Delta::Text(text))
            }
            (Some(ResponsePart::ToolCall(call)), BlockDelta::InputJsonDelta { partial_json }) => {
                call.arguments.push_str(&partial_json);
                None
            }
            _ => None,
        })
    }

    fn over(&mut self) -> Result<Read, ModelError> {
        if self.stop.is_none() || self.blocks.values().any(|block| block.over == Over::No) {
            return Err(error_of(&self.model, ModelErrorKind::Interrupted, "ended its answer before it was complete"));
        }
        let parts = std::mem::take(&mut self.blocks).into_values().filter_map(|block| block.part);
        let parts = parts.filter(|part| !matches!(part, ResponsePart::Text(text) if text.content.is_empty()));
        let mut response = ModelResponse::new(parts.collect());
        response.model = self.answered_by.take();
        response.stop = self.stop;
        response.tokens = Tokens::from(self.usage);
        Ok(Read::Over(Vec::new(), wire::unless_refused(response, &self.model)?))
    }
}

impl Reader for MessageReader {
    fn event(&mut self, _: &str, data: &str) -> Result<Read, ModelError> {
        let json: Value = serde_json::from_str(data)
            .map_err(|error| self.invalid(format_args!("sent an event that is no JSON ({error})")))?;
        if let Some(message) = wire::error_in(&json) {
            let what = format_args!("broke off its answer with an error: {message}");
            return Err(error_of(&self.model, ModelErrorKind::Unavailable, what));
        }
        let event = serde_json::from_value(json)
            .map_err(|error| self.invalid(format_args!("sent an event that is none of a message: {error}")))?;
        let piece = match event {
            Event::MessageStart { message } => {
                self.answered_by = message.model;
                self.usage = message.usage;
                None
            }
            Event::ContentBlockStart { index, content_block } => {
                let (part, piece) = match content_block {
                    Block::Text { text } => {
                        let piece = (!text.is_empty()).then(|| Delta::Text(text.clone()));
                        (Some(ResponsePart::Text(Text::new(text))), piece)
                    }
                    // Its arguments come in pieces of text, and what it begins with is an empty object in their place.
                    Block::ToolUse { id, name, .. } => {
                        (Some(ResponsePart::ToolCall(ToolCall::new(id, name, ""))), None)
                    }
                    Block::Other => (None, None),
                };
                self.blocks.insert(index, Open { part, over: Over::No });
                piece
            }
            Event::ContentBlockDelta { index, delta } => self.piece(index, delta)?,
            Event::ContentBlockStop { index } => {
                let block = self.block(index)?;
                block.over = Over::Yes;
                match &block.part {
                    Some(ResponsePart::ToolCall(call)) => Some(Delta::ToolCall(call.clone())),
                    _ => None,
                }
            }
            Event::MessageDelta { delta, usage } => {
                self.stop = delta.stop_reason.as_deref().map(wire::stop).or(self.stop);
                self.usage = self.usage.updated(usage);
                None
            }
            Event::MessageStop => return self.over(),
            Event::Other => None,
        };
        Ok(Read::More(piece.into_iter().collect()))
    }
}
