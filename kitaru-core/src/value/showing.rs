//! Values as JSON, without their types. Owns the form of parts that JSON cannot express, and the bounds on the whole.
//! Must not know which values may be shown, or where they are.
//!
//! The bytes may be damaged, and so may their shape. Neither causes a panic, nor recursion beyond the bound, nor an
//! allocation by a number in them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::codec::{Atom, Codec, Front};
use super::shape::plan::{self, Leaf, Planned, ReadPlan, Unplanned};

/// The most parts that are shown.
const MOST_PARTS: usize = 1 << 20;

/// The most bytes of all texts in it, names of fields included.
const MOST_BYTES: usize = 16 << 20;

/// How deep it may be nested: as deep as serde_json reads.
const MOST_LEVELS: u16 = 127;

/// Why a value is not shown as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotShown {
    /// An earlier version recorded it, without the shape that shows its parts.
    Earlier,
    /// Its shape has too many different parts to be recorded as a whole.
    Cut,
    /// It has more than 1,048,576 parts, more than 16 MiB of text, or more than 127 levels.
    TooLarge,
    /// Its bytes are damaged, or its type does not always read the same parts.
    Unreadable,
}

impl fmt::Display for NotShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotShown::Earlier => "an earlier version recorded it, without the shape that shows its parts",
            NotShown::Cut => "its shape is too large to be recorded as a whole",
            NotShown::TooLarge => "it is too large to be shown as a whole",
            NotShown::Unreadable => "its bytes do not have the shape that they were recorded with",
        })
    }
}

impl From<Unplanned> for NotShown {
    fn from(why: Unplanned) -> Self {
        match why {
            Unplanned::Cut => NotShown::Cut,
            Unplanned::Unclear => NotShown::Unreadable,
        }
    }
}

/// Whether a value of this codec needs the text of its shape to be shown.
pub(crate) fn needs_shape(codec: Codec) -> bool {
    codec == Codec::Bincode
}

/// A value as JSON, with the text of its shape if it needs one.
pub(crate) fn show(codec: Codec, shape: Option<&str>, bytes: &[u8]) -> Result<Value, NotShown> {
    match codec {
        Codec::Json => by_name(bytes),
        Codec::Unmarked => Err(NotShown::Earlier),
        Codec::Bincode => {
            let Planned { plan, is_cut, has_other_names } = plan::plan(shape.ok_or(NotShown::Unreadable)?)?;
            let mut showing = Showing { bytes: Front(bytes), parts: MOST_PARTS, room: MOST_BYTES, has_other_names };
            let shown = showing.value(&plan, MOST_LEVELS);
            match shown {
                Ok(value) if showing.bytes.0.is_empty() => Ok(value),
                Ok(_) | Err(Stop::Malformed) => Err(NotShown::Unreadable),
                Err(Stop::Unplanned) => Err(if is_cut { NotShown::Cut } else { NotShown::Unreadable }),
                Err(Stop::TooLarge) => Err(NotShown::TooLarge),
            }
        }
    }
}

fn by_name(json: &[u8]) -> Result<Value, NotShown> {
    // A number takes one byte here and some thirty as a value.
    let (mut parts, mut in_text, mut is_escaped) = (1, false, false);
    let mut wide = Vec::new();
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => parts += 1,
            b'-' | b'0'..=b'9' if !in_text && !json[..at].last().is_some_and(is_of_number) => {
                let digits = json[at..].iter().take_while(|byte| is_of_number(byte)).count();
                if is_wide(&json[at..at + digits]) {
                    parts += 1;
                    wide.push(at..at + digits);
                }
            }
            _ => {}
        }
    }
    if json.len() > MOST_BYTES || parts > MOST_PARTS {
        return Err(NotShown::TooLarge);
    }
    if wide.is_empty() {
        return serde_json::from_slice(json).map_err(|_| NotShown::Unreadable);
    }
    // serde_json rounds such a number.
    let (mut tagged, mut before) = (Vec::with_capacity(json.len()), 0);
    for number in wide {
        tagged.extend_from_slice(&json[before..number.start]);
        tagged.extend_from_slice(br#"{"$number":""#);
        tagged.extend_from_slice(&json[number.clone()]);
        tagged.extend_from_slice(br#""}"#);
        before = number.end;
    }
    tagged.extend_from_slice(&json[before..]);
    serde_json::from_slice(&tagged).map_err(|_| NotShown::Unreadable)
}

fn is_of_number(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether a number of a JSON text is an integer of more than 64 bits.
fn is_wide(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let is_integer = digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    let Some(number) = std::str::from_utf8(number).ok().filter(|_| is_integer && digits.len() > 18) else {
        return false;
    };
    number.parse::<u64>().is_err() && number.parse::<i64>().is_err()
}

/// Why it stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Malformed,
    /// The plan does not contain what the bytes contain.
    Unplanned,
    TooLarge,
}

struct Showing<'a> {
    bytes: Front<'a>,
    /// How many more parts there may be, and bytes of text.
    parts: usize,
    room: usize,
    /// Variants are shown by their numbers.
    has_other_names: bool,
}

