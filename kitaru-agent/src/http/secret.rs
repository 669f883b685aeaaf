//! The API key.
//!
//! Owns that it is never shown. Must not know what it opens.

use std::fmt;

use reqwest::header::HeaderValue;

const MIN_SECRET_BYTES: usize = 8;

/// A key whose only way out is a header that is marked as sensitive.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(key: String) -> Self {
        Self(key.trim().to_owned())
    }

    pub(crate) fn fits_a_header(&self) -> bool {
        self.header("").is_some()
    }

    /// The value of a header: the key behind `scheme`.
    pub(crate) fn header(&self, scheme: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("{scheme}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `text`, with the key blotted out where a server quoted it. A shorter word is the placeholder that a local server
    /// takes for a key, and blotting it out would spoil every text.
    pub(crate) fn hide(&self, text: &str) -> String {
        if self.0.len() < MIN_SECRET_BYTES { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}
