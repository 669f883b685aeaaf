//! The model's half of a conversation.
//!
//! Owns the response half of the message types. Must not know a provider's terms.

use serde::{Deserialize, Serialize, Serializer};

use super::call::CallRef;
use super::format::Format;
use super::opaque::{Opaque, Place};
use crate::price::{Cost, Price};
use crate::tokens::Tokens;
use crate::usage::Usage;

/// A model's response to one request: text, tool calls or both.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{ModelResponse, ResponsePart, ToolCall};
///
/// let response = ModelResponse::new(vec![
///     ResponsePart::ToolCall(ToolCall::new("call_1", "exec", r#"{"command":"uname"}"#)),
///     ResponsePart::ToolCall(ToolCall::new("call_2", "exec", r#"{"command":"whoami"}"#)),
/// ]);
/// assert_eq!(response.tool_calls().count(), 2);
/// assert_eq!(response.output(), "");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ModelResponse {
    /// The format of the stored form.
    pub format: Format,
    /// In the order in which the model produced them.
    pub parts: Vec<ResponsePart>,
    /// The model that answered, if the provider names it. It may be more exact than the requested name.
    #[serde(default)]
    pub model: Option<String>,
    /// Why the model stopped, if the provider says so.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// The tokens of the request and of its answer.
    #[serde(default)]
    pub tokens: Tokens,
    /// Its cost when it was paid for: as the provider reports, or else by the agent's [`Price`](crate::Price) at that time. A
    /// later price does not change it.
    #[serde(default)]
    pub cost: Option<Cost>,
}

/// The number is that of the oldest format that has all the parts.
impl Serialize for ModelResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "ModelResponse")]
        struct Stored<'a> {
            format: u32,
            parts: &'a [ResponsePart],
            model: &'a Option<String>,
            stop: Option<Stop>,
            tokens: Tokens,
            cost: Option<Cost>,
        }
        let Self { format: _, parts, model, stop, tokens, cost } = self;
        let (stop, tokens, cost) = (*stop, *tokens, *cost);
        Stored { format: self.oldest_format(), parts, model, stop, tokens, cost }.serialize(serializer)
    }
}

impl ModelResponse {
    /// A response of these parts, of unknown model and cost.
    pub fn new(parts: Vec<ResponsePart>) -> Self {
        Self { parts, ..Self::default() }
    }

    /// A response with one text.
    pub fn text(content: impl Into<String>) -> Self {
        Self::new(vec![ResponsePart::Text(Text::new(content))])
    }

    /// A response with one tool call; `arguments` is JSON.
    pub fn tool_call(id: impl Into<String>, tool: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::new(vec![ResponsePart::ToolCall(ToolCall::new(id, tool, arguments))])
    }

    /// The same response, with its tokens.
    pub fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// The same response, with its cost by `price` if it has none.
    pub(crate) fn priced(mut self, price: &Price) -> Self {
        self.cost = self.cost.or_else(|| price.asks().then(|| price.of(self.tokens)));
        self
    }

    /// The usage that it adds to a run.
    pub(crate) fn usage(&self) -> Usage {
        Usage { requests: 1, tool_calls: 0, tokens: self.tokens, cost: self.cost.unwrap_or_default() }
    }

    /// The tool calls, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            ResponsePart::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The oldest format that has all its parts.
    pub(super) fn oldest_format(&self) -> u32 {
        self.parts.iter().map(ResponsePart::oldest_format).max().unwrap_or(Format::FIRST)
    }

