//! The items of a response.
//!
//! Owns how an item becomes parts of an answer, whole or at the end of a stream. Must not know what is around the items.

use serde_json::value::RawValue;

use crate::http::{
    draft::{call_id, fields_of_a_call, says_something},
    json::{Object, text},
};
use crate::message::{Opaque, Place, ResponsePart, Text, ToolCall};

/// The dialect's name, under which content for its servers is kept.
pub(super) const DIALECT: &str = "openai_responses";

/// The answer so far.
#[derive(Default)]
pub(super) struct ReplyItems {
    pub(super) parts: Vec<ResponsePart>,
    pub(super) refusal: String,
    calls: usize,
}

impl ReplyItems {
    /// Takes the items of a response, which follows `so_far` messages.
    pub(super) fn read(items: &[Box<RawValue>], so_far: usize) -> Self {
        let mut reply = Self::default();
        items.iter().for_each(|item| reply.add(item, so_far));
        reply
    }

    pub(super) fn has_calls(&self) -> bool {
        self.calls > 0
    }

    fn add(&mut self, item: &RawValue, so_far: usize) {
        let Some(fields) = Object::read(item) else { return };
        match fields.text("type").as_deref() {
            Some("message") => self.add_message(&fields),
            Some("function_call") => {
                self.parts.push(ResponsePart::ToolCall(call(&fields, so_far, self.calls)));
                self.calls += 1;
                let known = ["type", "id", "call_id", "name", "arguments", "status"];
                self.parts.extend(fields_of_a_call(DIALECT, &fields, &known, ""));
            }
            Some(kind) => {
                let opaque = Opaque::new(DIALECT, Place::Part, item.get());
                let reasons = kind == "reasoning";
                self.parts.push(if reasons { ResponsePart::Reasoning(opaque) } else { ResponsePart::Opaque(opaque) });
            }
            None => {}
        }
    }

    /// A message is one text, in however many pieces it comes.
    fn add_message(&mut self, fields: &Object) {
        let mut said = String::new();
        for part in fields.list("content") {
            let Some(content) = Object::read(&part) else {
                said.push_str(&text(&part).unwrap_or_default());
                continue;
            };
            match content.text("type").as_deref() {
                Some("refusal") => self.refusal.push_str(&content.text("refusal").unwrap_or_default()),
                _ => said.push_str(&content.text("text").unwrap_or_default()),
            }
        }
        if said.is_empty() {
            return;
        }
        self.parts.push(ResponsePart::Text(Text::new(said)));
        // Which part of the answer the text is: a comment before a call, or the end.
        if let Some(phase) = fields.get("phase").filter(|phase| says_something(phase)) {
            let place = Place::Text("phase".to_owned());
            self.parts.push(ResponsePart::Opaque(Opaque::new(DIALECT, place, phase.get())));
        }
    }
}

/// The call in an item. It is the call `nth` of its answer.
pub(super) fn call(fields: &Object, so_far: usize, nth: usize) -> ToolCall {
    let id = fields.label("call_id").or_else(|| fields.label("id")).unwrap_or_else(|| call_id(so_far, nth));
    let arguments = fields.get("arguments").map(|json| text(json).unwrap_or_else(|| json.get().to_owned()));
    ToolCall::new(id, fields.text("name").unwrap_or_default(), arguments.unwrap_or_default())
}
