//! JSON as servers send it, and as it is sent back.
//!
//! Owns reading that never fails as a whole because of a part: each field is read separately, and an unexpected value counts as
//! absent. A value that is not inspected keeps its text, byte for byte. Must not know the meaning of a field.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

/// A JSON object whose fields keep their order and their text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// `None` for a value that is not an object.
    pub(crate) fn read(json: &RawValue) -> Option<Self> {
        serde_json::from_str(json.get()).ok()
    }

    /// The last value of this name; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| &**value);
        found.filter(|value| value.get() != "null")
    }

    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(Self::read)
    }

    /// A text. Unpaired surrogates in it are replaced.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }

    /// A text or a number, as a name.
    pub(crate) fn label(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        text(value).or_else(|| count(value).map(|number| number.to_string())).filter(|label| !label.is_empty())
    }

    /// A number that is not negative.
    #[cfg(feature = "openai")]
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.get().parse().ok().filter(|number| *number >= 0.0)
    }

    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(count)
    }

    /// The elements of an array. Any other value is its own only element.
    pub(crate) fn list(&self, name: &str) -> Vec<Box<RawValue>> {
        let Some(value) = self.get(name) else { return Vec::new() };
        serde_json::from_str(value.get()).unwrap_or_else(|_| vec![value.to_owned()])
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// Replaces the value of this name, or appends it.
    pub(crate) fn put_raw(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().rfind(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn put(&mut self, name: &str, value: &impl Serialize) {
        if let Some(value) = raw(value) {
            self.put_raw(name, value);
        }
    }
}

/// A value of this crate as JSON text. `None` if it cannot be written; that never happens with texts, numbers, lists and maps
/// of texts.
pub(crate) fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<Halves, Box<RawValue>>()? {
                    fields.push((Pieces::default().whole(&name.0), value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A text. Unpaired surrogates in it are replaced. `None` for a value that is not a string.
pub(crate) fn text(json: &RawValue) -> Option<String> {
    let halves: Halves = serde_json::from_str(json.get()).ok()?;
    Some(Pieces::default().whole(&halves.0))
}

/// A count, in any notation. `None` for a value that is not a count.
pub(crate) fn count(json: &RawValue) -> Option<u64> {
    let number: f64 = match json.get().parse() {
        Ok(number) => return Some(number),
        Err(_) => json.get().parse().ok()?,
    };
    // Rust's cast saturates at both ends.
    (number >= 0.0).then_some(number as u64)
}

/// The bytes of a text, in which JSON may have escaped a character as two unpaired surrogates (WTF-8).
struct Halves(Vec<u8>);

impl<'de> Deserialize<'de> for Halves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Halves;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Halves, E> {
                Ok(Halves(text.into()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Halves, E> {
                Ok(Halves(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A text in pieces, which may split a character.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    text: String,
    /// The first half of a split character.
    half: Option<u16>,
}

impl Pieces {
    /// The text so far, without half a character.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.half.is_none()
    }

    /// Adds the text of a JSON string. Returns the part that can now be shown. `None` for a value that is not a string.
    pub(crate) fn push(&mut self, json: &RawValue) -> Option<&str> {
        let piece: Halves = serde_json::from_str(json.get()).ok()?;
        let before = self.text.len();
        self.push_bytes(&piece.0);
        Some(&self.text[before..])
    }

    /// Adds a text.
    #[cfg(feature = "openai")]
    pub(crate) fn push_text(&mut self, text: &str) {
        self.push_whole(text.as_bytes());
    }

    /// The whole text.
    pub(crate) fn into_text(mut self) -> String {
        self.give_up_half();
        self.text
    }

    fn whole(mut self, bytes: &[u8]) -> String {
        self.push_bytes(bytes);
        self.into_text()
    }

    fn give_up_half(&mut self) {
        if self.half.take().is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn push_bytes(&mut self, mut bytes: &[u8]) {
        // Valid text never has these bytes next to each other.
        while let Some(at) = bytes.windows(3).position(|of| of[0] == 0xED && of[1] >= 0xA0) {
            self.push_whole(&bytes[..at]);
            let unit = 0xD000 | u16::from(bytes[at + 1] & 0x3F) << 6 | u16::from(bytes[at + 2] & 0x3F);
            bytes = &bytes[at + 3..];
            if unit < 0xDC00 {
                self.give_up_half();
                self.half = Some(unit);
            } else {
                let character = self.half.take().and_then(|half| char::decode_utf16([half, unit]).next()?.ok());
                self.text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        self.push_whole(bytes);
    }

    fn push_whole(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.give_up_half();
            self.text.push_str(&String::from_utf8_lossy(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn object_is_written_as_it_was_read() {
        let text = r#"{"z":1.0,"a":{"y": [ 1e2, "\u00e9" ],"b":null},"z2":12345678901234567890123}"#;
        let object = Object::read(&json(text)).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
    }

    #[test]
    fn unexpected_field_counts_as_absent_and_no_other_does() {
        let object = Object::read(&json(r#"{"a":null,"b":[1],"c":"x","d":{"e":1}}"#)).unwrap();
        assert!(object.get("a").is_none() && object.text("b").is_none() && object.object("c").is_none());
        assert_eq!((object.text("c").as_deref(), object.object("d").unwrap().count("e")), (Some("x"), Some(1)));
        assert_eq!((object.list("a").len(), object.list("b").len(), object.list("c").len()), (0, 1, 1));
    }

    #[test]
    fn count_is_read_in_any_notation() {
        let read = |text| count(&json(text));
        assert_eq!((read("7"), read("7.0"), read("7e2")), (Some(7), Some(7), Some(700)));
        assert_eq!((read("-1"), read("\"7\""), read("[]"), read("1e99")), (None, None, None, Some(u64::MAX)));
    }

    #[test]
    fn character_split_between_pieces_is_joined_and_half_a_character_is_replaced() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.push(&json(r#""a\ud83d""#)), Some("a"));
        assert_eq!(pieces.push(&json(r#""\ude00b\ud83d""#)), Some("\u{1F600}b"));
        assert_eq!(pieces.push(&json(r#""c\ude00""#)), Some("\u{FFFD}c\u{FFFD}"));
        assert_eq!(pieces.push(&json("3")), None);
        assert_eq!(pieces.into_text(), "a\u{1F600}b\u{FFFD}c\u{FFFD}");
        assert_eq!(text(&json(r#""x\ud83d""#)).as_deref(), Some("x\u{FFFD}"));
    }
}