    /// The model's reasoning before its answer, as far as its provider shows it.
    pub fn reasoning(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            ResponsePart::Reasoning(thought) => thought.text(),
            _ => None,
        });
        texts.collect()
    }

    /// All text, joined.
    pub fn output(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match part {
                ResponsePart::Text(text) => Some(text.content.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// One part of a response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponsePart {
    /// Text.
    Text(Text),
    /// A tool call.
    ToolCall(ToolCall),
    /// The model's reasoning, which its provider wants back. From format 2 on.
    Reasoning(Opaque),
    /// Other content that the provider wants back. From format 2 on.
    Opaque(Opaque),
}

impl ResponsePart {
    /// The oldest format that has it.
    fn oldest_format(&self) -> u32 {
        match self {
            Self::Text(_) | Self::ToolCall(_) => Format::FIRST,
            Self::Reasoning(opaque) | Self::Opaque(opaque) => match opaque.place {
                Place::Text(_) => 3,
                Place::Part | Place::Message(_) | Place::Call(_) => 2,
            },
        }
    }
}

/// Text of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Text {
    /// The text.
    pub content: String,
}

impl Text {
    /// A part with this text.
    pub fn new(content: impl Into<String>) -> Self {
        Self { content: content.into() }
    }
}

/// A tool call of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The id that the model gave the call.
    pub id: String,
    /// The name of the tool, as the model wrote it. The tool may not exist.
    pub tool: String,
    /// The arguments, as the model wrote them. They may not be JSON.
    pub arguments: String,
}

impl ToolCall {
    /// The call `id` of `tool` with `arguments`, which are JSON.
    pub fn new(id: impl Into<String>, tool: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), tool: tool.into(), arguments: arguments.into() }
    }

    /// The reference for an answer to this call.
    pub fn call_ref(&self) -> CallRef {
        CallRef::new(&self.id, &self.tool)
    }
}

/// Why a model stopped. Only [`End`](Self::End) and [`ToolCalls`](Self::ToolCalls) mean that its answer is complete. An answer
/// that stopped for another reason is an error of the run, and no call in it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// It finished its answer.
    End,
    /// It waits for the outputs of tools.
    ToolCalls,
    /// It reached the bound on its tokens.
    Length,
    /// The provider withheld the answer.
    Refused,
    /// A reason that this build does not know.
    Other,
    /// The conversation and the answer fill the model's context window.
    ContextFull,
    /// The provider failed in the middle of it.
    Failed,
    /// The provider paused its turn, and expects a request to continue.
    Paused,
}

impl Stop {
    /// The meaning of a provider's word, of any dialect: gateways mix them.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::Stop;
    ///
    /// assert_eq!((Stop::of("end_turn"), Stop::of("stop")), (Stop::End, Stop::End));
    /// assert_eq!((Stop::of("max_tokens"), Stop::of("bored")), (Stop::Length, Stop::Other));
    /// ```
    pub fn of(reason: &str) -> Self {
        match reason.trim().to_ascii_lowercase().as_str() {
            "stop" | "end_turn" | "stop_sequence" | "stop_token" | "stop_str" | "end" | "end_of_turn" | "eos"
            | "eos_token" | "eot_id" | "complete" | "completed" | "finish" | "finished" => Self::End,
            "tool_calls" | "tool_call" | "tool_use" | "function_call" => Self::ToolCalls,
            "length" | "max_tokens" | "max_output_tokens" | "max_completion_tokens" | "model_length" => Self::Length,
            "model_context_window_exceeded" | "context_length_exceeded" => Self::ContextFull,
            "content_filter"
            | "refusal"
            | "safety"
            | "image_safety"
            | "sensitive"
            | "spii"
            | "language"
            | "content_filtered"
            | "recitation"
            | "blocklist"
            | "prohibited_content"
            | "guardrail_intervened" => Self::Refused,
            "error"
            | "network_error"
            | "insufficient_system_resource"
            | "abort"
            | "cancelled"
            | "server_error"
            | "timeout"
            | "unexpected_tool_call"
            | "malformed_function_call"
            | "function_call_filter: malformed_function_call"
            | "function_call_filter: unexpected_tool_call" => Self::Failed,
            "pause_turn" => Self::Paused,
            _ => Self::Other,
        }
    }
}
