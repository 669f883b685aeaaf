//! Whether a value is a `u8`, as serde receives it. Long lists of bytes are common, and serde passes them number by
//! number. The compiler answers the question for every type that is not behind a `dyn`.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};

/// The byte that `value` is.
#[inline]
pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Option<u8> {
    value.serialize(Byte).ok()
}

struct Byte;

/// It is not a byte.
#[derive(Debug)]
struct Other;

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a byte")
    }
}

impl std::error::Error for Other {}

impl ser::Error for Other {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Other
    }
}

macro_rules! others {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {
        $(#[inline]
        fn $method(self, $(_: $type),*) -> Result<$ok, Other> {
            Err(Other)
        })*
    };
}

type No = Impossible<u8, Other>;

impl Serializer for Byte {
    type Ok = u8;
    type Error = Other;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<u8, Other> {
        Ok(value)
    }

    others! {
        serialize_bool(bool) -> u8;
        serialize_i8(i8) -> u8;
        serialize_i16(i16) -> u8;
        serialize_i32(i32) -> u8;
        serialize_i64(i64) -> u8;
        serialize_i128(i128) -> u8;
        serialize_u16(u16) -> u8;
        serialize_u32(u32) -> u8;
        serialize_u64(u64) -> u8;
        serialize_u128(u128) -> u8;
        serialize_f32(f32) -> u8;
        serialize_f64(f64) -> u8;
        serialize_char(char) -> u8;
        serialize_str(&str) -> u8;
        serialize_bytes(&[u8]) -> u8;
        serialize_none() -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, Other> {
        Err(Other)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<u8, Other> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, Other> {
        Err(Other)
    }

    fn collect_seq<I: IntoIterator<Item: Serialize>>(self, _: I) -> Result<u8, Other> {
        Err(Other)
    }

    fn collect_map<K: Serialize, V: Serialize, I: IntoIterator<Item = (K, V)>>(self, _: I) -> Result<u8, Other> {
        Err(Other)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<u8, Other> {
        Err(Other)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
