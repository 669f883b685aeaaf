//! Media, as requests carry them.
//!
//! Owns what the dialects have in common: content as base64, and what is refused before it is sent. Must not know their terms.

use super::dialect::{Question, configuration};
use crate::error::ModelError;
use crate::message::{Media, MediaKind, RequestPart};

/// The content of media, on its way to a server.
pub(crate) enum Carried<'a> {
    /// In base64.
    Data(String),
    Url(&'a str),
}

#[cfg(feature = "openai")]
impl Carried<'_> {
    /// One address for both.
    pub(crate) fn into_url(self, media: &Media) -> String {
        match self {
            Self::Data(data) => format!("data:{};base64,{data}", media.media_type),
            Self::Url(url) => url.to_owned(),
        }
    }
}

/// The content of media.
///
/// # Errors
///
/// If it is not there: the file was not read, or the content is in another record.
pub(crate) fn carried<'a>(question: &Question<'_>, media: &'a Media) -> Result<Carried<'a>, ModelError> {
    if let Some(url) = media.address() {
        return Ok(Carried::Url(url));
    }
    match media.base64() {
        Some(data) => Ok(Carried::Data(data)),
        None => Err(configuration(format!(
            "cannot ask `{}`: the content of media `{}` is not here, only its {}; add its bytes",
            question.model,
            media.name.as_deref().unwrap_or(&media.media_type),
            if media.path().is_some() { "path" } else { "digest" },
        ))),
    }
}

/// The error of media that a dialect or a server does not take.
pub(crate) fn not_taken(question: &Question<'_>, media: &Media, how: &str) -> ModelError {
    let what = match media.kind() {
        MediaKind::Image => "an image",
        MediaKind::Audio => "a recording",
        MediaKind::Video => "a film",
        MediaKind::Document => "a document",
    };
    configuration(format!(
        "cannot ask `{}`: it does not take {what} of type `{}`{how}; convert it, or leave it out",
        question.model, media.media_type
    ))
}

/// The name of a document, for servers that require one.
pub(crate) fn name_of(media: &Media) -> &str {
    media.name.as_deref().unwrap_or("document")
}

/// A text of a document, which servers read as text.
pub(crate) fn text_of(media: &Media) -> Option<&str> {
    let is_text = media.media_type.starts_with("text/") || media.media_type == "application/json";
    media.bytes().filter(|_| is_text).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// The media of the output of the call `id`, among the parts of its message.
pub(crate) fn of_call<'a>(message: &'a [RequestPart], id: &'a str) -> impl Iterator<Item = &'a Media> {
    message.iter().filter_map(move |part| match part {
        RequestPart::Attachment(attached) if attached.call.as_ref().is_some_and(|call| call.id == id) => {
            Some(&attached.media)
        }
        _ => None,
    })
}

/// Whether the prompts of a message have media.
#[cfg(feature = "openai")]
pub(crate) fn has_media(message: &[RequestPart]) -> bool {
    message.iter().any(|part| matches!(part, RequestPart::Attachment(attached) if attached.call.is_none()))
}
