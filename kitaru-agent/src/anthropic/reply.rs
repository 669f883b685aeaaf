//! The content of a message, whole or streamed.
//!
//! Owns how its blocks add up: a whole block is read as a streamed one that begins complete, so that both are read with the
//! same lenience. Must not know what is around the blocks.

use serde_json::value::RawValue;

use super::wire::DIALECT;
use crate::delta::Delta;
use crate::http::{
    draft::{call_id, fields_of_a_call},
    json::{Object, Pieces, raw, text},
};
use crate::message::{Opaque, Place, ResponsePart, Text, ToolCall};

/// The blocks so far.
#[derive(Default)]
pub(super) struct ReplyBlocks {
    blocks: Vec<Block>,
}

/// An event is about a block that is not open.
pub(super) struct NoBlock;

struct Block {
    /// The server's number of the block.
    label: Option<String>,
    is_over: bool,
    /// Its start, as received.
    json: Box<RawValue>,
    fields: Object,
    /// The additions to its fields.
    grown: Vec<(String, Pieces)>,
    /// The JSON of its input, if that comes in pieces.
    input: Pieces,
}

impl Block {
    fn kind(&self) -> String {
        self.fields.text("type").unwrap_or_default()
    }

    fn grow(&mut self, name: &str, json: &RawValue) -> Option<String> {
        let nth = self.grown.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.grown.push((name.to_owned(), Pieces::default()));
            self.grown.len() - 1
        });
        self.grown[nth].1.push(json).map(str::to_owned)
    }

    /// The text of a field, with all additions.
    fn text(&self, name: &str) -> String {
        let grown = self.grown.iter().find(|(known, _)| known == name).map(|(_, pieces)| pieces.as_str());
        self.fields.text(name).unwrap_or_default() + grown.unwrap_or_default()
    }

    /// The arguments of a call: the pieces, or without pieces the input at the block's start.
    fn arguments(&self) -> String {
        let pieces = self.input.as_str();
        if !pieces.trim().is_empty() {
            return pieces.to_owned();
        }
        self.fields.get("input").map(|input| text(input).unwrap_or_else(|| input.get().to_owned())).unwrap_or_default()
    }

    fn call(&self, nth: usize, so_far: usize) -> ToolCall {
        let id = self.fields.label("id").unwrap_or_else(|| call_id(so_far, nth));
        ToolCall::new(id, self.fields.text("name").unwrap_or_default(), self.arguments())
    }

    /// The complete block, byte for byte if nothing was added to it.
    fn into_json(self) -> Option<Box<RawValue>> {
        if self.grown.is_empty() && self.input.is_empty() {
            return Some(self.json);
        }
        let mut fields = self.fields.clone();
        for (name, _) in &self.grown {
            fields.put(name, &self.text(name));
        }
        let input = self.input.into_text();
        if let Ok(input) = RawValue::from_string(input) {
            fields.put_raw("input", input);
        }
        raw(&fields)
    }
}

impl ReplyBlocks {
    pub(super) fn is_nothing(&self) -> bool {
        let nothing = |block: &Block| block.text("text").is_empty() && block.text("thinking").is_empty();
        self.blocks.iter().all(|block| matches!(&*block.kind(), "text" | "thinking") && nothing(block))
    }

    /// Whether a block has begun and has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.blocks.iter().any(|block| !block.is_over)
    }

    /// Whether a block of reasoning has begun and has not ended.
    pub(super) fn is_reasoning(&self) -> bool {
        self.blocks.iter().any(|block| !block.is_over && block.kind().contains("thinking"))
    }

    /// A block begins. Returns its text.
    pub(super) fn begin(&mut self, label: Option<String>, json: &RawValue) -> Option<Delta> {
        let fields = Object::read(json).unwrap_or_default();
        let block =
            Block { label, is_over: false, json: json.to_owned(), fields, grown: Vec::new(), input: Pieces::default() };
        let said = if block.kind() == "text" { block.text("text") } else { String::new() };
        self.blocks.push(block);
        (!said.is_empty()).then_some(Delta::Text(said))
    }

    fn open(&mut self, label: &Option<String>) -> Result<usize, NoBlock> {
        let fits = |block: &Block| !block.is_over && (label.is_none() || block.label == *label);
        self.blocks.iter().rposition(fits).ok_or(NoBlock)
    }

    /// A block grows. Returns the added text. Unknown parts of the piece are ignored.
    pub(super) fn grow(&mut self, label: &Option<String>, piece: &Object) -> Result<Option<Delta>, NoBlock> {
        let nth = self.open(label)?;
        let block = &mut self.blocks[nth];
        let mut said = None;
        for (name, value) in piece.fields().filter(|(name, _)| *name != "type") {
            match name {
                "partial_json" => drop(block.input.push(value)),
                "citation" => {
                    let mut citations = block.fields.list("citations");
                    citations.push(value.to_owned());
                    block.fields.put("citations", &citations);
                }
                "text" if block.kind() == "text" => said = block.grow(name, value),
                _ => drop(block.grow(name, value)),
            }
        }
        Ok(said.filter(|text| !text.is_empty()).map(Delta::Text))
    }

    /// A block ends. Returns its call, if it is one.
    pub(super) fn end(&mut self, label: &Option<String>, so_far: usize) -> Result<Option<Delta>, NoBlock> {
        let nth = self.open(label)?;
        let block = &mut self.blocks[nth];
        block.is_over = true;
        Ok((block.kind() == "tool_use").then(|| Delta::ToolCall(block.call(nth, so_far))))
    }

    /// Whether the pieces of a call's input are not JSON. The API sends only JSON, so a piece was lost.
    pub(super) fn has_lost_input(&self) -> bool {
        let lost = |block: &Block| {
            let pieces = block.input.as_str();
            !pieces.trim().is_empty() && serde_json::from_str::<&RawValue>(pieces).is_err()
        };
        self.blocks.iter().any(lost)
    }

    /// The parts of the answer, which follows `so_far` messages.
    pub(super) fn into_parts(self, so_far: usize) -> Vec<ResponsePart> {
        let mut parts = Vec::new();
        for (nth, block) in self.blocks.into_iter().enumerate() {
            match &*block.kind() {
                "text" => {
                    let text = block.text("text");
                    if !text.is_empty() {
                        parts.push(ResponsePart::Text(Text::new(text)));
                    }
                }
                "tool_use" => {
                    parts.push(ResponsePart::ToolCall(block.call(nth, so_far)));
                    parts.extend(fields_of_a_call(DIALECT, &block.fields, &["type", "id", "name", "input"], ""));
                }
                "" => {}
                "thinking" if block.text("thinking").is_empty() && block.text("signature").is_empty() => {}
                kind => {
                    let thinks = kind.contains("thinking");
                    let Some(json) = block.into_json() else { continue };
                    let opaque = Opaque::new(DIALECT, Place::Part, json.get());
                    parts.push(if thinks { ResponsePart::Reasoning(opaque) } else { ResponsePart::Opaque(opaque) });
                }
            }
        }
        parts
    }
}
