//! Media in the Responses API.
//!
//! Owns their JSON in an input and in the output of a function. Must not know the rest of an item.

use serde_json::{Value, json};

use crate::error::ModelError;
use crate::http::{
    Question,
    content::{Carried, carried, name_of, not_taken, text_of},
};
use crate::message::{Media, MediaKind};

/// A part of the content of an item.
pub(super) fn part(question: &Question<'_>, media: &Media) -> Result<Value, ModelError> {
    if let Some(text) = text_of(media) {
        return Ok(self::text(&format!("{}:\n{text}", name_of(media))));
    }
    match (media.kind(), carried(question, media)?) {
        (MediaKind::Image, content) => Ok(json!({ "type": "input_image", "image_url": content.into_url(media) })),
        (MediaKind::Document, Carried::Url(url)) => Ok(json!({ "type": "input_file", "file_url": url })),
        (MediaKind::Document, content) => {
            let data = content.into_url(media);
            Ok(json!({ "type": "input_file", "filename": name_of(media), "file_data": data }))
        }
        (MediaKind::Audio | MediaKind::Video, _) => Err(not_taken(question, media, "")),
    }
}

pub(super) fn text(text: &str) -> Value {
    json!({ "type": "input_text", "text": text })
}
