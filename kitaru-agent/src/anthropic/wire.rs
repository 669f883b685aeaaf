//! The JSON of the messages API.
//!
//! Owns the translation of our request into its JSON. Must not know HTTP, nor how an answer is read.

use serde_json::{Value, json, value::RawValue};

use super::content;
use super::thinking::Thinking;
use crate::error::ModelError;
use crate::http::{
    Choice, Question, Reading, configuration,
    content::of_call,
    draft::given_back,
    json::{Object, raw},
};
use crate::message::{CallRef, Message, ModelResponse, Place, RequestPart, ResponsePart};
use crate::model::{AnswerForm, ModelRequest};

/// The dialect's name, under which content for its servers is kept.
pub(super) const DIALECT: &str = "anthropic";

pub(super) fn body(question: &Question<'_>, reading: Reading) -> Result<Object, ModelError> {
    let request = question.request;
    let settings = &request.settings;
    let thinking = Thinking::of(question)?;
    let mut body = Object::default();
    body.put("model", &question.model);
    body.put("max_tokens", &thinking.max_tokens(question, default_max_tokens(question.model))?);
    let system = system(request);
    if !system.is_empty() {
        body.put("system", &system);
    }
    body.put("messages", &messages(question)?);
    if !request.tools.is_empty() {
        let tools = request
            .tools
            .iter()
            .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.parameters }));
        body.put("tools", &tools.collect::<Vec<_>>());
    }
    if let AnswerForm::Schema { .. } = &request.answer {
        return Err(configuration(format!(
            "cannot ask `{}`: it sends a typed answer by a tool, not by a schema",
            question.model
        )));
    }
    let one_at_a_time = settings.parallel_tool_calls == Some(false);
    let choice = match question.choice()? {
        // The API refuses a forced call of a model that thinks.
        Choice::Required | Choice::Tool(_) if thinking.is_on => json!({ "type": "auto" }),
        Choice::Auto => json!({ "type": "auto" }),
        Choice::None => json!({ "type": "none" }),
        Choice::Required => json!({ "type": "any" }),
        Choice::Tool(name) => json!({ "type": "tool", "name": name }),
    };
    if !request.tools.is_empty() && (choice["type"] != "auto" || one_at_a_time) {
        let mut choice = choice;
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = one_at_a_time.into();
        }
        body.put("tool_choice", &choice);
    }
    let stop = (!settings.stop.is_empty()).then(|| json!(settings.stop));
    for (name, value) in [
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        ("top_k", settings.top_k.map(Value::from)),
        ("stop_sequences", stop),
        ("service_tier", settings.service_tier.clone().map(Value::from)),
    ] {
        if let Some(value) = value {
            body.put(name, &value);
        }
    }
    for (name, value) in thinking.fields {
        body.put(name, &value);
    }
    if reading == Reading::Streaming {
        body.put("stream", &true);
    }
    Ok(body)
}

/// The bound on an answer for which none is set, since the API requires one: the most that the model can produce, but no more
/// than it produces within the time of a request.
pub(super) fn default_max_tokens(model: &str) -> u32 {
    let old = ["claude-2", "claude-instant", "claude-3-opus", "claude-3-sonnet", "claude-3-haiku"];
    if old.iter().any(|name| model.contains(name)) {
        4096
    } else if model.contains("claude-3-5") || !model.contains("claude") {
        8192
    } else {
        16_384
    }
}

/// The instructions and the system prompts of the conversation: the API has one field for them.
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

/// The conversation, in which user and assistant alternate: consecutive messages of one of them become one.
fn messages(question: &Question<'_>) -> Result<Vec<Object>, ModelError> {
    let mut messages: Vec<(&str, Vec<Box<RawValue>>)> = Vec::new();
    for message in &question.request.messages {
        let (role, blocks): (_, Vec<_>) = match message {
            Message::Request(said) => ("user", request_parts(question, &said.parts)?),
            Message::Response(response) => ("assistant", blocks(response)),
        };
        match messages.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => messages.push((role, blocks)),
        }
    }
    let message = |(role, content): (&str, Vec<Box<RawValue>>)| {
        let mut message = Object::default();
        message.put("role", &role);
        message.put("content", &content);
        message
    };
    Ok(messages.into_iter().map(message).collect())
}

