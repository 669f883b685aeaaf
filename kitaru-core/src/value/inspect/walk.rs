//! A walk through a value, as serde shows it, which notes each part and its path. Owns the form of a path. Must not
//! know the use of the notes.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;
use serde::ser::{self, Serializer};

use crate::value::depth::Depth;

/// The most parts of a value that are noted.
const MOST_NOTES: usize = 10_000;

/// The most bytes of a map's key that a path shows.
const KEY: usize = 32;

/// Parts of a value that JSON cannot express, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Inexpressible {
    Large,
    Nothing,
    NoNumber,
    Key,
}

impl Inexpressible {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Inexpressible::Large => {
                "a number over 64 bits is read only by a plain field, not in an enum with a tag or flattened"
            }
            Inexpressible::Nothing => "JSON has the same null for `None` as for `Some(None)` and `Some(())`",
            Inexpressible::NoNumber => "JSON has neither NaN nor infinity",
            Inexpressible::Key => "a key of a map in JSON is a text or a number",
        }
    }
}

#[derive(Debug)]
pub(super) struct Finding {
    pub(super) at: String,
    pub(super) found: Inexpressible,
}

/// The notes about a value.
#[derive(Default)]
pub(super) struct Walked {
    findings: Vec<Finding>,
    /// Parts without parts of their own, by path, in order.
    leaves: Vec<(String, u64)>,
    /// Where the value's `Serialize` returned an error.
    pub(super) refused_at: Option<String>,
}

/// Walks through a value.
pub(super) fn walk<T: Serialize + ?Sized>(value: &T) -> Walked {
    let mut walk = Walk { path: String::new(), depth: Depth::default(), walked: Walked::default() };
    if value.serialize(&mut walk).is_err() {
        walk.walked.refused_at = Some(walk.path);
    }
    walk.walked
}

impl Walked {
    /// The worst finding in the part at this path; the first of equally bad ones.
    pub(super) fn worst(&self, within: &str) -> Option<&Finding> {
        let within = self.findings.iter().filter(|finding| finding.at.starts_with(within));
        within.rev().max_by_key(|finding| finding.found)
    }

    /// The finding at this path or directly in it.
    pub(super) fn found_at(&self, at: &str) -> Option<Inexpressible> {
        self.findings.iter().find(|finding| finding.at == at).map(|finding| finding.found)
    }

    /// The path of a part that the other value lacks, or has with another value.
    pub(super) fn first_difference(&self, other: &Walked) -> Option<String> {
        let missing = |of: &Walked, from: &Walked| {
            let known: HashSet<_> = from.leaves.iter().collect();
            of.leaves.iter().find(|leaf| !known.contains(leaf)).map(|(at, _)| at.clone())
        };
        missing(self, other).or_else(|| missing(other, self))
    }
}

/// A key of a map, or the name of a field, as the next segment of a path.
pub(super) fn key(key: &str) -> String {
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    if !key.is_empty() && key.len() <= KEY && key.chars().all(is_name) {
        return format!(".{key}");
    }
    let shown = &key[..key.floor_char_boundary(KEY)];
    format!("[{shown:?}{}]", if shown.len() < key.len() { "…" } else { "" })
}

struct Walk {
    path: String,
    depth: Depth,
    walked: Walked,
}

#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it goes no further")
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Stop
    }
}

impl Walk {
    fn leaf(&mut self, kind: &str, content: impl Hash) -> Result<(), Stop> {
        if self.walked.leaves.len() >= MOST_NOTES {
            return Err(Stop);
        }
        let mut hasher = DefaultHasher::new();
        (kind, content).hash(&mut hasher);
        self.walked.leaves.push((self.path.clone(), hasher.finish()));
        Ok(())
    }

    fn find(&mut self, found: Inexpressible) {
        if self.walked.findings.len() < MOST_NOTES {
            self.walked.findings.push(Finding { at: self.path.clone(), found });
        }
    }

    fn float(&mut self, value: f64) -> Result<(), Stop> {
        if !value.is_finite() {
            self.find(Inexpressible::NoNumber);
        }
        self.leaf("float", value.to_bits())
    }

    /// Enters a part, with a further segment of the path.
    fn part<T: Serialize + ?Sized>(&mut self, segment: fmt::Arguments<'_>, value: &T) -> Result<(), Stop> {
        let length = self.path.len();
        if !self.depth.enter() {
            return Err(Stop);
        }
        write!(self.path, "{segment}").map_err(|_| Stop)?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        self.path.truncate(length);
        Ok(())
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts { walk: self, nth: 0, key: String::new() }
    }
}

