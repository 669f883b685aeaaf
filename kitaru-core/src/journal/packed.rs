//! An outcome as it is recorded. Owns its bytes and its preview; must not know how a result is packed.

use crate::error::Error;
use crate::journal::{Class, OwnedPayload, Payload};
use crate::shown::Shown;
use crate::value::{Codec, HIDDEN};

/// The bound on a preview of arguments or of an outcome.
pub(crate) const PREVIEW_BYTES: usize = 200;

/// An outcome in bytes.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) class: Class,
    pub(crate) codec: Codec,
    /// The fingerprint of the value's shape; 0 for JSON. For Kitaru's error about an outcome over its bound, the size
    /// of the outcome.
    pub(crate) fingerprint: u64,
    /// The text of that shape, if it was taken just now.
    pub(crate) text: Option<String>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) preview: String,
    /// An error that another try of the body would only repeat at the same cost.
    pub(crate) settled: bool,
}

impl Packed {
    /// An error of Kitaru's, as JSON, which every version reads by name.
    pub(crate) fn error(error: &Error) -> Self {
        let bytes = serde_json::to_vec(error).expect("an error is a text and a list of texts");
        Packed {
            class: Class::Kitaru,
            codec: Codec::Json,
            fingerprint: 0,
            text: None,
            bytes,
            preview: preview_error(error),
            settled: false,
        }
    }

    /// An outcome that was packed before.
    pub(crate) fn of(owned: &OwnedPayload) -> Self {
        let Payload { class, codec, shape, bytes } = owned.borrow();
        let preview = owned.preview.clone();
        Packed { class, codec, fingerprint: shape, text: None, bytes: bytes.to_vec(), preview, settled: false }
    }

    pub(crate) fn payload(&self) -> Payload<'_> {
        Payload { class: self.class, codec: self.codec, shape: self.fingerprint, bytes: &self.bytes }
    }

    pub(crate) fn hide(&mut self) {
        self.preview = HIDDEN.to_owned();
    }
}

impl From<Packed> for OwnedPayload {
    fn from(packed: Packed) -> Self {
        let Packed { class, codec, fingerprint: shape, bytes, preview, .. } = packed;
        OwnedPayload { class, codec, shape, bytes, preview }
    }
}

impl From<OwnedPayload> for Packed {
    fn from(owned: OwnedPayload) -> Self {
        let OwnedPayload { class, codec, shape: fingerprint, bytes, preview } = owned;
        Packed { class, codec, fingerprint, text: None, bytes, preview, settled: false }
    }
}

/// The preview of an error.
pub(crate) fn preview_error(error: &Error) -> String {
    let mut text = Shown(format_args!("{error:#}")).to_string();
    if text.len() > PREVIEW_BYTES {
        let mut end = PREVIEW_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