impl<'a> Showing<'a> {
    fn take<T: Atom<'a>>(&mut self) -> Result<T, Stop> {
        self.bytes.take().ok_or(Stop::Malformed)
    }

    fn make_room(&mut self, bytes: usize) -> Result<(), Stop> {
        self.room = self.room.checked_sub(bytes).ok_or(Stop::TooLarge)?;
        Ok(())
    }

    /// How many elements follow.
    fn count(&mut self) -> Result<u64, Stop> {
        let count = self.take()?;
        if usize::try_from(count).is_ok_and(|count| count <= self.parts) { Ok(count) } else { Err(Stop::TooLarge) }
    }

    fn value(&mut self, plan: &ReadPlan, levels: u16) -> Result<Value, Stop> {
        self.parts = self.parts.checked_sub(1).ok_or(Stop::TooLarge)?;
        match plan {
            ReadPlan::Leaf(leaf) => self.leaf(*leaf, levels),
            ReadPlan::Unit => Ok(Value::Null),
            ReadPlan::Option(inner) => match (self.take::<u8>()?, inner) {
                (0, _) => Ok(Value::Null),
                (1, Some(inner)) => {
                    let value = self.value(inner, levels)?;
                    let is_inner = matches!(**inner, ReadPlan::Option(_)) && value.get("$some").is_some();
                    if value.is_null() || is_inner { tagged("$some", value, levels) } else { Ok(value) }
                }
                (1, None) => Err(Stop::Unplanned),
                _ => Err(Stop::Malformed),
            },
            ReadPlan::Parts(None, parts) => {
                let levels = below(levels)?;
                let mut values = Vec::new();
                for (part, times) in parts {
                    for _ in 0..*times {
                        values.push(self.value(part, levels)?);
                    }
                }
                Ok(Value::Array(values))
            }
            ReadPlan::Parts(Some(names), parts) => {
                let levels = below(levels)?;
                let mut fields = Map::new();
                for (name, (part, _)) in names.iter().zip(parts) {
                    self.make_room(name.len())?;
                    fields.insert(name.clone(), self.value(part, levels)?);
                }
                Ok(Value::Object(fields))
            }
            ReadPlan::Enum(variants) => {
                let number: u32 = self.take()?;
                let (name, content) = variants.get(&number).ok_or(Stop::Unplanned)?;
                let name = if self.has_other_names { number.to_string() } else { name.clone() };
                self.make_room(name.len())?;
                match content {
                    None => Ok(Value::String(name)),
                    Some(content) => tagged(&name, self.value(content, below(levels)?)?, levels),
                }
            }
            ReadPlan::List(element) => {
                let levels = below(levels)?;
                let mut values = Vec::new();
                for _ in 0..self.count()? {
                    let element = element.as_deref().ok_or(Stop::Unplanned)?;
                    values.push(self.value(element, levels)?);
                }
                Ok(Value::Array(values))
            }
            ReadPlan::Map(entry) => self.map(entry.as_deref(), levels),
        }
    }

    fn leaf(&mut self, leaf: Leaf, levels: u16) -> Result<Value, Stop> {
        Ok(match leaf {
            Leaf::U8 => self.take::<u8>()?.into(),
            Leaf::U16 => self.take::<u16>()?.into(),
            Leaf::U32 => self.take::<u32>()?.into(),
            Leaf::U64 => self.take::<u64>()?.into(),
            Leaf::I8 => self.take::<i8>()?.into(),
            Leaf::I16 => self.take::<i16>()?.into(),
            Leaf::I32 => self.take::<i32>()?.into(),
            Leaf::I64 => self.take::<i64>()?.into(),
            Leaf::U128 => {
                let number: u128 = self.take()?;
                match u64::try_from(number) {
                    Ok(number) => number.into(),
                    Err(_) => tagged("$number", number.to_string(), levels)?,
                }
            }
            Leaf::I128 => {
                let number: i128 = self.take()?;
                match (u64::try_from(number), i64::try_from(number)) {
                    (Ok(number), _) => number.into(),
                    (_, Ok(number)) => number.into(),
                    _ => tagged("$number", number.to_string(), levels)?,
                }
            }
            Leaf::F32 => {
                let number: f32 = self.take()?;
                if number.is_finite() { number.into() } else { tagged("$number", no_number(number.into()), levels)? }
            }
            Leaf::F64 => {
                let number: f64 = self.take()?;
                if number.is_finite() { number.into() } else { tagged("$number", no_number(number), levels)? }
            }
            Leaf::Bool => self.take::<bool>()?.into(),
            Leaf::Char => self.take::<char>()?.to_string().into(),
            Leaf::Text => {
                let text: &str = self.take()?;
                self.make_room(text.len())?;
                text.into()
            }
            Leaf::Bytes => {
                let bytes: &[u8] = self.take()?;
                self.make_room(2 * bytes.len())?;
                let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                let digits: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
                tagged("$bytes", digits, levels)?
            }
        })
    }

    fn map(&mut self, entry: Option<&(ReadPlan, ReadPlan)>, levels: u16) -> Result<Value, Stop> {
        let object = below(levels)?;
        // A list of pairs is two levels more.
        let pairs = || below(below(object)?);
        let inner = if entry.is_none_or(|(key, _)| always_has_name(key)) { object } else { pairs()? };
        let (mut entries, mut names) = (Vec::new(), Some(BTreeMap::new()));
        for nth in 0..self.count()? {
            let (key, value) = entry.ok_or(Stop::Unplanned)?;
            let (shown, value) = (self.value(key, inner)?, self.value(value, inner)?);
            let is_new = match (name(key, &shown), &mut names) {
                (Some(name), Some(names)) => names.insert(name, nth).is_none(),
                _ => false,
            };
            names = names.filter(|_| is_new);
            entries.push((shown, value));
        }
        match names {
            Some(names) => {
                let mut fields = Map::new();
                for (name, nth) in names {
                    let value = usize::try_from(nth).ok().and_then(|nth| entries.get_mut(nth));
                    fields.insert(name, value.map(|(_, value)| value.take()).unwrap_or_default());
                }
                Ok(Value::Object(fields))
            }
            None => {
                pairs()?;
                let pairs: Vec<Value> = entries.into_iter().map(|(key, value)| vec![key, value].into()).collect();
                tagged("$map", pairs, levels)
            }
        }
    }
}