macro_rules! leaves {
    ($($method:ident($value:ident: $type:ty) => $kind:literal;)*) => {
        $(fn $method(self, $value: $type) -> Result<(), Stop> { self.leaf($kind, $value) })*
    };
}

impl<'a> Serializer for &'a mut Walk {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    leaves! {
        serialize_bool(value: bool) => "bool";
        serialize_i8(value: i8) => "number";
        serialize_i16(value: i16) => "number";
        serialize_i32(value: i32) => "number";
        serialize_i64(value: i64) => "number";
        serialize_u8(value: u8) => "number";
        serialize_u16(value: u16) => "number";
        serialize_u32(value: u32) => "number";
        serialize_u64(value: u64) => "number";
        serialize_char(value: char) => "char";
        serialize_str(value: &str) => "text";
        serialize_bytes(value: &[u8]) => "bytes";
    }

    fn serialize_i128(self, value: i128) -> Result<(), Stop> {
        if i64::try_from(value).is_err() && u64::try_from(value).is_err() {
            self.find(Inexpressible::Large);
        }
        self.leaf("number", value)
    }

    fn serialize_u128(self, value: u128) -> Result<(), Stop> {
        if u64::try_from(value).is_err() {
            self.find(Inexpressible::Large);
        }
        self.leaf("number", value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Stop> {
        self.float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Stop> {
        self.float(value)
    }

    fn serialize_none(self) -> Result<(), Stop> {
        self.leaf("none", ())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        let before = self.walked.leaves.len();
        if !self.depth.wrap() {
            return Err(Stop);
        }
        value.serialize(&mut *self)?;
        self.depth.unwrap();
        let leaves = &self.walked.leaves[before..];
        let is_null = leaves.iter().any(|(at, leaf)| *at == self.path && (*leaf == of("none") || *leaf == of("unit")));
        if is_null {
            self.find(Inexpressible::Nothing);
        }
        self.leaf("some", ())
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        self.leaf("unit", ())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Stop> {
        self.leaf("variant", variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Stop> {
        if !self.depth.wrap() {
            return Err(Stop);
        }
        value.serialize(&mut *self)?;
        self.depth.unwrap();
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.leaf("variant", variant)?;
        self.part(format_args!(""), value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Stop> {
        self.leaf("list", ())?;
        Ok(self.parts())
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Stop> {
        Ok(self.parts())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Stop> {
        Ok(self.parts())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Stop> {
        self.leaf("variant", variant)?;
        Ok(self.parts())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Stop> {
        Ok(self.parts())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Stop> {
        Ok(self.parts())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Stop> {
        self.leaf("variant", variant)?;
        Ok(self.parts())
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// The note for a leaf without content.
fn of(kind: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, ()).hash(&mut hasher);
    hasher.finish()
}

/// The parts of a value, one after another.
struct Parts<'a> {
    walk: &'a mut Walk,
    nth: usize,
    /// The segment of the entry whose value is next.
    key: String,
}

impl Parts<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        let nth = self.nth;
        self.nth += 1;
        self.walk.part(format_args!("[{nth}]"), value)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Stop> {
        self.walk.part(format_args!("{}", key(name)), value)
    }
}

macro_rules! parts {
    ($($trait:ident $method:ident($($name:ident)?) => $to:ident;)*) => {
        $(impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Stop;

            fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), Stop> {
                self.$to($($name,)? value)
            }

            fn end(self) -> Result<(), Stop> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element() => element;
    SerializeTuple serialize_element() => element;
    SerializeTupleStruct serialize_field() => element;
    SerializeTupleVariant serialize_field() => element;
    SerializeStruct serialize_field(name) => field;
    SerializeStructVariant serialize_field(name) => field;
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        // serde_json takes as a key what it writes as a text or as a plain number.
        let json = serde_json::to_value(crate::value::shallow(&Entry(value)));
        self.key = match json.as_ref().ok().and_then(serde_json::Value::as_object).and_then(|map| map.keys().next()) {
            Some(name) => key(name),
            None => {
                self.walk.find(Inexpressible::Key);
                "[…]".to_owned()
            }
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        let segment = std::mem::take(&mut self.key);
        self.walk.part(format_args!("{segment}"), value)
    }

    fn end(self) -> Result<(), Stop> {
        Ok(())
    }
}

/// A map of one entry.
struct Entry<'a, K: ?Sized>(&'a K);

impl<K: Serialize + ?Sized> Serialize for Entry<'_, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        ser::SerializeMap::serialize_entry(&mut map, self.0, &())?;
        ser::SerializeMap::end(map)
    }
}
