//! The JSON of the chat completions API.
//!
//! Owns the translation of our request into its JSON. Must not know HTTP, nor how an answer is read.

use serde_json::{Value, json, value::RawValue};

use crate::http::{
    Question, Reading,
    draft::given_back,
    json::{Object, raw},
};
use crate::message::{CallRef, Message, ModelResponse, Place, RequestPart, ResponsePart, ToolCall};
use crate::model::{AnswerForm, ModelProfile};

/// The dialect's name, under which content for its servers is kept.
pub(super) const DIALECT: &str = "openai";
/// The prefix for a field in the function of a call.
pub(super) const IN_FUNCTION: &str = "function.";

/// Which content is sent back to a server, in addition to text and tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveBack {
    /// All that it may want back, byte for byte.
    #[default]
    Everything,
    /// Only texts and tool calls, for servers that refuse their own content.
    Nothing,
}

/// The dialect of chat completions.
pub(super) struct Chat {
    pub(super) profile: ModelProfile,
    /// The name of the bound on an answer.
    pub(super) max_tokens: &'static str,
    pub(super) give_back: GiveBack,
}

/// The body of a request.
pub(super) fn body(question: &Question<'_>, chat: &Chat, reading: Reading) -> Object {
    let request = question.request;
    let mut messages: Vec<Box<RawValue>> = Vec::new();
    messages.extend(request.instructions.as_ref().and_then(|text| raw(&json!({ "role": "system", "content": text }))));
    for message in &request.messages {
        match message {
            Message::Request(said) => messages.extend(said.parts.iter().filter_map(|part| raw(&request_part(part)))),
            Message::Response(response) => messages.extend(raw(&assistant(response, chat.give_back))),
        }
    }
    let mut body = Object::default();
    body.put("model", &question.model);
    body.put("messages", &messages);
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body.put("tools", &tools.collect::<Vec<_>>());
    }
    match &request.answer {
        AnswerForm::Text => {}
        AnswerForm::Tool => body.put("tool_choice", &"required"),
        AnswerForm::Schema { name, schema } => {
            let format = json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema } });
            body.put("response_format", &format);
        }
    }
    if reading == Reading::Streaming {
        body.put("stream", &true);
        body.put("stream_options", &json!({ "include_usage": true }));
    }
    let settings = &request.settings;
    let parallel = settings.parallel_tool_calls.filter(|_| !request.tools.is_empty());
    for (name, value) in [
        ("temperature", settings.temperature.map(Value::from)),
        ("top_p", settings.top_p.map(Value::from)),
        (chat.max_tokens, settings.max_tokens.map(Value::from)),
        ("seed", settings.seed.map(Value::from)),
        ("parallel_tool_calls", parallel.map(Value::from)),
    ] {
        if let Some(value) = value {
            body.put(name, &value);
        }
    }
    body
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

/// The model's response, with the content that its provider wants back in its original places.
fn assistant(response: &ModelResponse, give_back: GiveBack) -> Object {
    let mut message = Object::default();
    message.put("role", &"assistant");
    // The places of these two precede those of the content that is sent back.
    message.put("content", &Value::Null);
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    let mut is_list = false;
    for part in &response.parts {
        match part {
            ResponsePart::Text(text) => content.extend(raw(&json!({ "type": "text", "text": text.content }))),
            ResponsePart::ToolCall(call) => calls.push(Call::of(call)),
            ResponsePart::Reasoning(_) | ResponsePart::Opaque(_) if give_back == GiveBack::Nothing => {}
            ResponsePart::Reasoning(_) | ResponsePart::Opaque(_) => match given_back(DIALECT, part) {
                Some((Place::Part, json)) => {
                    content.push(json);
                    is_list = true;
                }
                Some((Place::Message(name), json)) => message.put_raw(name, json),
                Some((Place::Call(name), json)) => {
                    if let Some(call) = calls.last_mut() {
                        call.put_raw(name, json);
                    }
                }
                None => {}
            },
        }
    }
    let text = response.output();
    if is_list {
        message.put("content", &content);
    } else if !text.is_empty() || calls.is_empty() {
        message.put("content", &text);
    }
    if !calls.is_empty() {
        message.put("tool_calls", &calls.into_iter().map(Call::into_object).collect::<Vec<_>>());
    }
    message
}

/// A tool call, as it is sent back.
struct Call {
    call: Object,
    function: Object,
}

impl Call {
    fn of(said: &ToolCall) -> Self {
        let (mut call, mut function) = (Object::default(), Object::default());
        call.put("id", &said.id);
        call.put("type", &"function");
        function.put("name", &said.tool);
        function.put("arguments", &said.arguments);
        Self { call, function }
    }

    fn put_raw(&mut self, name: &str, json: Box<RawValue>) {
        match name.strip_prefix(IN_FUNCTION) {
            Some(name) => self.function.put_raw(name, json),
            None => self.call.put_raw(name, json),
        }
    }

    fn into_object(self) -> Object {
        let Self { mut call, function } = self;
        call.put("function", &function);
        call
    }
}
