//! A serde `Deserializer` around another one, which records the requests to it. Owns that wrapper and the bounds on the
//! effects of damaged bytes. Must not know the use of the shape.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::name::{Name, NameList, Owned};
use super::{Distinct, Neighbours, Recorder};

/// The wrapper: a deserializer, the seed of one, or the access to one.
pub(in crate::value) struct Recording<'r, D> {
    pub(in crate::value) inner: D,
    pub(in crate::value) recorder: &'r mut Recorder,
}

/// A requested part that has parts of its own.
enum PartShape {
    Option,
    Newtype,
    List,
    Tuple,
    Map,
    Fields(NameList),
    Variant(NameList),
}

/// The visitor of a part with parts.
struct PartVisitor<'r, V> {
    visitor: V,
    recorder: &'r mut Recorder,
    part: PartShape,
    start: usize,
}

impl<'r, D> Recording<'r, D> {
    /// Begins a part. The name and the bracket belong to it.
    fn show<'de, V>(self, name: Option<&str>, part: PartShape, visitor: V) -> Result<(D, PartVisitor<'r, V>), D::Error>
    where
        D: Deserializer<'de>,
    {
        let start = self.recorder.open().map_err(D::Error::custom)?;
        if let Some(name) = name {
            self.recorder.put_name(name);
        }
        match part {
            PartShape::Option => self.recorder.put("?"),
            PartShape::Newtype => self.recorder.put("("),
            PartShape::List => self.recorder.put("["),
            PartShape::Tuple => self.recorder.put_sign("(", "<"),
            PartShape::Map | PartShape::Fields(_) => self.recorder.put("{"),
            PartShape::Variant(_) => {}
        }
        Ok((self.inner, PartVisitor { visitor, recorder: self.recorder, part, start }))
    }
}

