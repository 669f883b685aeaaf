//! The API key, and other values that may be secret.
//!
//! Owns that they are never shown. Must not know their use.

use std::{collections::HashSet, fmt};

use reqwest::header::HeaderValue;

const MIN_SECRET_BYTES: usize = 8;
/// A shorter part may be a prefix of all keys of a provider.
const MIN_PART_BYTES: usize = 12;
/// A shorter value of a header or a parameter is a version or a name: no key is that short.
const MIN_VALUE_BYTES: usize = 16;
/// Replaces a key, or a part of one.
const HIDDEN: &str = "[key]";

/// A key. It leaves only in a header that is marked as sensitive.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(key: String) -> Self {
        Self(key.trim().to_owned())
    }

    pub(crate) fn fits_a_header(&self) -> bool {
        self.is_empty() || self.header("").is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a header: the key after `scheme`. `None` if there is no key.
    pub(crate) fn header(&self, scheme: &str) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let mut value = HeaderValue::try_from(format!("{scheme}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `text` without the key, and without each part of it that is long enough to identify it. A shorter key is a placeholder
    /// for a local server, and is not hidden: hiding it would spoil every text. A key that the server has encoded is not found.
    pub(crate) fn hide(&self, text: &str) -> String {
        if self.0.len() < MIN_SECRET_BYTES {
            return text.to_owned();
        }
        let text = text.replace(&self.0, HIDDEN);
        // A key that fits a header is ASCII.
        let parts: HashSet<&[u8]> = self.0.as_bytes().windows(MIN_PART_BYTES).collect();
        let mut shown = String::with_capacity(text.len());
        let mut from = 0;
        while from < text.len() {
            let quoted =
                |at: &usize| text.as_bytes().get(*at..*at + MIN_PART_BYTES).is_some_and(|part| parts.contains(part));
            let Some(start) = (from..text.len()).find(quoted) else { break };
            let end = (start..).take_while(quoted).last().unwrap_or(start) + MIN_PART_BYTES;
            shown.push_str(&text[from..start]);
            shown.push_str(HIDDEN);
            from = end;
        }
        shown.push_str(&text[from..]);
        shown
    }
}

/// The key, and every other value that may be secret.
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn new<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        Self(values.filter(|value| value.len() >= MIN_VALUE_BYTES).map(|value| Secret::new(value.to_owned())).collect())
    }

    /// `text` without any of them, as [`Secret::hide`] hides a key.
    pub(crate) fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| secret.hide(&text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_key_of_twelve_characters_is_hidden_and_a_shorter_one_is_not() {
        let secret = Secret::new("sk-abcdefghijklmnop".into());
        assert_eq!(secret.hide("it was cdefghijklmn!"), "it was [key]!");
        assert_eq!(secret.hide("it was cdefghijklm!"), "it was cdefghijklm!");
    }

    #[test]
    fn key_of_eight_characters_is_hidden_and_a_placeholder_is_not() {
        assert_eq!(Secret::new("12345678".into()).hide("no 12345678"), "no [key]");
        assert_eq!(Secret::new("1234567".into()).hide("no 1234567"), "no 1234567");
    }
}
