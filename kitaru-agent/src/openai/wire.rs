//! The words of the chat completions API.
//!
//! Owns both translations: our request into its JSON, its JSON into our response. Must not know HTTP.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    CallRef, Message, ModelError, ModelErrorKind, ModelRequest, ModelResponse, RequestPart, ResponsePart, Stop, Text,
    Tokens, ToolCall,
};

pub(super) fn body(model: &str, request: &ModelRequest, is_openai_itself: bool) -> Result<Vec<u8>, ModelError> {
    let mut messages = Vec::new();
    messages.extend(request.instructions.as_ref().map(|text| json!({ "role": "system", "content": text })));
    for message in &request.messages {
        match message {
            Message::Request(said) => messages.extend(said.parts.iter().map(request_part)),
            Message::Response(response) => messages.push(assistant(response)),
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), messages.into());
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body.insert("tools".into(), tools.collect());
    }
    // OpenAI's newer models take only the new name, most other servers only the old one.
    let max_tokens = if is_openai_itself { "max_completion_tokens" } else { "max_tokens" };
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
    serde_json::to_vec(&body).map_err(|error| ModelError::new(ModelErrorKind::Other, format!("no JSON: {error}")))
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
struct CompletionUsage {
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

/// Reads a completion. `so_far` is the number of messages before it: with it a call without an id gets one of its own.
pub(super) fn response(json: Value, model: &str, so_far: usize) -> Result<ModelResponse, ModelError> {
    let invalid = |what: String| ModelError::new(ModelErrorKind::InvalidResponse, format!("`{model}` {what}"));
    if let Some(message) = json.get("error").and_then(|error| error.get("message")).and_then(Value::as_str) {
        return Err(invalid(format!("answered with an error: {}", message.trim())));
    }
    let completion: Completion =
        serde_json::from_value(json).map_err(|error| invalid(format!("answered with no completion: {error}")))?;
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err(invalid("answered with a completion that holds no choice".to_owned()));
    };
    let stop = choice.finish_reason.as_deref().map(stop);
    let answer = choice.message;
    if let Some(refusal) = answer.refusal.filter(|text| !text.is_empty()) {
        let message = format!("`{model}` refuses to answer: {}", refusal.trim());
        return Err(ModelError::new(ModelErrorKind::Refused, message));
    }
    let mut parts = Vec::new();
    parts.extend(answer.content.filter(|text| !text.is_empty()).map(|text| ResponsePart::Text(Text::new(text))));
    for (n, call) in answer.tool_calls.unwrap_or_default().into_iter().enumerate() {
        let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{so_far}_{n}"));
        let arguments = match call.function.arguments {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        parts.push(ResponsePart::ToolCall(ToolCall::new(id, call.function.name, arguments)));
    }
    if parts.is_empty() && stop == Some(Stop::Refused) {
        return Err(ModelError::new(
            ModelErrorKind::Refused,
            format!("the answer of `{model}` was withheld by its filter"),
        ));
    }
    let mut response = ModelResponse::new(parts);
    response.model = completion.model;
    response.stop = stop;
    if let Some(usage) = completion.usage {
        response.tokens = Tokens::new(usage.prompt_tokens, usage.completion_tokens);
        response.tokens.cached_input = usage.prompt_tokens_details.and_then(|d| d.cached_tokens).unwrap_or(0);
    }
    Ok(response)
}

fn stop(reason: &str) -> Stop {
    match reason {
        "stop" => Stop::End,
        "tool_calls" | "function_call" => Stop::ToolCalls,
        "length" => Stop::Length,
        "content_filter" => Stop::Refused,
        _ => Stop::Other,
    }
}

/// What a server says about an error, and its code for it.
pub(super) fn complaint(body: &[u8]) -> (String, Option<String>) {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &json["error"];
    let code = error["code"].as_str().map(str::to_owned);
    match error["message"].as_str().or_else(|| error.as_str()) {
        Some(message) => (message.trim().to_owned(), code),
        None if body.is_empty() => ("no reason given".to_owned(), code),
        None => (String::from_utf8_lossy(body).trim().to_owned(), code),
    }
}
