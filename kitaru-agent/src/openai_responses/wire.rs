//! The JSON of a request to the Responses API.
//!
//! Owns the translation of our request into its JSON. Must not know HTTP, nor how an answer is read.

use serde_json::{Value, json, value::RawValue};

use super::content;
use super::items::DIALECT;
use crate::error::ModelError;
use crate::http::{
    Choice, Question, Reading,
    content::{has_media, of_call},
    draft::given_back,
    json::{Object, raw},
};
use crate::message::{CallRef, Message, ModelResponse, Place, RequestPart, ResponsePart};
use crate::model::AnswerForm;
use crate::openai::effort_word;

/// The body of a request.
pub(super) fn body(question: &Question<'_>, reading: Reading) -> Result<Object, ModelError> {
    let request = question.request;
    let settings = &request.settings;
    if !settings.stop.is_empty() {
        return Err(question.lacks("stop", "use the chat completions of `OpenAi`, or cut the text yourself"));
    }
    if settings.reasoning_tokens.is_some() {
        return Err(question.lacks("reasoning_tokens", "set an `effort` instead"));
    }
    let mut body = Object::default();
    body.put("model", &question.model);
    if let Some(instructions) = &request.instructions {
        body.put("instructions", instructions);
    }
    body.put("input", &input(question)?);
    // The conversation is here, not at the provider, and so is its reasoning.
    body.put("store", &false);
    body.put("include", &["reasoning.encrypted_content"]);
    if !request.tools.is_empty() {
        // Unless it is said, this API rewrites the schemas.
        let tool = |tool: &crate::tool::ToolDefinition| {
            json!({
                "type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters,
                "strict": false,
            })
        };
        body.put("tools", &request.tools.iter().map(tool).collect::<Vec<_>>());
    }
    let choice = match question.choice()? {
        Choice::Auto => None,
        Choice::None => Some(json!("none")),
        Choice::Required => Some(json!("required")),
        Choice::Tool(name) => Some(json!({ "type": "function", "name": name })),
    };
    let format = match &request.answer {
        AnswerForm::Schema { name, schema } => {
            let format = json!({ "type": "json_schema", "name": name, "schema": schema, "strict": false });
            Some(json!({ "format": format }))
        }
        AnswerForm::Text | AnswerForm::Tool => None,
    };
    let has_tools = !request.tools.is_empty();
    for (name, value) in [
        ("tool_choice", choice.filter(|_| has_tools)),
        ("text", format),
        ("parallel_tool_calls", settings.parallel_tool_calls.filter(|_| has_tools).map(Value::from)),
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        ("max_output_tokens", settings.max_tokens.map(Value::from)),
        ("reasoning", settings.effort.map(|effort| json!({ "effort": effort_word(effort) }))),
        ("service_tier", settings.service_tier.clone().map(Value::from)),
        ("stream", (reading == Reading::Streaming).then_some(Value::Bool(true))),
    ] {
        if let Some(value) = value {
            body.put(name, &value);
        }
    }
    Ok(body)
}

/// The conversation, as a list of items.
fn input(question: &Question<'_>) -> Result<Vec<Box<RawValue>>, ModelError> {
    let mut items = Vec::new();
    for message in &question.request.messages {
        match message {
            Message::Request(said) => {
                items.extend(request_items(question, &said.parts)?.iter().filter_map(raw));
            }
            Message::Response(response) => items.extend(output(response)),
        }
    }
    Ok(items)
}

/// The agent's message: an item for each part, except that media and the prompts around them are one.
fn request_items(question: &Question<'_>, parts: &[RequestPart]) -> Result<Vec<Value>, ModelError> {
    let has_media = has_media(parts);
    let (mut items, mut asked) = (Vec::new(), Vec::new());
    let output =
        |call: &CallRef, output: Value| json!({ "type": "function_call_output", "call_id": call.id, "output": output });
    for part in parts {
        let prompt = match part {
            RequestPart::SystemPrompt(prompt) => {
                items.push(json!({ "role": "system", "content": prompt.content }));
                continue;
            }
            RequestPart::ToolReturn(given) => {
                let media = of_call(parts, &given.call.id).map(|media| content::part(question, media));
                let media = media.collect::<Result<Vec<_>, _>>()?;
                items.push(match media.is_empty() {
                    true => output(&given.call, json!(given.content)),
                    false => {
                        let said = (!given.content.is_empty()).then(|| content::text(&given.content));
                        output(&given.call, said.into_iter().chain(media).collect())
                    }
                });
                continue;
            }
            RequestPart::Attachment(attached) => {
                if attached.call.is_none() {
                    asked.push(content::part(question, &attached.media)?);
                }
                continue;
            }
            RequestPart::UserPrompt(prompt) => &prompt.content,
            RequestPart::RetryPrompt(retry) => match &retry.call {
                Some(call) => {
                    items.push(output(call, json!(retry.content)));
                    continue;
                }
                None => &retry.content,
            },
        };
        match prompt {
            prompt if !has_media => items.push(json!({ "role": "user", "content": prompt })),
            prompt if prompt.is_empty() => {}
            prompt => asked.push(content::text(prompt)),
        }
    }
    if !asked.is_empty() {
        items.push(json!({ "role": "user", "content": asked }));
    }
    Ok(items)
}

/// The items of the model's response, in their order.
fn output(response: &ModelResponse) -> Vec<Box<RawValue>> {
    let mut items = Vec::new();
    let mut parts = response.parts.iter().peekable();
    while let Some(part) = parts.next() {
        let mut item = Object::default();
        match part {
            ResponsePart::Text(said) => {
                item.put("type", &"message");
                item.put("role", &"assistant");
                item.put("content", &[json!({ "type": "output_text", "text": said.content })]);
            }
            ResponsePart::ToolCall(call) => {
                item.put("type", &"function_call");
                item.put("call_id", &call.id);
                item.put("name", &call.tool);
                item.put("arguments", &call.arguments);
            }
            ResponsePart::Reasoning(_) | ResponsePart::Opaque(_) => {
                if let Some((Place::Part, json)) = given_back(DIALECT, part) {
                    items.push(json);
                }
                continue;
            }
        }
        while let Some((Place::Text(name) | Place::Call(name), json)) =
            parts.peek().and_then(|part| given_back(DIALECT, part))
        {
            item.put_raw(name, json);
            parts.next();
        }
        items.extend(raw(&item));
    }
    items
}
