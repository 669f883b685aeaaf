//! What a user asks: text, and media.
//!
//! Owns its parts, their order, and how they become a message. Must not know a run.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::message::{Attachment, Media, RequestMessage, RequestPart, UserPrompt};

/// What a run is asked: a text, or texts and [`Media`] in any order.
///
/// Everything that is a text is a prompt, so `agent.run("…")` needs no other word.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Media, Prompt};
///
/// let prompt = Prompt::from("What has changed between these pictures?")
///     .with(Media::file("before.png"))
///     .and("And this is the second:")
///     .with(Media::file("after.png"));
/// assert_eq!(prompt.media().count(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    parts: Vec<PromptPart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum PromptPart {
    Text(String),
    Media(Media),
}

impl<T: Into<String>> From<T> for Prompt {
    fn from(text: T) -> Self {
        Self { parts: vec![PromptPart::Text(text.into())] }
    }
}

/// A text as a text, so that a prompt without media keeps its earlier key.
impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.parts[..] {
            [PromptPart::Text(text)] => text.serialize(serializer),
            parts => parts.serialize(serializer),
        }
    }
}

impl Prompt {
    /// Adds media.
    #[must_use]
    pub fn with(mut self, media: Media) -> Self {
        self.parts.push(PromptPart::Media(media));
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn and(mut self, text: impl Into<String>) -> Self {
        self.parts.push(PromptPart::Text(text.into()));
        self
    }

    /// Its texts, one per line.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            PromptPart::Text(text) => Some(text.as_str()),
            PromptPart::Media(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Its media, in order.
    pub fn media(&self) -> impl Iterator<Item = &Media> {
        self.parts.iter().filter_map(|part| match part {
            PromptPart::Media(media) => Some(media),
            PromptPart::Text(_) => None,
        })
    }

    /// The same prompt, with each of its media replaced.
    pub(crate) fn map_media(&self, change: impl Fn(&Media) -> Media) -> Self {
        let changed = |part: &PromptPart| match part {
            PromptPart::Text(text) => PromptPart::Text(text.clone()),
            PromptPart::Media(media) => PromptPart::Media(change(media)),
        };
        Self { parts: self.parts.iter().map(changed).collect() }
    }

    /// Its text, for the context of a run.
    pub(crate) fn shown(&self) -> Arc<str> {
        self.text().into()
    }

    /// The message. It has a text, even an empty one: where that is, the prompt is.
    pub(crate) fn into_message(self) -> RequestMessage {
        let part = |part| match part {
            PromptPart::Text(text) => RequestPart::UserPrompt(UserPrompt::new(text)),
            PromptPart::Media(media) => RequestPart::Attachment(Attachment::new(media)),
        };
        let mut parts: Vec<_> = self.parts.into_iter().map(part).collect();
        if !parts.iter().any(|part| matches!(part, RequestPart::UserPrompt(_))) {
            parts.insert(0, RequestPart::UserPrompt(UserPrompt::new("")));
        }
        RequestMessage::new(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_of_one_text_is_stored_as_that_text() {
        assert_eq!(serde_json::to_string(&Prompt::from("hi")).unwrap(), r#""hi""#);
        let prompt = Prompt::from("a").with(Media::url("image/png", "u")).and("b");
        let media = r#"{"media":{"media_type":"image/png","name":null,"source":{"url":"u"}}}"#;
        let json = format!(r#"[{{"text":"a"}},{media},{{"text":"b"}}]"#);
        assert_eq!(serde_json::to_string(&prompt).unwrap(), json);
        assert_eq!(prompt.text(), "a\nb");
    }

    #[test]
    fn message_of_a_prompt_has_its_parts_in_order_and_a_text() {
        let media = Media::url("image/png", "u");
        let parts = Prompt::from("a").with(media.clone()).and("b").into_message().parts;
        let text = |text: &str| RequestPart::UserPrompt(UserPrompt::new(text));
        let attached = RequestPart::Attachment(Attachment::new(media.clone()));
        assert_eq!(parts, [text("a"), attached.clone(), text("b")]);
        let only = Prompt { parts: vec![PromptPart::Media(media)] };
        assert_eq!(only.into_message().parts, [text(""), attached]);
    }
}
