//! How deep a value may be nested, and the wrapper that counts the levels while a value is written. Owns the one bound
//! for every way in and out. Must not know the format of the output.
//!
//! A value is written by a function that calls itself for each level, so a value that is nested too deep overflows the
//! stack, which aborts the process. Each serializer of this project therefore counts the levels: the canonical one by
//! itself, those of other crates inside [`shallow`].

use std::cell::Cell;
use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// The most levels of a value: nested lists, maps, structs, tuples and variants with content, and the innermost part.
/// It is as deep as serde_json reads.
pub(crate) const MOST_LEVELS: u16 = 128;

/// The most options and newtypes around all of those. They are not levels of their own, since JSON does not show them,
/// but each takes stack.
pub(crate) const MOST_WRAPS: u16 = 2 * MOST_LEVELS;

/// The depth at which a part is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    parts: u16,
    wraps: u16,
}

impl Depth {
    /// Enters a list, map, struct, tuple or variant. False if that is too deep.
    #[inline]
    pub(crate) fn enter(&mut self) -> bool {
        self.parts += 1;
        self.parts < MOST_LEVELS
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.parts = self.parts.saturating_sub(1);
    }

    /// Enters an option or newtype. False if that is too deep.
    #[inline]
    pub(crate) fn wrap(&mut self) -> bool {
        self.wraps += 1;
        self.wraps <= MOST_WRAPS
    }

    #[inline]
    pub(crate) fn unwrap(&mut self) {
        self.wraps = self.wraps.saturating_sub(1);
    }
}

/// The error for a value that is nested too deep.
pub(crate) struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is nested deeper than {MOST_LEVELS} levels")
    }
}

/// The value, which refuses to be written if it is nested too deep.
pub(crate) fn shallow<T: Serialize + ?Sized>(value: &T) -> impl Serialize {
    Shallow(value)
}

struct Shallow<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Shallow<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let depth = Cell::default();
        self.0.serialize(Counting { inner: serializer, depth: &depth })
    }
}

/// A serializer, or a compound of one, and its depth.
struct Counting<'a, S> {
    inner: S,
    depth: &'a Cell<Depth>,
}

/// A value within another one.
struct Nested<'a, T: ?Sized> {
    value: &'a T,
    depth: &'a Cell<Depth>,
}

impl<T: Serialize + ?Sized> Serialize for Nested<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Counting { inner: serializer, depth: self.depth })
    }
}

impl<'a, S> Counting<'a, S> {
    #[inline]
    fn change<E: ser::Error>(&self, by: impl FnOnce(&mut Depth) -> bool) -> Result<(), E> {
        let mut depth = self.depth.get();
        let fits = by(&mut depth);
        self.depth.set(depth);
        if fits { Ok(()) } else { Err(E::custom(TooDeep)) }
    }

    /// Enters an option or newtype and leaves it.
    #[inline]
    fn around<T: Serialize + ?Sized, R, E: ser::Error>(
        self,
        value: &T,
        write: impl FnOnce(S, &Nested<'_, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.change(Depth::wrap)?;
        let written = write(self.inner, &Nested { value, depth: self.depth })?;
        leave(self.depth, Depth::unwrap);
        Ok(written)
    }
}

#[inline]
fn leave(depth: &Cell<Depth>, by: fn(&mut Depth)) {
    let mut inner = depth.get();
    by(&mut inner);
    depth.set(inner);
}

macro_rules! plain {
    ($($method:ident($type:ty);)*) => {
        $(#[inline] fn $method(self, value: $type) -> Result<S::Ok, S::Error> { self.inner.$method(value) })*
    };
}

macro_rules! parts {
    ($($method:ident($($name:ident: $type:ty),*) -> $part:ident;)*) => {
        $(#[inline]
        fn $method(self, $($name: $type),*) -> Result<Self::$part, S::Error> {
            self.change(Depth::enter)?;
            Ok(Counting { inner: self.inner.$method($($name),*)?, depth: self.depth })
        })*
    };
}

impl<'a, S: Serializer> Serializer for Counting<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Counting<'a, S::SerializeSeq>;
    type SerializeTuple = Counting<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Counting<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Counting<'a, S::SerializeTupleVariant>;
    type SerializeMap = Counting<'a, S::SerializeMap>;
    type SerializeStruct = Counting<'a, S::SerializeStruct>;
    type SerializeStructVariant = Counting<'a, S::SerializeStructVariant>;

    plain! {
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
        serialize_unit_struct(&'static str);
    }

    parts! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, nth: u32, variant: &'static str, len: usize) -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, nth: u32, variant: &'static str, len: usize) -> SerializeStructVariant;
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, name: &'static str, nth: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, nth, variant)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.around(value, |inner, within| inner.serialize_some(within))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.around(value, |inner, within| inner.serialize_newtype_struct(name, within))
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        nth: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.change(Depth::enter)?;
        let within = Nested { value, depth: self.depth };
        let written = self.inner.serialize_newtype_variant(name, nth, variant, &within)?;
        leave(self.depth, Depth::leave);
        Ok(written)
    }

