//! The JSON of the chat completions API.
//!
//! Owns the translation of our request into its JSON. Must not know HTTP, nor how an answer is read.

use serde_json::{Value, json, value::RawValue};

use super::content;
use super::server::{GiveBack, Traits};
use crate::error::ModelError;
use crate::http::{
    Choice, Question, Reading,
    content::{has_media, of_call},
    draft::given_back,
    json::{Object, raw},
};
use crate::message::{Message, ModelResponse, Place, RequestMessage, RequestPart, ResponsePart, ToolCall};
use crate::model::{AnswerForm, ModelProfile};

/// The dialect's name, under which content for its servers is kept.
pub(super) const DIALECT: &str = "openai";
/// The prefix for a field in the function of a call.
pub(super) const IN_FUNCTION: &str = "function.";
/// The field of a message that some servers require with calls.
const REASONING: &str = "reasoning_content";

/// The dialect of chat completions.
pub(super) struct Chat {
    pub(super) profile: ModelProfile,
    pub(super) traits: Traits,
    pub(super) give_back: GiveBack,
}

/// The body of a request.
pub(super) fn body(question: &Question<'_>, chat: &Chat, reading: Reading) -> Result<Object, ModelError> {
    let (request, traits) = (question.request, &chat.traits);
    let mut body = Object::default();
    body.put("model", &question.model);
    body.put("messages", &messages(question, chat)?);
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
            json!({ "type": "function", "function": function })
        });
        body.put("tools", &tools.collect::<Vec<_>>());
    }
    let choice = match question.choice()? {
        Choice::Auto => None,
        Choice::None => Some(json!("none")),
        Choice::Required => Some(json!("required")),
        Choice::Tool(name) => Some(json!({ "type": "function", "function": { "name": name } })),
    };
    if let Some(choice) = choice.filter(|_| !request.tools.is_empty() || request.answer == AnswerForm::Tool) {
        body.put("tool_choice", &choice);
    }
    if let AnswerForm::Schema { name, schema } = &request.answer {
        let format = json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema } });
        body.put("response_format", &format);
    }
    if reading == Reading::Streaming {
        body.put("stream", &true);
        if traits.has_stream_options {
            body.put("stream_options", &json!({ "include_usage": true }));
        }
    }
    for (name, value) in settings(question, traits)? {
        body.put(name, &value);
    }
    Ok(body)
}

/// The settings that the server has, under its names.
fn settings(question: &Question<'_>, traits: &Traits) -> Result<Vec<(&'static str, Value)>, ModelError> {
    let settings = &question.request.settings;
    let parallel = settings.parallel_tool_calls.filter(|_| !question.request.tools.is_empty());
    let has = |has: bool, value: Option<Value>| value.filter(|_| has);
    let stop = (!settings.stop.is_empty()).then(|| json!(settings.stop));
    let mut set: Vec<_> = [
        (Some("temperature"), settings.temperature.map(Value::from)),
        (Some("top_p"), settings.top_p.map(Value::from)),
        (Some(traits.max_tokens), settings.max_tokens.map(Value::from)),
        (traits.seed, settings.seed.map(Value::from)),
        (Some("parallel_tool_calls"), has(traits.has_parallel_tool_calls, parallel.map(Value::from))),
        (Some("stop"), stop),
        (Some("service_tier"), has(traits.has_service_tier, settings.service_tier.clone().map(Value::from))),
        (Some("top_k"), has(traits.has_top_k, settings.top_k.map(Value::from))),
        (Some("presence_penalty"), has(traits.has_penalties, settings.presence_penalty.map(Value::from))),
        (Some("frequency_penalty"), has(traits.has_penalties, settings.frequency_penalty.map(Value::from))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name?, value?)))
    .collect();
    match (settings.reasoning_tokens, settings.effort) {
        (Some(tokens), _) => match traits.effort.of_tokens(tokens) {
            Some(field) => set.push(field),
            None => return Err(question.lacks("reasoning_tokens", "set an `effort` instead")),
        },
        (None, Some(effort)) => set.extend(traits.effort.of_effort(effort)),
        (None, None) => {}
    }
    Ok(set)
}

/// The messages of a request, so far.
struct Conversation<'a> {
    chat: &'a Chat,
    messages: Vec<Box<RawValue>>,
    is_after_tools: bool,
}

