//! Wrappers for names and texts: one records the name of a variant or field, the other makes a borrowed text an owned
//! one. Must not know the meaning of a name.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

use super::Recorder;

/// The fields of a struct or the variants of an enum, as its type lists them.
pub(super) type NameList = &'static [&'static str];

/// Records the name of a variant or field: its seed, its deserializer, its visitor.
pub(super) struct Name<'r, T> {
    pub(super) inner: T,
    pub(super) recorder: &'r mut Recorder,
    pub(super) names: NameList,
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        let Name { inner, recorder, names } = self;
        inner.deserialize(Name { inner: deserializer, recorder, names })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Name<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Name { inner, recorder, names } = self;
        inner.deserialize_any(Name { inner: visitor, recorder, names })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Name { inner, recorder, names } = self;
        inner.deserialize_identifier(Name { inner: visitor, recorder, names })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! numbered {
    ($($method:ident: $type:ty;)*) => {
        $(fn $method<E: de::Error>(self, number: $type) -> Result<V::Value, E> {
            match usize::try_from(number).ok().and_then(|number| self.names.get(number)) {
                Some(name) => {
                    self.recorder.spelling.add(u32::try_from(number).unwrap_or(u32::MAX), name);
                    self.recorder.put_name(name);
                }
                // The visitor will refuse it, or knows more than this wrapper.
                None => self.recorder.put(&format!("variant {number}")),
            }
            if self.recorder.is_marked() {
                self.recorder.put(&format!("@{number}"));
            }
            self.inner.$method(number)
        })*
    };
}

macro_rules! named {
    ($($method:ident: $type:ty;)*) => {
        $(fn $method<E: de::Error>(self, name: $type) -> Result<V::Value, E> {
            self.recorder.put_name(&name);
            self.inner.$method(name)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Name<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    numbered! {
        visit_u8: u8;
        visit_u16: u16;
        visit_u32: u32;
        visit_u64: u64;
    }

    named! {
        visit_str: &str;
        visit_borrowed_str: &'de str;
        visit_string: String;
    }
}

/// Gives a visitor that asked for owned text or bytes what was read as borrowed.
pub(super) struct Owned<V>(pub(super) V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Owned<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        self.0.visit_string(text.to_owned())
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<V::Value, E> {
        self.0.visit_byte_buf(bytes.to_owned())
    }
}
