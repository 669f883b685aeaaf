//! Media in messages.
//!
//! Owns their blocks. Must not know the rest of a message.

use serde_json::{Value, json};

use crate::error::ModelError;
use crate::http::{
    Question,
    content::{Carried, carried, name_of, not_taken, text_of},
};
use crate::message::{Media, MediaKind};

/// The block of media.
pub(super) fn block(question: &Question<'_>, media: &Media) -> Result<Value, ModelError> {
    let kind = match media.kind() {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio | MediaKind::Video => return Err(not_taken(question, media, "")),
    };
    let source = match (text_of(media), carried(question, media)?) {
        (Some(text), _) => json!({ "type": "text", "media_type": "text/plain", "data": text }),
        (None, Carried::Url(url)) => json!({ "type": "url", "url": url }),
        (None, Carried::Data(data)) => json!({ "type": "base64", "media_type": media.media_type, "data": data }),
    };
    let mut block = json!({ "type": kind, "source": source });
    if kind == "document" {
        block["title"] = name_of(media).into();
    }
    Ok(block)
}
