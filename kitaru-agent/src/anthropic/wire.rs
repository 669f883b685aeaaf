//! The words of the messages API.
//!
//! Owns both translations: our request into its JSON, its JSON into our response. Must not know HTTP.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::DEFAULT_MAX_TOKENS;
use crate::{
    AnswerForm, CallRef, Message, ModelError, ModelErrorKind, ModelRequest, ModelResponse, RequestPart, ResponsePart,
    Stop, Text, Tokens, ToolCall,
    http::{Question, Reading, configuration, error_of},
};

pub(super) fn body(question: &Question<'_>, reading: Reading) -> Result<Value, ModelError> {
    let request = question.request;
    let settings = &request.settings;
    let mut body = Map::new();
    body.insert("model".into(), question.model.into());
    body.insert("max_tokens".into(), settings.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS).into());
    let system = system(request);
    if !system.is_empty() {
        body.insert("system".into(), system.into());
    }
    body.insert("messages".into(), messages(request).into());
    if !request.tools.is_empty() {
        let tools = request
            .tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }));
        body.insert("tools".into(), tools.collect());
    }
    let choice = match &request.answer {
        AnswerForm::Text => "auto",
        AnswerForm::Tool => "any",
        AnswerForm::Schema { .. } => {
            return Err(configuration(format!("`{}` gives a typed answer by a tool, not by a schema", question.model)));
        }
    };
    let one_at_a_time = settings.parallel_tool_calls == Some(false);
    if !request.tools.is_empty() && (choice != "auto" || one_at_a_time) {
        body.insert("tool_choice".into(), json!({ "type": choice, "disable_parallel_tool_use": one_at_a_time }));
    }
    body.extend(settings.temperature.map(|value| ("temperature".to_owned(), value.into())));
    body.extend(settings.top_p.map(|value| ("top_p".to_owned(), value.into())));
    if reading == Reading::Streaming {
        body.insert("stream".into(), true.into());
    }
    Ok(body.into())
}

/// The instructions and the system prompts of the conversation: the API knows one place for them.
fn system(request: &ModelRequest) -> String {
    let prompts = request.messages.iter().flat_map(|message| match message {
        Message::Request(said) => said.parts.as_slice(),
        Message::Response(_) => &[],
    });
    let prompts = prompts.filter_map(|part| match part {
        RequestPart::SystemPrompt(prompt) => Some(prompt.content.as_str()),
        _ => None,
    });
    request.instructions.as_deref().into_iter().chain(prompts).collect::<Vec<_>>().join("\n\n")
}

/// The conversation, in which user and assistant take turns: what one of them says in several messages is one here.
fn messages(request: &ModelRequest) -> Vec<Value> {
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &request.messages {
        let (role, blocks): (_, Vec<_>) = match message {
            Message::Request(said) => ("user", said.parts.iter().filter_map(request_part).collect()),
            Message::Response(response) => ("assistant", response.parts.iter().filter_map(response_part).collect()),
        };
        match messages.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => messages.push((role, blocks)),
        }
    }
    messages.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

/// The API refuses empty texts.
fn text(content: &str) -> Option<Value> {
    (!content.trim().is_empty()).then(|| json!({ "type": "text", "text": content }))
}

fn request_part(part: &RequestPart) -> Option<Value> {
    let result =
        |call: &CallRef, content: &str| json!({ "type": "tool_result", "tool_use_id": call.id, "content": content });
    match part {
        RequestPart::SystemPrompt(_) => None,
        RequestPart::UserPrompt(prompt) => text(&prompt.content),
        RequestPart::ToolReturn(given) => Some(result(&given.call, &given.content)),
        RequestPart::RetryPrompt(retry) => match &retry.call {
            Some(call) => {
                let mut result = result(call, &retry.content);
                result["is_error"] = true.into();
                Some(result)
            }
            None => text(&retry.content),
        },
    }
}

fn response_part(part: &ResponsePart) -> Option<Value> {
    match part {
        ResponsePart::Text(said) => text(&said.content),
        ResponsePart::ToolCall(call) => {
            // The API takes nothing but an object; what was wrong with the arguments is told behind it.
            let input: Map<_, _> = serde_json::from_str(&call.arguments).unwrap_or_default();
            Some(json!({ "type": "tool_use", "id": call.id, "name": call.tool, "input": input }))
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    content: Vec<Block>,
    model: Option<String>,
    stop_reason: Option<String>,
    #[serde(default)]
    usage: AnswerUsage,
}

/// A part of an answer.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    /// Thoughts, and what else there may be.
    #[serde(other)]
    Other,
}

/// What is counted, as far as it is said.
#[derive(Clone, Copy, Default, Deserialize)]
pub(super) struct AnswerUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

impl AnswerUsage {
    /// These counts, with those that `newer` says in their place.
    pub(super) fn updated(self, newer: Self) -> Self {
        Self {
            input_tokens: newer.input_tokens.or(self.input_tokens),
            output_tokens: newer.output_tokens.or(self.output_tokens),
            cache_read_input_tokens: newer.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation_input_tokens: newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens),
        }
    }
}

impl From<AnswerUsage> for Tokens {
    /// The API does not count what goes through its cache as input.
    fn from(usage: AnswerUsage) -> Self {
        let cached = usage.cache_read_input_tokens.unwrap_or(0);
        let input = usage.input_tokens.unwrap_or(0) + cached + usage.cache_creation_input_tokens.unwrap_or(0);
        let mut tokens = Tokens::new(input, usage.output_tokens.unwrap_or(0));
        tokens.cached_input = cached;
        tokens
    }
}

pub(super) fn response(json: Value, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
    let invalid = |what: String| question.error(ModelErrorKind::InvalidResponse, what);
    if let Some(message) = error_in(&json) {
        return Err(invalid(format!("answered with an error: {message}")));
    }
    let answer: Answer =
        serde_json::from_value(json).map_err(|error| invalid(format!("answered with no message: {error}")))?;
    let parts = answer.content.into_iter().filter_map(|block| match block {
        Block::Text { text } if text.is_empty() => None,
        Block::Text { text } => Some(ResponsePart::Text(Text::new(text))),
        Block::ToolUse { id, name, input } => Some(ResponsePart::ToolCall(ToolCall::new(id, name, input.to_string()))),
        Block::Other => None,
    });
    let mut response = ModelResponse::new(parts.collect());
    response.model = answer.model;
    response.stop = answer.stop_reason.as_deref().map(stop);
    response.tokens = answer.usage.into();
    unless_refused(response, question.model)
}

/// The response, unless the provider withheld it.
pub(super) fn unless_refused(response: ModelResponse, model: &str) -> Result<ModelResponse, ModelError> {
    match response.stop {
        Some(Stop::Refused) => Err(error_of(model, ModelErrorKind::Refused, "refuses to answer")),
        _ => Ok(response),
    }
}

/// What a server says of an error that it answers with, whatever the status.
pub(super) fn error_in(json: &Value) -> Option<&str> {
    json.get("error")?.get("message")?.as_str().map(str::trim)
}

pub(super) fn stop(reason: &str) -> Stop {
    match reason {
        "end_turn" | "stop_sequence" => Stop::End,
        "tool_use" => Stop::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "refusal" => Stop::Refused,
        _ => Stop::Other,
    }
}
