//! The messages between an agent and a model, as data.
//!
//! Owns the message types and their stored form. Must not know a provider, a clock or a journal. A message contains nothing
//! that differs between runs (no timestamp, no generated id), because messages are part of the keys that find recorded
//! outcomes.
//!
//! # The stored form
//!
//! Messages are externally tagged enums and plain structs, which both JSON and bincode read back. Every [`History`] and every
//! [`ModelResponse`] begins with the number of its [`Format`]. Within one format the JSON form only grows: a new field is
//! optional, so old JSON stays readable. A new kind of part is a new format, and a build that is too old for it returns an
//! error instead of guessing. Messages without such a part keep their older form, so the keys of recorded requests do not
//! change. Bincode has no names: use it only if the same build reads the value.
//!
//! Media are parts of format 3. A tool's media follow its output, as parts of their own, so that the form of an output does not
//! change.

mod call;
mod format;
mod media;
mod opaque;
mod response;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize, Serializer};

pub use call::CallRef;
pub use format::Format;
pub use media::{Media, MediaKind};
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

/// The agent's message to the model.
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

/// One part of the agent's message to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RequestPart {
    /// A system prompt that is a part of the conversation. An agent's own instructions are not one: they are sent with each
    /// request and never enter the history.
    SystemPrompt(SystemPrompt),
    /// The user's prompt.
    UserPrompt(UserPrompt),
    /// The output of a tool.
    ToolReturn(ToolReturn),
    /// What was wrong with the model's last answer or tool call, and a request to try again.
    RetryPrompt(RetryPrompt),
    /// An image, a recording or a document. From format 3 on.
    Attachment(Attachment),
}

impl RequestPart {
    /// The oldest format that has it.
    fn oldest_format(&self) -> u32 {
        match self {
            Self::SystemPrompt(_) | Self::UserPrompt(_) | Self::ToolReturn(_) | Self::RetryPrompt(_) => Format::FIRST,
            Self::Attachment(_) => 3,
        }
    }
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
    /// A system prompt that is a part of the conversation.
    SystemPrompt
}
prompt! {
    /// The user's prompt.
    UserPrompt
}

/// The output of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolReturn {
    /// The answered call.
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

/// Media of the user's prompt, or of the output of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attachment {
    /// The call to whose output it belongs; `None` for the user's prompt.
    pub call: Option<CallRef>,
    /// The media.
    pub media: Media,
}

impl Attachment {
    /// Media of the user's prompt.
    pub fn new(media: Media) -> Self {
        Self { call: None, media }
    }

    /// Media of the output of `call`.
    pub fn of(call: CallRef, media: Media) -> Self {
        Self { call: Some(call), media }
    }
}

/// What was wrong, for the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RetryPrompt {
    /// The tool call to repeat; `None` for the answer as a whole.
    pub call: Option<CallRef>,
    /// What the model reads.
    pub content: String,
}

impl RetryPrompt {
    /// Asks for another answer.
    pub fn answer(content: impl Into<String>) -> Self {
        Self { call: None, content: content.into() }
    }

    /// Asks the model to repeat `call`.
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
    // Sorts before `messages`, so that it is read first even from JSON with sorted keys.
    #[allow(dead_code, reason = "its reading is what checks the number")]
    format: Format,
    messages: Vec<Message>,
}

/// The number is that of the oldest format that has all the parts.
impl Serialize for History {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "History")]
        struct Stored<'a> {
            format: u32,
            messages: &'a [Message],
        }
        let formats = self.messages.iter().map(|message| match message {
            Message::Request(said) => said.parts.iter().map(RequestPart::oldest_format).max().unwrap_or(Format::FIRST),
            Message::Response(response) => response.oldest_format(),
        });
        let format = formats.max().unwrap_or(Format::FIRST);
        Stored { format, messages: &self.messages }.serialize(serializer)
    }
}

impl History {
    /// The messages, the oldest first.
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

    /// Whether it has no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The media in it, in order.
    pub fn media(&self) -> impl Iterator<Item = &Media> {
        media_in(&self.messages)
    }

    /// The same history, with each of its media replaced.
    pub(crate) fn map_media(mut self, change: impl Fn(&Media) -> Media) -> Self {
        map_media_in(&mut self.messages, change);
        self
    }

    /// Takes the messages out.
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

/// The media in messages, in order.
pub(crate) fn media_in(messages: &[Message]) -> impl Iterator<Item = &Media> {
    attachments_in(messages).map(|attachment| &attachment.media)
}

/// The attachments in messages, in order.
pub(crate) fn attachments_in(messages: &[Message]) -> impl Iterator<Item = &Attachment> {
    let parts = messages.iter().flat_map(|message| match message {
        Message::Request(said) => said.parts.as_slice(),
        Message::Response(_) => &[],
    });
    parts.filter_map(|part| match part {
        RequestPart::Attachment(attachment) => Some(attachment),
        _ => None,
    })
}

/// Replaces each of the media in messages.
pub(crate) fn map_media_in(messages: &mut [Message], change: impl Fn(&Media) -> Media) {
    for message in messages {
        let Message::Request(said) = message else { continue };
        for part in &mut said.parts {
            if let RequestPart::Attachment(attachment) = part {
                attachment.media = change(&attachment.media);
            }
        }
    }
}
