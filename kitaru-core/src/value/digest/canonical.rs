//! The canonical bytes of one value, as a serde `Serializer` writes them. Owns the byte layout. Every stored digest
//! depends on it: after a change here no record of any store answers. Must not know what is hashed with it.
//!
//! A value is a tag and its content. Lists end in [`END`], which is not the tag of any value. Texts and bytes follow
//! their length. The entries of a map or set are digested one by one, and represented by their sorted digests. So no
//! two different values write the same bytes.

use std::any::type_name;

use serde::Serialize;
use serde::ser::{self, Serializer};

use super::backtrace;
use super::byte;
use super::sink::{Likeness, NotCanonical, Sink, Stretch};
use super::tag::{
    BYTES, CHAR, END, FALSE, FLOAT, LIST, LONG, MAP, NEGATIVE_LONG, NEWTYPE_VARIANT, NONE, SET, SOME, STRUCT,
    STRUCT_VARIANT, TEXT, TRUE, TUPLE_VARIANT, UNIT, UNIT_VARIANT, WORD,
};
use crate::value::depth::{Depth, TooDeep};

/// The one bit pattern for all NaNs. The bits of `f64::NAN` are not guaranteed.
const NAN: u64 = 0x7ff8_0000_0000_0000;

/// How serde receives a number of JSON if a crate of the program turns on serde_json's `arbitrary_precision`: a struct
/// of this name around its text. That must make no difference to a digest.
const NUMBER: &str = "$serde_json::private::Number";

/// Whether the type `I` has no order of its own. serde receives a `HashSet` as a list; only the name of its type
/// reveals it.
fn unordered<I>() -> bool {
    let name = type_name::<I>();
    let path = name.split_once('<').map_or(name, |(path, _)| path);
    path.ends_with("::HashSet")
        || ["std::collections::hash::set::", "hashbrown::set::"].iter().any(|of| path.contains(of))
}

/// Whether `T` is any JSON, in which a null in an option is the same as no value.
fn is_any_json<T: ?Sized>() -> bool {
    type_name::<T>().trim_end_matches('>').ends_with("serde_json::value::Value")
}

macro_rules! forward {
    ($($from:ident($value:ident: $type:ty) => $to:ident($($cast:expr),+);)*) => {
        $(#[inline] fn $from(self, $value: $type) -> Result<(), NotCanonical> { self.$to($($cast),+); Ok(()) })*
    };
}

impl Sink {
    /// Enters a part, or reports that it would be too deep.
    #[inline]
    fn within(&mut self, into: fn(&mut Depth) -> bool) -> Result<(), NotCanonical> {
        if into(&mut self.depth) { Ok(()) } else { Err(ser::Error::custom(TooDeep)) }
    }

    /// Writes the number whose text `value` is.
    fn number<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
        let start = self.bytes.len();
        let likeness = std::mem::replace(&mut self.likeness, Likeness::Equal);
        let written = value.serialize(&mut *self);
        self.likeness = likeness;
        written?;
        let text = match self.bytes.get(start..) {
            Some([TEXT, length, text @ ..]) if *length < 0x80 => String::from_utf8_lossy(text).into_owned(),
            // A number of an unknown form is written as it is.
            _ => return Ok(()),
        };
        if let Ok(number) = text.parse::<u64>() {
            self.bytes.truncate(start);
            self.unsigned(number);
        } else if let Ok(number) = text.parse::<i64>() {
            self.bytes.truncate(start);
            self.signed(number);
        } else if let Ok(number) = text.parse::<f64>() {
            self.bytes.truncate(start);
            self.serialize_f64(number)?;
        }
        Ok(())
    }

    /// Writes a value without parts, or only its kind.
    #[inline]
    fn leaf(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        if self.is_alike() { self.byte(tag) } else { write(self) }
    }
}

impl<'a> Serializer for &'a mut Sink {
    type Ok = ();
    type Error = NotCanonical;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;
    type SerializeMap = Entries<'a>;