macro_rules! plain {
    ($($method:ident => $inner:ident, $text:literal;)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.recorder.put_leaf($text);
            self.inner.$inner(visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Recording<'_, D> {
    type Error = D::Error;

    plain! {
        deserialize_bool => deserialize_bool, "bool";
        deserialize_u8 => deserialize_u8, "u8";
        deserialize_u16 => deserialize_u16, "u16";
        deserialize_u32 => deserialize_u32, "u32";
        deserialize_u64 => deserialize_u64, "u64";
        deserialize_u128 => deserialize_u128, "u128";
        deserialize_i8 => deserialize_i8, "i8";
        deserialize_i16 => deserialize_i16, "i16";
        deserialize_i32 => deserialize_i32, "i32";
        deserialize_i64 => deserialize_i64, "i64";
        deserialize_i128 => deserialize_i128, "i128";
        deserialize_f32 => deserialize_f32, "f32";
        deserialize_f64 => deserialize_f64, "f64";
        deserialize_char => deserialize_char, "char";
        deserialize_str => deserialize_str, "str";
        deserialize_bytes => deserialize_bytes, "bytes";
        deserialize_unit => deserialize_unit, "()";
        deserialize_any => deserialize_any, "any";
        deserialize_ignored_any => deserialize_ignored_any, "ignored";
        deserialize_identifier => deserialize_identifier, "identifier";
    }

    // bincode allocates an owned text by its declared length before it checks that the bytes exist. For a borrowed text
    // it checks first.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.recorder.put_leaf("str");
        self.inner.deserialize_str(Owned(visitor))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.recorder.put_leaf("bytes");
        self.inner.deserialize_bytes(Owned(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        if self.recorder.is_marked() {
            self.recorder.expected = None;
            self.recorder.put_name(name);
            self.recorder.put("()");
        } else {
            self.recorder.put_leaf(name);
        }
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(None, PartShape::Option, visitor)?;
        inner.deserialize_option(shown)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(Some(name), PartShape::Newtype, visitor)?;
        inner.deserialize_newtype_struct(name, shown)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(None, PartShape::List, visitor)?;
        inner.deserialize_seq(shown)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(None, PartShape::Tuple, visitor)?;
        inner.deserialize_tuple(len, shown)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(Some(name), PartShape::Tuple, visitor)?;
        inner.deserialize_tuple_struct(name, len, shown)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(None, PartShape::Map, visitor)?;
        inner.deserialize_map(shown)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: NameList,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(Some(name), PartShape::Fields(fields), visitor)?;
        inner.deserialize_struct(name, fields, shown)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: NameList,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let (inner, shown) = self.show(None, PartShape::Variant(variants), visitor)?;
        inner.deserialize_enum(name, variants, shown)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Recording<'_, T> {
    type Value = T::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Recording { inner: deserializer, recorder: self.recorder })
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for PartVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.recorder.close(self.start);
        self.visitor.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.recorder.close(self.start);
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let value = self.visitor.visit_some(Recording { inner, recorder: self.recorder })?;
        self.recorder.close(self.start);
        Ok(value)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let value = self.visitor.visit_newtype_struct(Recording { inner, recorder: self.recorder })?;
        self.recorder.put(")");
        self.recorder.close(self.start);
        Ok(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let recorder = self.recorder;
        let value = match self.part {
            PartShape::List => {
                let mut distinct = Distinct::new(recorder);
                let value = self.visitor.visit_seq(Elements { inner, recorder, distinct: &mut distinct })?;
                distinct.finish(recorder);
                recorder.put("]");
                value
            }
            PartShape::Fields(names) => {
                let mut names = names.iter();
                let value = self.visitor.visit_seq(Fields { inner, recorder, names: &mut names, first: true })?;
                // Its other names are among them, and nothing says which.
                if recorder.is_marked() && names.next().is_some() {
                    recorder.put("!");
                }
                recorder.put("}");
                value
            }
            _ => {
                let mut neighbours = Neighbours::new(recorder);
                let value = self.visitor.visit_seq(Tuple { inner, recorder, neighbours: &mut neighbours })?;
                neighbours.finish(recorder);
                recorder.put_sign(")", ">");
                value
            }
        };
        recorder.close(self.start);
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let recorder = self.recorder;
        let mut distinct = Distinct::new(recorder);
        let names = match self.part {
            PartShape::Fields(names) => Some(names),
            _ => None,
        };
        let value = self.visitor.visit_map(EntryVisitor { inner, recorder, names, distinct: &mut distinct, at: 0 })?;
        distinct.finish(recorder);
        recorder.put("}");
        recorder.close(self.start);
        Ok(value)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let names = match self.part {
            PartShape::Variant(names) => names,
            _ => &[],
        };
        let recorder = self.recorder;
        let value = self.visitor.visit_enum(Choice { inner, recorder, names })?;
        recorder.close(self.start);
        Ok(value)
    }
}

/// The elements of a list.
struct Elements<'r, A> {
    inner: A,
    recorder: &'r mut Recorder,
    distinct: &'r mut Distinct,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.recorder.count_element().map_err(A::Error::custom)?;
        let at = self.distinct.begin_element(self.recorder);
        let element = self.inner.next_element_seed(Recording { inner: seed, recorder: self.recorder })?;
        if element.is_some() {
            self.distinct.end(self.recorder, at);
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        // Some visitors reserve the hinted size, even if it is damaged.
        self.inner.size_hint().map(|hint| hint.min(self.recorder.bytes))
    }
}

/// The elements of a tuple, whose number the type gives.
struct Tuple<'r, A> {
    inner: A,
    recorder: &'r mut Recorder,
    neighbours: &'r mut Neighbours,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Tuple<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let at = self.neighbours.begin(self.recorder);
        let element = self.inner.next_element_seed(Recording { inner: seed, recorder: self.recorder })?;
        self.neighbours.end(self.recorder, at, element.is_some());
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The fields of a struct, without their names.
struct Fields<'r, A> {
    inner: A,
    recorder: &'r mut Recorder,
    names: &'r mut std::slice::Iter<'static, &'static str>,
    first: bool,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Fields<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let Some(name) = self.names.next() else {
            return self.inner.next_element_seed(seed);
        };
        if !std::mem::take(&mut self.first) {
            self.recorder.put(",");
        }
        self.recorder.put_name(name);
        self.recorder.put(":");
        self.inner.next_element_seed(Recording { inner: seed, recorder: self.recorder })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The entries of a map, or the fields of a struct with their names.
struct EntryVisitor<'r, A> {
    inner: A,
    recorder: &'r mut Recorder,
    names: Option<NameList>,
    distinct: &'r mut Distinct,
    /// The start of the entry whose value is next.
    at: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for EntryVisitor<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.recorder.count_element().map_err(A::Error::custom)?;
        self.at = self.distinct.begin_entry(self.recorder);
        let recorder = &mut *self.recorder;
        let key = match self.names {
            Some(names) => self.inner.next_key_seed(Name { inner: seed, recorder, names })?,
            None => self.inner.next_key_seed(Recording { inner: seed, recorder })?,
        };
        if key.is_some() {
            self.recorder.put(":");
        }
        Ok(key)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let value = self.inner.next_value_seed(Recording { inner: seed, recorder: self.recorder })?;
        self.distinct.end(self.recorder, self.at);
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|hint| hint.min(self.recorder.bytes))
    }
}

/// Which variant of an enum it is, and then its content.
struct Choice<'r, A> {
    inner: A,
    recorder: &'r mut Recorder,
    names: NameList,
}

impl<'de, 'r, A: EnumAccess<'de>> EnumAccess<'de> for Choice<'r, A> {
    type Error = A::Error;
    type Variant = Recording<'r, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let name = Name { inner: seed, recorder: &mut *self.recorder, names: self.names };
        let (value, inner) = self.inner.variant_seed(name)?;
        Ok((value, Recording { inner, recorder: self.recorder }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Recording<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.recorder.put("(");
        let value = self.inner.newtype_variant_seed(Recording { inner: seed, recorder: &mut *self.recorder })?;
        self.recorder.put(")");
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let start = self.recorder.open().map_err(A::Error::custom)?;
        self.recorder.put_sign("(", "<");
        self.inner.tuple_variant(len, PartVisitor { visitor, recorder: self.recorder, part: PartShape::Tuple, start })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: NameList, visitor: V) -> Result<V::Value, A::Error> {
        let start = self.recorder.open().map_err(A::Error::custom)?;
        self.recorder.put("{");
        let part = PartShape::Fields(fields);
        self.inner.struct_variant(fields, PartVisitor { visitor, recorder: self.recorder, part, start })
    }
}
