//! Media in chat completions.
//!
//! Owns their JSON in a message of the user: the API takes media nowhere else, so those of a tool's output follow it. Must not
//! know the rest of a message.

use serde_json::{Value, json};

use super::server::{DocumentField, Traits};
use crate::error::ModelError;
use crate::http::{
    Question,
    content::{Carried, carried, name_of, not_taken, text_of},
};
use crate::message::{CallRef, Media, MediaKind};

/// A part of the content of a message.
pub(super) fn part(question: &Question<'_>, traits: &Traits, media: &Media) -> Result<Value, ModelError> {
    if let Some(text) = text_of(media) {
        return Ok(self::text(&format!("{}:\n{text}", name_of(media))));
    }
    let content = carried(question, media)?;
    let by_address = " by its address";
    match (media.kind(), content) {
        (MediaKind::Image, Carried::Url(_)) if !traits.fetches => Err(not_taken(question, media, by_address)),
        (MediaKind::Image, content) => {
            Ok(json!({ "type": "image_url", "image_url": { "url": content.into_url(media) } }))
        }
        (MediaKind::Audio, Carried::Data(data)) => {
            Ok(json!({ "type": "input_audio", "input_audio": { "data": data, "format": format_of(media) } }))
        }
        (MediaKind::Document, content) if traits.documents == DocumentField::Address => {
            Ok(json!({ "type": "document_url", "document_url": content.into_url(media) }))
        }
        (MediaKind::Document, content @ Carried::Data(_)) => {
            let file = json!({ "filename": name_of(media), "file_data": content.into_url(media) });
            Ok(json!({ "type": "file", "file": file }))
        }
        (MediaKind::Audio | MediaKind::Document, Carried::Url(_)) => Err(not_taken(question, media, by_address)),
        (MediaKind::Video, _) => Err(not_taken(question, media, "")),
    }
}

pub(super) fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// The word before media of the output of a call.
pub(super) fn caption(call: &CallRef) -> Value {
    text(&format!("From the output of `{}`, call `{}`:", call.tool, call.id))
}

/// The API's name for the format of a recording.
fn format_of(media: &Media) -> &str {
    match media.media_type.rsplit('/').next().unwrap_or_default() {
        "mpeg" | "mp3" => "mp3",
        "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    }
}
