//! The content of a completion, whole or streamed.
//!
//! Owns how it adds up: a whole message is read as a single piece, so that both are read with the same lenience. Must not know
//! what is around a message.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::tagged::TagReader;
use super::wire::{DIALECT, IN_FUNCTION};
use crate::delta::Delta;
use crate::http::{
    Question,
    draft::{call_id, fields_of_a_call, says_something},
    json::{Object, Pieces, raw, text},
};
use crate::message::{Opaque, Place, ResponsePart, Text, ToolCall};

/// How a message arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    InPieces,
}

/// The content so far.
pub(super) struct ReplyContent {
    /// The names of the known tools.
    tools: Vec<String>,
    /// How many messages precede the answer.
    so_far: usize,
    text: Pieces,
    /// Set for a server that writes reasoning between tags of the text, which arrives in pieces.
    tagged: Option<(TagReader, Pieces)>,
    pub(super) refusal: Pieces,
    /// Parts of the content that are not text.
    parts: Vec<Box<RawValue>>,
    /// Fields of the message that are sent back.
    fields: Vec<(String, Field)>,
    calls: Vec<Call>,
}

/// A field that may have several pieces.
enum Field {
    /// As received.
    One(Box<RawValue>),
    Text(Pieces),
    List(Vec<Box<RawValue>>),
}

impl Field {
    /// Texts and lists add up; of other values the newest counts.
    fn add(&mut self, value: &RawValue) {
        let elements = |json: &RawValue| serde_json::from_str::<Vec<Box<RawValue>>>(json.get()).ok();
        if let Self::One(first) = self {
            let mut pieces = Pieces::default();
            if pieces.push(first).is_some() {
                *self = Self::Text(pieces);
            } else if let Some(list) = elements(first) {
                *self = Self::List(list);
            }
        }
        match self {
            Self::Text(pieces) if text(value).is_some() => drop(pieces.push(value)),
            Self::List(list) if elements(value).is_some() => list.extend(elements(value).unwrap_or_default()),
            _ => *self = Self::One(value.to_owned()),
        }
    }

    fn into_json(self) -> Option<Box<RawValue>> {
        match self {
            Self::One(json) => Some(json),
            Self::Text(pieces) => raw(&pieces.into_text()),
            Self::List(list) => raw(&list),
        }
    }
}

#[derive(Default)]
struct Call {
    /// The server's number of the call.
    label: Option<String>,
    id: Option<String>,
    name: String,
    arguments: Pieces,
    fields: Object,
    function: Object,
}