impl Conversation<'_> {
    fn id(&self, id: &str) -> String {
        if self.chat.traits.has_short_ids { short_id(id) } else { id.to_owned() }
    }

    fn push(&mut self, message: &Value) {
        let is_tool = message["role"] == "tool";
        if let Some(between) = self.chat.traits.says_after_tools.filter(|_| self.is_after_tools && !is_tool) {
            self.messages.extend(raw(&json!({ "role": "assistant", "content": between })));
        }
        self.is_after_tools = is_tool;
        self.messages.extend(raw(message));
    }

    /// A message of the user with these parts, if there are any.
    fn push_parts(&mut self, parts: &mut Vec<Value>) {
        if !parts.is_empty() {
            self.push(&json!({ "role": "user", "content": std::mem::take(parts) }));
        }
    }

    /// The agent's message: a message for each part, except that media and what stands around them are one.
    fn push_request(&mut self, question: &Question<'_>, said: &RequestMessage) -> Result<(), ModelError> {
        let chat = self.chat;
        let has_media = has_media(&said.parts);
        // Media of the outputs of tools follow all outputs: nothing may stand between those.
        let (mut seen, mut asked) = (Vec::new(), Vec::new());
        for part in &said.parts {
            let (call, text) = match part {
                RequestPart::ToolReturn(given) => (Some(&given.call), &given.content),
                RequestPart::RetryPrompt(retry) => (retry.call.as_ref(), &retry.content),
                RequestPart::UserPrompt(prompt) => (None, &prompt.content),
                RequestPart::SystemPrompt(prompt) => {
                    self.push_parts(&mut seen);
                    self.push(&json!({ "role": "system", "content": prompt.content }));
                    continue;
                }
                RequestPart::Attachment(attached) => {
                    if attached.call.is_none() {
                        asked.push(content::part(question, &chat.traits, &attached.media)?);
                    }
                    continue;
                }
            };
            match call {
                Some(call) => {
                    for media in of_call(&said.parts, &call.id) {
                        seen.extend([content::caption(call), content::part(question, &chat.traits, media)?]);
                    }
                    let id = self.id(&call.id);
                    self.push(&json!({ "role": "tool", "tool_call_id": id, "content": text }));
                }
                None if !has_media => {
                    self.push_parts(&mut seen);
                    self.push(&json!({ "role": "user", "content": text }));
                }
                None if text.is_empty() => {}
                None => asked.push(content::text(text)),
            }
        }
        self.push_parts(&mut seen);
        self.push_parts(&mut asked);
        Ok(())
    }
}

/// The conversation, as the server takes it.
fn messages(question: &Question<'_>, chat: &Chat) -> Result<Vec<Box<RawValue>>, ModelError> {
    let request = question.request;
    let mut conversation = Conversation { chat, messages: Vec::new(), is_after_tools: false };
    if let Some(text) = &request.instructions {
        conversation.push(&json!({ "role": "system", "content": text }));
    }
    for message in &request.messages {
        match message {
            Message::Request(said) => conversation.push_request(question, said)?,
            Message::Response(response) => {
                conversation.is_after_tools = false;
                let message = assistant(response, chat, &|id| conversation.id(id));
                conversation.messages.extend(raw(&message));
            }
        }
    }
    Ok(conversation.messages)
}

/// The id of a call for a server that accepts only short ones: itself if it is one, or else a digest of it.
fn short_id(id: &str) -> String {
    const LENGTH: usize = 9;
    if id.len() == LENGTH && id.chars().all(|char| char.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    // FNV-1a: the same in every build.
    let digest = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{digest:016x}").chars().rev().take(LENGTH).collect()
}

/// The model's response, with the content that its provider wants back in its original places.
fn assistant(response: &ModelResponse, chat: &Chat, id: &dyn Fn(&str) -> String) -> Object {
    let give_back = chat.give_back;
    let mut message = Object::default();
    message.put("role", &"assistant");
    // The places of these two precede those of the content that is sent back.
    message.put("content", &Value::Null);
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    let mut is_list = false;
    for part in &response.parts {
        match part {
            ResponsePart::Text(text) => content.extend(raw(&json!({ "type": "text", "text": text.content }))),
            ResponsePart::ToolCall(call) => calls.push(Call::of(call, id(&call.id))),
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
                // Texts have no other fields here.
                Some((Place::Text(_), _)) | None => {}
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
        if chat.traits.needs_reasoning && message.get(REASONING).is_none() {
            message.put(REASONING, &"");
        }
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
    fn of(said: &ToolCall, id: String) -> Self {
        let (mut call, mut function) = (Object::default(), Object::default());
        call.put("id", &id);
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
