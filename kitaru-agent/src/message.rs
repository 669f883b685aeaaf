//! What is said between an agent and a model, as data.
//!
//! Owns the message types and their stored form. Must not know of a provider, a clock or a journal: a message holds
//! nothing that changes from one run to the next (no timestamp, no id of ours), because messages are part of the keys
//! that decide whether recorded work still answers.
//!
//! # The stored form
//!
//! Messages are written as externally tagged enums and plain structs, which JSON and bincode both give back. Every
//! [`History`] and every [`ModelResponse`] opens with the number of its [`Format`]. Within one format the JSON form
//! grows by addition only: a new field is optional, so old JSON stays readable. A new kind of part is a new format, and
//! a build that is too old for it says so instead of guessing. Messages without such a part are written as they were
//! before there was one, so the keys of recorded requests stay what they are. Bincode has no names, so store it only
//! where both sides are one build.
//!
//! Images, audio and documents will be kinds of [`RequestPart`] beside the texts that there are, in a format of their
//! own; nothing that is stored today changes for them.

mod call;
mod format;
mod opaque;
mod response;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize, Serializer};

pub use call::CallRef;
pub use format::Format;
pub use opaque::{Opaque, Place};
pub use response::{ModelResponse, ResponsePart, Stop, Text, ToolCall};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// From the agent to the model.
    Request(RequestMessage),
    /// From the model to the agent.
    Response(ModelResponse),
}

/// What the agent says to the model in one go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RequestMessage {
    /// In the order in which the model reads them.
    pub parts: Vec<RequestPart>,
}

impl RequestMessage {
    /// A message of these parts.
    pub fn new(parts: Vec<RequestPart>) -> Self {
        Self { parts }
    }

    /// A message that is one user prompt.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(vec![RequestPart::UserPrompt(UserPrompt::new(content))])
    }
}

/// One part of what the agent says to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestPart {
    /// A system prompt that travels with the conversation. An agent's own instructions are not one: they go with each
    /// request and never into the history.
    SystemPrompt(SystemPrompt),
    /// What the user asks.
    UserPrompt(UserPrompt),
    /// What a tool gave.
    ToolReturn(ToolReturn),
    /// What was wrong with the model's last answer or tool call, and a request to try again.
    RetryPrompt(RetryPrompt),
}

macro_rules! prompt {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            /// The text.
            pub content: String,
        }

        impl $name {
            /// A part with this text.
            pub fn new(content: impl Into<String>) -> Self {
                Self { content: content.into() }
            }
        }
    };
}

prompt! {
    /// A system prompt that travels with the conversation.
    SystemPrompt
}
prompt! {
    /// What the user asks.
    UserPrompt
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolReturn {
    /// The call that is answered.
    pub call: CallRef,
    /// What the model reads.
    pub content: String,
}

impl ToolReturn {
    /// The answer `content` to `call`.
    pub fn new(call: CallRef, content: impl Into<String>) -> Self {
        Self { call, content: content.into() }
    }
}

/// What was wrong, said to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RetryPrompt {
    /// The tool call that has to be made again; `None` when it is the answer as a whole.
    pub call: Option<CallRef>,
    /// What the model reads.
    pub content: String,
}

impl RetryPrompt {
    /// Asks for another answer.
    pub fn answer(content: impl Into<String>) -> Self {
        Self { call: None, content: content.into() }
    }

    /// Asks for `call` to be made again.
    pub fn call(call: CallRef, content: impl Into<String>) -> Self {
        Self { call: Some(call), content: content.into() }
    }
}

/// A conversation, in its versioned form.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{History, Message, ModelResponse, RequestMessage};
///
/// let history = History::from(vec![
///     Message::Request(RequestMessage::user("Hello")),
///     Message::Response(ModelResponse::text("Good day")),
/// ]);
/// let json = serde_json::to_string(&history).unwrap();
/// assert!(json.starts_with(r#"{"format":1,"messages":[{"request":"#));
/// assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct History {
    // Sorts before `messages`, so that it is also read first from JSON whose keys somebody sorted.
    #[allow(dead_code, reason = "its reading is what checks the number")]
    format: Format,
    messages: Vec<Message>,
}

/// The number in front is that of the oldest format that has a word for each part.
impl Serialize for History {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "History")]
        struct Stored<'a> {
            format: u32,
            messages: &'a [Message],
        }
        let formats = self.messages.iter().map(|message| match message {
            Message::Request(_) => Format::FIRST,
            Message::Response(response) => response.oldest_format(),
        });
        let format = formats.max().unwrap_or(Format::FIRST);
        Stored { format, messages: &self.messages }.serialize(serializer)
    }
}

impl History {
    /// The messages, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Adds one message at the end.
    pub fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Gives up the messages.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

impl From<Vec<Message>> for History {
    fn from(messages: Vec<Message>) -> Self {
        Self { format: Format, messages }
    }
}

impl FromIterator<Message> for History {
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        Self::from(messages.into_iter().collect::<Vec<_>>())
    }
}

impl Extend<Message> for History {
    fn extend<I: IntoIterator<Item = Message>>(&mut self, messages: I) {
        self.messages.extend(messages);
    }
}