/// The API refuses empty texts.
fn text(content: &str) -> Option<Box<RawValue>> {
    if content.trim().is_empty() { None } else { raw(&json!({ "type": "text", "text": content })) }
}

fn request_parts(question: &Question<'_>, parts: &[RequestPart]) -> Result<Vec<Box<RawValue>>, ModelError> {
    let result =
        |call: &CallRef, content: Value| json!({ "type": "tool_result", "tool_use_id": call.id, "content": content });
    let mut blocks = Vec::new();
    for part in parts {
        blocks.extend(match part {
            RequestPart::SystemPrompt(_) => None,
            RequestPart::UserPrompt(prompt) => text(&prompt.content),
            RequestPart::ToolReturn(given) => {
                let media = of_call(parts, &given.call.id).map(|media| content::block(question, media));
                let media = media.collect::<Result<Vec<_>, _>>()?;
                let output = match media.is_empty() {
                    true => json!(given.content),
                    false => {
                        let said = (!given.content.trim().is_empty())
                            .then(|| json!({ "type": "text", "text": given.content }));
                        said.into_iter().chain(media).collect()
                    }
                };
                raw(&result(&given.call, output))
            }
            RequestPart::RetryPrompt(retry) => match &retry.call {
                Some(call) => {
                    let mut result = result(call, json!(retry.content));
                    result["is_error"] = true.into();
                    raw(&result)
                }
                None => text(&retry.content),
            },
            RequestPart::Attachment(attached) if attached.call.is_none() => {
                raw(&content::block(question, &attached.media)?)
            }
            // With the output that it belongs to.
            RequestPart::Attachment(_) => None,
        });
    }
    Ok(blocks)
}

/// The model's response, with the content that its provider wants back in its original places.
fn blocks(response: &ModelResponse) -> Vec<Box<RawValue>> {
    let mut blocks = Vec::new();
    let mut parts = response.parts.iter().peekable();
    while let Some(part) = parts.next() {
        match part {
            ResponsePart::Text(said) => blocks.extend(text(&said.content)),
            ResponsePart::ToolCall(call) => {
                let mut block = Object::default();
                block.put("type", &"tool_use");
                block.put("id", &call.id);
                block.put("name", &call.tool);
                // The API accepts only an object; a later message says what was wrong with the arguments.
                let given = serde_json::from_str::<&RawValue>(&call.arguments).ok();
                match given.filter(|input| Object::read(input).is_some()) {
                    Some(input) => block.put_raw("input", input.to_owned()),
                    None => block.put("input", &Object::default()),
                }
                while let Some((Place::Call(name), json)) = parts.peek().and_then(|part| given_back(DIALECT, part)) {
                    block.put_raw(name, json);
                    parts.next();
                }
                blocks.extend(raw(&block));
            }
            ResponsePart::Reasoning(_) | ResponsePart::Opaque(_) => {
                if let Some((Place::Part, json)) = given_back(DIALECT, part) {
                    blocks.push(json);
                }
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_on_an_answer_for_which_none_is_set_is_what_the_model_can_say() {
        for (model, bound) in [
            ("claude-sonnet-4-5", 16_384),
            ("claude-3-7-sonnet-latest", 16_384),
            ("claude-3-5-haiku-latest", 8_192),
            ("another-model", 8_192),
            ("claude-3-opus-20240229", 4_096),
            ("claude-3-haiku-20240307", 4_096),
        ] {
            assert_eq!(default_max_tokens(model), bound, "{model}");
        }
    }
}