impl Call {
    /// Whether its arguments are complete.
    fn is_whole(&self) -> bool {
        let text = self.arguments.as_str().trim_end();
        text.ends_with('}') && serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    /// Whether `json` repeats its complete arguments.
    fn says_again(&self, json: &RawValue) -> bool {
        self.is_whole() && arguments(json) == self.arguments.as_str()
    }

    fn add_arguments(&mut self, json: &RawValue) {
        if self.says_again(json) {
            return;
        }
        if self.arguments.push(json).is_none()
            && let Some(text) = raw(&json.get())
        {
            self.arguments.push(&text);
        }
    }
}

/// The text of arguments: the content of a JSON string, or the JSON itself.
fn arguments(json: &RawValue) -> String {
    text(json).unwrap_or_else(|| json.get().to_owned())
}

impl ReplyContent {
    pub(super) fn new(question: &Question<'_>, tags: Option<(&'static str, &'static str)>) -> Self {
        Self {
            tagged: tags.map(|tags| (TagReader::new(tags), Pieces::default())),
            tools: question.request.tools.iter().map(|tool| tool.name.clone()).collect(),
            so_far: question.request.messages.len(),
            text: Pieces::default(),
            refusal: Pieces::default(),
            parts: Vec::new(),
            fields: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Whether no part of an answer has arrived.
    pub(super) fn is_nothing(&self) -> bool {
        self.text.is_empty()
            && !self.tagged.as_ref().is_some_and(|(reader, _)| reader.has_begun())
            && self.refusal.is_empty()
            && self.parts.is_empty()
            && self.fields.is_empty()
            && self.calls.is_empty()
    }

    /// Takes a message or a piece of one. Returns the text in it.
    pub(super) fn add(&mut self, message: &Object, delivery: Delivery) -> Vec<Delta> {
        let mut deltas = Vec::new();
        if let Some(content) = message.get("content") {
            self.add_content(content, &mut deltas);
        }
        if let Some(refusal) = message.get("refusal") {
            self.refusal.push(refusal);
        }
        for (name, value) in message.fields().filter(|(name, value)| goes_back(name) && says_something(value)) {
            self.add_field(name, value);
        }
        for call in message.list("tool_calls").iter().filter_map(|call| Object::read(call)) {
            self.add_call(&call, delivery);
        }
        deltas
    }

    /// A text, or a list of parts, of which some are texts.
    fn add_content(&mut self, content: &RawValue, deltas: &mut Vec<Delta>) {
        if text(content).is_some() {
            self.add_text(content, deltas);
            return;
        }
        let parts: Vec<Box<RawValue>> = serde_json::from_str(content.get()).unwrap_or_default();
        for part in parts {
            let fields = Object::read(&part).unwrap_or_default();
            match fields.text("type").as_deref() {
                Some("text" | "output_text") | None => match fields.get("text") {
                    Some(text) => self.add_text(text, deltas),
                    None => self.add_text(&part, deltas),
                },
                Some("refusal") => {
                    fields.get("refusal").map(|refusal| self.refusal.push(refusal));
                }
                Some(_) => self.add_part(part),
            }
        }
    }

    /// A part that is not text. Thoughts in pieces become one thought.
    fn add_part(&mut self, part: Box<RawValue>) {
        if let Some(last) = self.parts.last_mut()
            && let Some(both) = joined(last, &part)
        {
            *last = both;
        } else {
            self.parts.push(part);
        }
    }

    fn add_text(&mut self, json: &RawValue, deltas: &mut Vec<Delta>) {
        let piece = match &mut self.tagged {
            None => self.text.push(json).map(str::to_owned),
            Some((reader, arrived)) => {
                arrived.push(json).map(|piece| reader.take(piece)).inspect(|piece| self.text.push_text(piece))
            }
        };
        deltas.extend(piece.filter(|piece| !piece.is_empty()).map(Delta::Text));
    }

    /// The message is complete. Returns the text that was held back, because it could have been a tag.
    pub(super) fn end(&mut self) -> Option<Delta> {
        let rest = self.tagged.as_mut()?.0.end();
        self.text.push_text(&rest);
        (!rest.is_empty()).then_some(Delta::Text(rest))
    }

    fn add_field(&mut self, name: &str, value: &RawValue) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, field)) => field.add(value),
            None => self.fields.push((name.to_owned(), Field::One(value.to_owned()))),
        }
    }

    fn add_call(&mut self, call: &Object, delivery: Delivery) {
        let function = call.object("function").unwrap_or_default();
        let piece = Piece {
            label: call.get("index").map(|index| index.get().to_owned()),
            id: call.label("id"),
            name: function.text("name").filter(|name| !name.is_empty()),
            arguments: function.get("arguments").filter(|arguments| says_something(arguments)),
        };
        let found = match delivery {
            Delivery::Whole => None,
            Delivery::InPieces => self.call_of(&piece),
        };
        let nth = found.unwrap_or_else(|| {
            self.calls.push(Call { label: piece.label.clone(), ..Call::default() });
            self.calls.len() - 1
        });
        let known = &mut self.calls[nth];
        known.id = known.id.take().or(piece.id);
        match piece.name {
            Some(name) if known.name.is_empty() => known.name = name,
            // Some servers repeat the name in every piece, others split it into pieces.
            Some(name) if name != known.name => known.name.push_str(&name),
            _ => {}
        }
        if let Some(json) = piece.arguments {
            known.add_arguments(json);
        }
        take_in(&mut known.fields, call);
        take_in(&mut known.function, &function);
    }

    /// The call to which `piece` belongs. `None` if it begins another one. Its id decides, or else its index, or else it
    /// belongs to the newest call.
    fn call_of(&self, piece: &Piece<'_>) -> Option<usize> {
        let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        let fits = |call: &Call| call.label.is_none() || piece.label.is_none() || call.label == piece.label;
        if let Some(nth) = self.calls.iter().rposition(|call| same(&call.id, &piece.id) && fits(call)) {
            return Some(nth);
        }
        let nth = match piece.label {
            Some(_) => self.calls.iter().rposition(|call| same(&call.label, &piece.label))?,
            None => self.calls.len().checked_sub(1)?,
        };
        let known = &self.calls[nth];
        // A server that makes up an id for each piece sends the name of a call once.
        let other_id = known.id.is_some() && piece.id.is_some() && (piece.name.is_some() || known.is_whole());
        let is_another = other_id || self.names_another(known, piece);
        (!is_another).then_some(nth)
    }

    /// Whether a piece without a distinct id begins another call, according to its name.
    fn names_another(&self, known: &Call, piece: &Piece<'_>) -> bool {
        let Some(name) = &piece.name else { return false };
        if known.name.is_empty() {
            return false;
        }
        if *name == known.name {
            return piece.arguments.is_some_and(|json| !known.says_again(json)) && known.is_whole();
        }
        let is_tool = |name: &String| self.tools.contains(name);
        !known.arguments.is_empty() || is_tool(&known.name) && is_tool(name)
    }

    /// The parts of the answer, in the order of a message.
    pub(super) fn into_parts(self) -> (Vec<ResponsePart>, String) {
        let mut parts = Vec::new();
        for (name, field) in self.fields {
            let Some(json) = field.into_json() else { continue };
            let thinks = text(&json).is_some() && THOUGHTS.iter().any(|word| name.contains(word));
            let opaque = Opaque::new(DIALECT, Place::Message(name), json.get());
            parts.push(if thinks { ResponsePart::Reasoning(opaque) } else { ResponsePart::Opaque(opaque) });
        }
        if let Some(reasoning) = self.tagged.map(|(reader, _)| reader.into_reasoning()).filter(|text| !text.is_empty())
        {
            // No server takes it back: it is not a field of theirs.
            let json = raw(&reasoning).map(|json| json.get().to_owned()).unwrap_or_default();
            parts.push(ResponsePart::Reasoning(Opaque::new(TAGGED, Place::Part, json)));
        }
        parts.extend(self.parts.into_iter().map(|json| {
            let opaque = Opaque::new(DIALECT, Place::Part, json.get());
            if is_thought(&json) { ResponsePart::Reasoning(opaque) } else { ResponsePart::Opaque(opaque) }
        }));
        let text = self.text.into_text();
        if !text.is_empty() {
            parts.push(ResponsePart::Text(Text::new(text)));
        }
        for (nth, call) in self.calls.into_iter().enumerate() {
            let id = call.id.unwrap_or_else(|| call_id(self.so_far, nth));
            parts.push(ResponsePart::ToolCall(ToolCall::new(id, call.name, call.arguments.into_text())));
            parts.extend(fields_of_a_call(DIALECT, &call.fields, &["index", "id", "type", "function"], ""));
            parts.extend(fields_of_a_call(DIALECT, &call.function, &["name", "arguments"], IN_FUNCTION));
        }
        (parts, self.refusal.into_text())
    }
}