fn below(levels: u16) -> Result<u16, Stop> {
    levels.checked_sub(1).ok_or(Stop::TooLarge)
}

/// An object with one field: it stands for a variant, or for a value that JSON cannot express.
fn tagged(tag: &str, value: impl Into<Value>, levels: u16) -> Result<Value, Stop> {
    below(levels)?;
    Ok(Value::Object(Map::from_iter([(tag.to_owned(), value.into())])))
}

fn no_number(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// Whether every such key has a name in JSON.
fn always_has_name(key: &ReadPlan) -> bool {
    match key {
        ReadPlan::Leaf(leaf) => !matches!(leaf, Leaf::F32 | Leaf::F64 | Leaf::Bytes),
        ReadPlan::Enum(variants) => variants.values().all(|(_, content)| content.is_none()),
        _ => false,
    }
}

/// The name of a key in JSON, if it has one.
fn name(key: &ReadPlan, shown: &Value) -> Option<String> {
    match (key, shown) {
        (ReadPlan::Leaf(Leaf::F32 | Leaf::F64 | Leaf::Bytes), _) => None,
        (ReadPlan::Leaf(_) | ReadPlan::Enum(_), Value::String(text)) => Some(text.clone()),
        (ReadPlan::Leaf(_), Value::Bool(is)) => Some(is.to_string()),
        (ReadPlan::Leaf(_), Value::Number(number)) => Some(number.to_string()),
        // A number of more than 64 bits.
        (ReadPlan::Leaf(_), number) => number.get("$number").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}