    #[inline]
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! elements {
    ($($trait:ident { $($method:ident($($name:ident)?);)* })*) => {
        $(impl<S: $trait> $trait for Counting<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(#[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), S::Error> {
                self.inner.$method($($name,)? &Nested { value, depth: self.depth })
            })*

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                leave(self.depth, Depth::leave);
                self.inner.end()
            }
        })*
    };
}

elements! {
    SerializeSeq { serialize_element(); }
    SerializeTuple { serialize_element(); }
    SerializeTupleStruct { serialize_field(); }
    SerializeTupleVariant { serialize_field(); }
    SerializeMap { serialize_key(); serialize_value(); }
    SerializeStruct { serialize_field(name); }
    SerializeStructVariant { serialize_field(name); }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    enum Nest {
        End,
        List(Vec<Nest>),
        Fields { inner: Box<Nest> },
        Tuple(Box<Nest>, u8),
        Newtype(Box<Nest>),
        Option(Newtype),
    }

    #[derive(serde::Serialize)]
    struct Newtype(Option<Box<Nest>>);

    #[derive(serde::Serialize)]
    struct Wrap(Option<Box<Wrap>>);

    type Around = fn(Nest) -> Nest;

    /// As a key sees it.
    fn canonical(value: &impl Serialize) -> Result<(), crate::Error> {
        crate::value::Canon::default().arg(value)
    }

    fn nest(depth: u16, around: Around) -> Nest {
        (0..depth).fold(Nest::End, |inner, _| around(inner))
    }

    #[test]
    fn every_kind_of_part_is_a_level_and_siblings_are_not() {
        let kinds: [(Around, u16); 5] = [
            (|inner| Nest::List(vec![inner, Nest::End]), 2),
            (|inner| Nest::Fields { inner: inner.into() }, 1),
            (|inner| Nest::Tuple(inner.into(), 1), 1),
            (|inner| Nest::Newtype(inner.into()), 1),
            (|inner| Nest::Option(Newtype(Some(inner.into()))), 1),
        ];
        for (around, levels) in kinds {
            let most = (MOST_LEVELS - 1) / levels;
            assert!(serde_json::to_string(&shallow(&nest(most, around))).is_ok());
            let why = serde_json::to_string(&shallow(&nest(most + 1, around))).unwrap_err();
            assert_eq!(why.to_string(), "it is nested deeper than 128 levels");
            assert!(canonical(&nest(most, around)).is_ok());
            let why = canonical(&nest(most + 1, around)).unwrap_err();
            assert_eq!(why.to_string(), "it is nested deeper than 128 levels");
        }
        let many: Vec<Nest> = (0..1_000).map(|_| nest(50, |inner| Nest::Tuple(inner.into(), 1))).collect();
        assert!(serde_json::to_string(&shallow(&many)).is_ok());
        assert!(canonical(&many).is_ok());
    }

    #[test]
    fn options_and_newtypes_that_json_does_not_show_are_bounded_too() {
        let wrap = |depth: usize| (0..depth).fold(Wrap(None), |inner, _| Wrap(Some(inner.into())));
        assert!(serde_json::to_string(&shallow(&wrap(100))).is_ok());
        for depth in [200, 3_000] {
            let value = wrap(depth);
            assert!(serde_json::to_string(&shallow(&value)).is_err());
            assert!(canonical(&value).is_err());
        }
    }
}