    forward! {
        serialize_u8(value: u8) => unsigned(value.into());
        serialize_u16(value: u16) => unsigned(value.into());
        serialize_u32(value: u32) => unsigned(value.into());
        serialize_u64(value: u64) => unsigned(value);
        serialize_i8(value: i8) => signed(value.into());
        serialize_i16(value: i16) => signed(value.into());
        serialize_i32(value: i32) => signed(value.into());
        serialize_i64(value: i64) => signed(value);
        serialize_bool(value: bool) => byte(if value { TRUE } else { FALSE });
    }

    fn serialize_str(self, value: &str) -> Result<(), NotCanonical> {
        let value = backtrace::left_out(value);
        self.leaf(TEXT, |sink| sink.sized(TEXT, value.as_bytes()));
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NotCanonical> {
        self.leaf(BYTES, |sink| sink.sized(BYTES, value));
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), NotCanonical> {
        match u64::try_from(value) {
            Ok(value) => self.unsigned(value),
            Err(_) if self.is_alike() => self.byte(WORD),
            Err(_) => self.fixed(LONG, value.to_le_bytes()),
        }
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), NotCanonical> {
        match (u128::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => return self.serialize_u128(value),
            (_, Ok(value)) => self.signed(value),
            _ if self.is_alike() => self.byte(WORD),
            _ => self.fixed(NEGATIVE_LONG, value.to_le_bytes()),
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), NotCanonical> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), NotCanonical> {
        let bits = if value.is_nan() { NAN } else { value.to_bits() };
        self.leaf(FLOAT, |sink| sink.fixed(FLOAT, bits.to_le_bytes()));
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), NotCanonical> {
        self.leaf(CHAR, |sink| sink.fixed(CHAR, u32::from(value).to_le_bytes()));
        Ok(())
    }

    fn serialize_none(self) -> Result<(), NotCanonical> {
        self.byte(NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotCanonical> {
        let at = self.bytes.len();
        self.byte(SOME);
        self.within(Depth::wrap)?;
        value.serialize(&mut *self)?;
        self.depth.unwrap();
        if self.is_alike() && is_any_json::<T>() && self.bytes.get(at..) == Some(&[SOME, UNIT]) {
            self.bytes.truncate(at);
            self.byte(NONE);
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), NotCanonical> {
        self.byte(UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotCanonical> {
        self.serialize_unit()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NotCanonical> {
        self.within(Depth::wrap)?;
        value.serialize(&mut *self)?;
        self.depth.unwrap();
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NotCanonical> {
        self.sized(UNIT_VARIANT, variant.as_bytes());
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), NotCanonical> {
        self.sized(NEWTYPE_VARIANT, variant.as_bytes());
        self.within(Depth::enter)?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, NotCanonical> {
        self.within(Depth::enter)?;
        if self.has_no_order() {
            return Ok(List { sink: self, parts: Parts::Unordered(Vec::new()) });
        }
        self.byte(LIST);
        Ok(List::of(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, NotCanonical> {
        self.within(Depth::enter)?;
        self.byte(LIST);
        Ok(List::of(self))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<List<'a>, NotCanonical> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, NotCanonical> {
        self.within(Depth::enter)?;
        self.sized(TUPLE_VARIANT, variant.as_bytes());
        Ok(List::of(self))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<List<'a>, NotCanonical> {
        self.within(Depth::enter)?;
        if name == NUMBER {
            return Ok(List { sink: self, parts: Parts::Number });
        }
        self.byte(STRUCT);
        Ok(List::of(self))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, NotCanonical> {
        self.within(Depth::enter)?;
        self.sized(STRUCT_VARIANT, variant.as_bytes());
        Ok(List::of(self))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, NotCanonical> {
        self.within(Depth::enter)?;
        Ok(Entries { sink: self, begun: None, done: Vec::new() })
    }

    fn collect_seq<I>(self, items: I) -> Result<(), NotCanonical>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        self.within(Depth::enter)?;
        if self.has_no_order() || unordered::<I>() {
            let entries: Result<_, NotCanonical> = items.into_iter().map(|item| self.entry(&item)).collect();
            self.entries(SET, entries?);
            self.depth.leave();
            return Ok(());
        }
        self.byte(LIST);
        let mut items = items.into_iter();
        if let Some(first) = items.next() {
            first.serialize(&mut *self)?;
            match byte::of(&first) {
                Some(_) => self.bytes_then_others(items)?,
                None => self.others(items)?,
            }
        }
        self.byte(END);
        self.depth.leave();
        Ok(())
    }

    /// As bincode, so that the compared form is the encoded one.
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a list, or the fields of a struct, up to their end.
pub(super) struct List<'a> {
    sink: &'a mut Sink,
    parts: Parts,
}

enum Parts {
    Ordered,
    /// The digests of its elements, whose order does not count.
    Unordered(Vec<u128>),
    /// The only field is the text of a number.
    Number,
}

impl<'a> List<'a> {
    fn of(sink: &'a mut Sink) -> Self {
        List { sink, parts: Parts::Ordered }
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
        if let Parts::Unordered(done) = &mut self.parts {
            done.push(self.sink.entry(value)?);
            return Ok(());
        }
        value.serialize(&mut *self.sink)?;
        self.sink.settle();
        Ok(())
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), NotCanonical> {
        if let Parts::Number = self.parts {
            return self.sink.number(value);
        }
        let start = self.sink.bytes.len();
        self.sink.sized(TEXT, name.as_bytes());
        let content = self.sink.bytes.len();
        value.serialize(&mut *self.sink)?;
        if self.sink.is_alike() && self.sink.is_null(content) {
            // A null field may be left out, and a field that is left out is read as null.
            self.sink.bytes.truncate(start);
        }
        self.sink.settle();
        Ok(())
    }

    fn finish(self) {
        self.sink.depth.leave();
        match self.parts {
            Parts::Ordered => self.sink.byte(END),
            Parts::Unordered(done) => self.sink.entries(SET, done),
            Parts::Number => {}
        }
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident($($name:ident)?) => $to:ident;)*) => {
        $(impl ser::$trait for List<'_> {
            type Ok = ();
            type Error = NotCanonical;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), NotCanonical> {
                self.$to($($name,)? value)
            }

            fn end(self) -> Result<(), NotCanonical> {
                self.finish();
                Ok(())
            }
        })*
    };
}

lists! {
    SerializeSeq serialize_element() => element;
    SerializeTuple serialize_element() => element;
    SerializeTupleStruct serialize_field() => element;
    SerializeTupleVariant serialize_field() => element;
    SerializeStruct serialize_field(name) => field;
    SerializeStructVariant serialize_field(name) => field;
}

/// The entries of a map, each digested on its own.
pub(super) struct Entries<'a> {
    sink: &'a mut Sink,
    /// Between a key and its value: the stretch around the entry.
    begun: Option<Stretch>,
    done: Vec<u128>,
}

impl Entries<'_> {
    fn put<T: Serialize + ?Sized>(&mut self, value: &T, outer: Stretch) -> Result<Stretch, NotCanonical> {
        match value.serialize(&mut *self.sink) {
            Ok(()) => Ok(outer),
            Err(why) => {
                self.sink.abandon(outer);
                Err(why)
            }
        }
    }
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = NotCanonical;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotCanonical> {
        if self.begun.is_some() {
            return Err(ser::Error::custom("a key of a map without a value"));
        }
        let outer = self.sink.open();
        self.begun = Some(self.put(key, outer)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
        let Some(outer) = self.begun.take() else {
            return Err(ser::Error::custom("a value of a map without a key"));
        };
        let content = self.sink.bytes.len();
        let outer = self.put(value, outer)?;
        match self.sink.is_alike() && self.sink.is_null(content) {
            true => self.sink.abandon(outer),
            false => self.done.push(self.sink.close(outer)),
        }
        Ok(())
    }

    fn end(self) -> Result<(), NotCanonical> {
        self.sink.depth.leave();
        self.sink.entries(MAP, self.done);
        Ok(())
    }
}
