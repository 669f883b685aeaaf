//! The words of the chat completions API.
//!
//! Owns both translations: our request into its JSON, its JSON into our response. Must not know HTTP.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    AnswerForm, CallRef, Message, ModelError, ModelErrorKind, ModelResponse, RequestPart, ResponsePart, Stop, Text,
    Tokens, ToolCall,
    http::{Question, Reading, error_of},
};

/// The body of a request; `max_tokens` is what the server calls the bound on its answer.
pub(super) fn body(question: &Question<'_>, max_tokens: &str, reading: Reading) -> Value {
    let request = question.request;
    let mut messages = Vec::new();
    messages.extend(request.instructions.as_ref().map(|text| json!({ "role": "system", "content": text })));
    for message in &request.messages {
        match message {
            Message::Request(said) => messages.extend(said.parts.iter().map(request_part)),
            Message::Response(response) => messages.push(assistant(response)),
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), question.model.into());
    body.insert("messages".into(), messages.into());
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body.insert("tools".into(), tools.collect());
    }
    match &request.answer {
        AnswerForm::Text => {}
        AnswerForm::Tool => drop(body.insert("tool_choice".into(), "required".into())),
        AnswerForm::Schema { name, schema } => {
            let format = json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema } });
            body.insert("response_format".into(), format);
        }
    }
    if reading == Reading::Streaming {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    let settings = &request.settings;
    let parallel = settings.parallel_tool_calls.filter(|_| !request.tools.is_empty());
    for (name, value) in [
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        (max_tokens, settings.max_tokens.map(Value::from)),
        ("seed", settings.seed.map(Value::from)),
        ("parallel_tool_calls", parallel.map(Value::from)),
    ] {
        body.extend(value.map(|value| (name.to_owned(), value)));
    }
    body.into()
}

fn request_part(part: &RequestPart) -> Value {
    let tool = |call: &CallRef, content: &str| json!({ "role": "tool", "tool_call_id": call.id, "content": content });
    match part {
        RequestPart::SystemPrompt(prompt) => json!({ "role": "system", "content": prompt.content }),
        RequestPart::UserPrompt(prompt) => json!({ "role": "user", "content": prompt.content }),
        RequestPart::ToolReturn(given) => tool(&given.call, &given.content),
        RequestPart::RetryPrompt(retry) => match &retry.call {
            Some(call) => tool(call, &retry.content),
            None => json!({ "role": "user", "content": retry.content }),
        },
    }
}

fn assistant(response: &ModelResponse) -> Value {
    let text = response.output();
    let calls: Vec<_> = response
        .tool_calls()
        .map(|call| {
            let function = json!({ "name": call.tool, "arguments": call.arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        })
        .collect();
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    model: Option<String>,
    usage: Option<CompletionUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Answer,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<AnsweredCall>>,
}

#[derive(Deserialize)]
struct AnsweredCall {
    id: Option<String>,
    function: AnsweredFunction,
}

#[derive(Deserialize)]
struct AnsweredFunction {
    name: String,
    /// A string of JSON; some servers give the JSON itself.
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
pub(super) struct CompletionUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

/// Reads a completion.
pub(super) fn response(json: Value, question: &Question<'_>) -> Result<ModelResponse, ModelError> {
    let invalid = |what: String| question.error(ModelErrorKind::InvalidResponse, what);
    if let Some(message) = error_in(&json) {
        return Err(invalid(format!("answered with an error: {message}")));
    }
    let completion: Completion =
        serde_json::from_value(json).map_err(|error| invalid(format!("answered with no completion: {error}")))?;
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(invalid("answered with a completion that holds no choice".to_owned()));
    };
    let answer = choice.message;
    let mut parts = Vec::new();
    parts.extend(answer.content.filter(|text| !text.is_empty()).map(|text| ResponsePart::Text(Text::new(text))));
    for (n, call) in answer.tool_calls.unwrap_or_default().into_iter().enumerate() {
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| call_id(question.request.messages.len(), n));
        let arguments = match call.function.arguments {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        parts.push(ResponsePart::ToolCall(ToolCall::new(id, call.function.name, arguments)));
    }
    let mut response = ModelResponse::new(parts);
    response.model = completion.model;
    response.stop = choice.finish_reason.as_deref().map(stop);
    response.tokens = completion.usage.map(Tokens::from).unwrap_or_default();
    unless_refused(response, answer.refusal, question.model)
}

/// The response, unless the model or its provider refuses to give one.
pub(super) fn unless_refused(
    response: ModelResponse,
    refusal: Option<String>,
    model: &str,
) -> Result<ModelResponse, ModelError> {
    if let Some(refusal) = refusal.filter(|text| !text.is_empty()) {
        return Err(error_of(model, ModelErrorKind::Refused, format_args!("refuses to answer: {}", refusal.trim())));
    }
    if response.parts.is_empty() && response.stop == Some(Stop::Refused) {
        let message = format!("the answer of `{model}` was withheld by its filter");
        return Err(ModelError::new(ModelErrorKind::Refused, message));
    }
    Ok(response)
}

/// What a server says of an error that it answers with, whatever the status.
pub(super) fn error_in(json: &Value) -> Option<&str> {
    json.get("error")?.get("message")?.as_str().map(str::trim)
}

/// An id for a call that came without one: its place in the conversation, behind `so_far` messages.
pub(super) fn call_id(so_far: usize, nth: usize) -> String {
    format!("call_{so_far}_{nth}")
}

impl From<CompletionUsage> for Tokens {
    fn from(usage: CompletionUsage) -> Self {
        let mut tokens = Tokens::new(usage.prompt_tokens, usage.completion_tokens);
        tokens.cached_input = usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        tokens
    }
}

pub(super) fn stop(reason: &str) -> Stop {
    match reason {
        "stop" => Stop::End,
        "tool_calls" | "function_call" => Stop::ToolCalls,
        "length" => Stop::Length,
        "content_filter" => Stop::Refused,
        _ => Stop::Other,
    }
}
