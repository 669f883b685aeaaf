//! Which names a value's `Serialize` gives to its variants. serde lists aliases among the names of all variants, so
//! that the name at a variant's number may not be its own. Owns the one pass over a value that finds this out; must not
//! know the use of the answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::ser::{self, Serialize, Serializer};

/// How many shapes are remembered at most.
const MOST_KNOWN: usize = 10_000;

/// The names of variants with their numbers, as a sum without order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spelling(u64);

impl Spelling {
    pub(super) fn add(&mut self, number: u32, name: &str) {
        // Fowler, Noll and Vo, "FNV-1a".
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hashed = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ u64::from(number), hash);
        self.0 = self.0.wrapping_add(hashed | 1);
    }
}

/// Whether the names in a shape are those that the value is written with. Each shape is checked once.
pub(super) fn is_own<T: Serialize + ?Sized>(fingerprint: u64, met: Spelling, value: &T) -> bool {
    static KNOWN: Mutex<Option<HashMap<u64, bool>>> = Mutex::new(None);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if met == Spelling::default() {
        return true;
    }
    if let Some(is_own) = known().get_or_insert_default().get(&fingerprint) {
        return *is_own;
    }
    // User code, so it runs outside the lock.
    let mut written = Spelling::default();
    let is_own = value.serialize(&mut written).is_ok() && written == met;
    let mut known = known();
    let known = known.get_or_insert_default();
    if known.len() >= MOST_KNOWN {
        known.clear();
    }
    known.insert(fingerprint, is_own);
    is_own
}

type Written = Result<(), fmt::Error>;

macro_rules! nothing {
    ($($method:ident($($type:ty),*);)*) => {
        $(fn $method(self $(, _: $type)*) -> Written { Ok(()) })*
    };
}

macro_rules! parts {
    ($($method:ident($($type:ty),*) -> $part:ident;)*) => {
        $(fn $method(self $(, _: $type)*) -> Result<Self::$part, fmt::Error> { Ok(self) })*
    };
}

impl Serializer for &mut Spelling {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    nothing! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
    }

    parts! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
    }

    fn serialize_unit_variant(self, _: &'static str, number: u32, variant: &'static str) -> Written {
        self.add(number, variant);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        number: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.add(number, variant);
        value.serialize(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        number: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, fmt::Error> {
        self.add(number, variant);
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        number: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, fmt::Error> {
        self.add(number, variant);
        Ok(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    // As in bincode, for which the value was written.
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! within {
    ($($trait:ident { $($method:ident($($name:ty)?);)* })*) => {
        $(impl ser::$trait for &mut Spelling {
            type Ok = ();
            type Error = fmt::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self $(, _: $name)?, value: &T) -> Written {
                value.serialize(&mut **self)
            })*

            fn end(self) -> Written {
                Ok(())
            }
        })*
    };
}

within! {
    SerializeSeq { serialize_element(); }
    SerializeTuple { serialize_element(); }
    SerializeTupleStruct { serialize_field(); }
    SerializeTupleVariant { serialize_field(); }
    SerializeMap { serialize_key(); serialize_value(); }
    SerializeStruct { serialize_field(&'static str); }
    SerializeStructVariant { serialize_field(&'static str); }
}