/// Takes a piece's other fields, the newest of each name.
fn take_in(known: &mut Object, piece: &Object) {
    for (name, value) in piece.fields().filter(|(_, value)| says_something(value)) {
        known.put_raw(name, value.to_owned());
    }
}

/// A piece of a tool call.
struct Piece<'a> {
    label: Option<String>,
    id: Option<String>,
    name: Option<String>,
    /// A string of JSON; some servers send the JSON itself.
    arguments: Option<&'a RawValue>,
}

/// The dialect of reasoning that stood between tags of a text.
const TAGGED: &str = "tagged";

/// Whether a part of the content is the model's reasoning.
fn is_thought(part: &RawValue) -> bool {
    let kind = Object::read(part).and_then(|fields| fields.text("type")).unwrap_or_default();
    THOUGHTS.iter().any(|word| kind.contains(word))
}

/// Two pieces of one thought, as one: `{"type":"thinking","thinking":[{"type":"text","text":"…"}]}`. `None` for anything else.
fn joined(one: &RawValue, other: &RawValue) -> Option<Box<RawValue>> {
    let texts = |part: &RawValue| {
        let fields = Object::read(part).filter(|fields| fields.text("type").as_deref() == Some("thinking"))?;
        let list: Vec<Object> = serde_json::from_str(fields.get("thinking")?.get()).ok()?;
        let of_text = |object: &Object| object.text("text").filter(|_| object.fields().count() == 2);
        list.iter().map(of_text).collect::<Option<String>>()
    };
    let text = texts(one)? + &texts(other)?;
    let (mut both, mut piece) = (Object::read(one)?, Object::default());
    piece.put("type", &"text");
    piece.put("text", &text);
    both.put("thinking", &[piece]);
    for (name, value) in Object::read(other)?.fields().filter(|(name, _)| *name != "thinking") {
        both.put_raw(name, value.to_owned());
    }
    raw(&both)
}

/// In the names of fields with the model's reasoning.
const THOUGHTS: [&str; 3] = ["reason", "think", "thought"];

/// Whether a provider wants a field of a message back. Other fields are for people, and strict servers refuse unknown ones.
fn goes_back(name: &str) -> bool {
    THOUGHTS
        .iter()
        .chain(&["signature", "encrypted", "extra_content", "provider_specific"])
        .any(|word| name.contains(word))
}
