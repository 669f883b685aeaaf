//! Random values of random types, shown by their recorded shapes.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple};
use serde::ser::{SerializeTupleStruct, SerializeTupleVariant};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::value::Codec;
use crate::value::shape::{Form, Recorder, Recording};
use crate::value::showing::show;

const BINCODE: bincode::config::Configuration = bincode::config::standard();

/// Marsaglia, "Xorshift RNGs" (2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }
}

type Names = &'static [&'static str];

/// A type, as a program may have it.
#[derive(Debug)]
enum Type {
    Leaf(usize),
    Unit,
    UnitStruct(&'static str),
    Option(Box<Type>),
    Newtype(&'static str, Box<Type>),
    Tuple(Vec<Type>),
    TupleStruct(&'static str, Vec<Type>),
    Struct(&'static str, Names, Vec<Type>),
    Enum(&'static str, Names, Vec<Content>),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
}

#[derive(Debug)]
enum Content {
    Unit,
    Newtype(Type),
    Tuple(Vec<Type>),
    Struct(Names, Vec<Type>),
}

/// A value of some [`Type`].
#[derive(Debug, PartialEq)]
enum Thing {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    F32(f32),
    F64(f64),
    Bool(bool),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Unit,
    UnitStruct(&'static str),
    Option(Option<Box<Thing>>),
    Newtype(&'static str, Box<Thing>),
    Tuple(Vec<Thing>),
    TupleStruct(&'static str, Vec<Thing>),
    Struct(&'static str, Names, Vec<Thing>),
    UnitVariant(&'static str, u32, &'static str),
    NewtypeVariant(&'static str, u32, &'static str, Box<Thing>),
    TupleVariant(&'static str, u32, &'static str, Vec<Thing>),
    StructVariant(&'static str, u32, &'static str, Names, Vec<Thing>),
    List(Vec<Thing>),
    Map(Vec<(Thing, Thing)>),
}

const LEAVES: usize = 16;

const NAMES: [&str; 14] =
    ["id", "name", "Order", "str", "u8", "a,b", "x|y", "{}", "\\", "\\_", "", "größe 1", "a@1", "?#*!<>()[]:"];

fn names(dice: &mut Dice, count: usize) -> Names {
    let first = dice.below(NAMES.len());
    let names: Vec<&'static str> = (0..count).map(|nth| NAMES[(first + nth) % NAMES.len()]).collect();
    Box::leak(names.into())
}

fn types(dice: &mut Dice, depth: usize) -> Vec<Type> {
    (0..dice.below(4)).map(|_| random_type(dice, depth)).collect()
}

fn random_type(dice: &mut Dice, depth: usize) -> Type {
    if depth == 0 || dice.below(4) == 0 {
        return Type::Leaf(dice.below(LEAVES));
    }
    let depth = depth - 1;
    let name = NAMES[dice.below(NAMES.len())];
    match dice.below(11) {
        0 => Type::Unit,
        1 => Type::UnitStruct(name),
        2 => Type::Option(random_type(dice, depth).into()),
        3 => Type::Newtype(name, random_type(dice, depth).into()),
        4 => Type::Tuple(types(dice, depth)),
        5 => Type::TupleStruct(name, types(dice, depth)),
        6 => {
            let fields = types(dice, depth);
            Type::Struct(name, names(dice, fields.len()), fields)
        }
        7 | 8 => {
            let count = 1 + dice.below(5);
            let contents = (0..count).map(|_| match dice.below(4) {
                0 => Content::Unit,
                1 => Content::Newtype(random_type(dice, depth)),
                2 => Content::Tuple(types(dice, depth)),
                _ => {
                    let fields = types(dice, depth);
                    Content::Struct(names(dice, fields.len()), fields)
                }
            });
            let contents = contents.collect();
            Type::Enum(name, names(dice, count), contents)
        }
        9 => Type::List(random_type(dice, depth).into()),
        _ => Type::Map(random_type(dice, depth.min(1)).into(), random_type(dice, depth).into()),
    }
}

fn things(dice: &mut Dice, types: &[Type]) -> Vec<Thing> {
    types.iter().map(|r#type| thing(dice, r#type)).collect()
}

fn thing(dice: &mut Dice, of: &Type) -> Thing {
    let bits = (u128::from(dice.0) << 64 | u128::from(dice.0.rotate_left(17))) >> dice.below(128);
    match of {
        Type::Leaf(kind) => match kind {
            0 => Thing::U8(bits as u8),
            1 => Thing::U16(bits as u16),
            2 => Thing::U32(bits as u32),
            3 => Thing::U64(bits as u64),
            4 => Thing::U128(bits),
            5 => Thing::I8(bits as i8),
            6 => Thing::I16(bits as i16),
            7 => Thing::I32(bits as i32),
            8 => Thing::I64(bits as i64),
            9 => Thing::I128(bits as i128),
            10 => Thing::F32(f32::from_bits(bits as u32)),
            11 => Thing::F64([f64::from_bits(bits as u64), f64::INFINITY, -0.0, 1.5][dice.below(4)]),
            12 => Thing::Bool(bits & 1 == 1),
            13 => Thing::Char(['x', 'ß', '水', '🦀', '\0'][dice.below(5)]),
            14 => Thing::Text(["", "x", "ß水", "\"\\\n"][dice.below(4)].repeat(dice.below(100))),
            _ => Thing::Bytes(bits.to_le_bytes()[..dice.below(17)].to_vec()),
        },
        Type::Unit => Thing::Unit,
        Type::UnitStruct(name) => Thing::UnitStruct(name),
        Type::Option(inner) => Thing::Option((dice.below(2) == 0).then(|| thing(dice, inner).into())),
        Type::Newtype(name, inner) => Thing::Newtype(name, thing(dice, inner).into()),
        Type::Tuple(parts) => Thing::Tuple(things(dice, parts)),
        Type::TupleStruct(name, parts) => Thing::TupleStruct(name, things(dice, parts)),
        Type::Struct(name, names, fields) => Thing::Struct(name, names, things(dice, fields)),
        Type::Enum(name, variants, contents) => {
            let nth = dice.below(contents.len());
            let (number, variant) = (nth as u32, variants[nth]);
            match &contents[nth] {
                Content::Unit => Thing::UnitVariant(name, number, variant),
                Content::Newtype(inner) => Thing::NewtypeVariant(name, number, variant, thing(dice, inner).into()),
                Content::Tuple(parts) => Thing::TupleVariant(name, number, variant, things(dice, parts)),
                Content::Struct(names, fields) => {
                    Thing::StructVariant(name, number, variant, names, things(dice, fields))
                }
            }
        }
        Type::List(element) => Thing::List((0..dice.below(6)).map(|_| thing(dice, element)).collect()),
        Type::Map(key, value) => {
            Thing::Map((0..dice.below(4)).map(|_| (thing(dice, key), thing(dice, value))).collect())
        }
    }
}

impl Serialize for Thing {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Thing::U8(value) => to.serialize_u8(*value),
            Thing::U16(value) => to.serialize_u16(*value),
            Thing::U32(value) => to.serialize_u32(*value),
            Thing::U64(value) => to.serialize_u64(*value),
            Thing::U128(value) => to.serialize_u128(*value),
            Thing::I8(value) => to.serialize_i8(*value),
            Thing::I16(value) => to.serialize_i16(*value),
            Thing::I32(value) => to.serialize_i32(*value),
            Thing::I64(value) => to.serialize_i64(*value),
            Thing::I128(value) => to.serialize_i128(*value),
            Thing::F32(value) => to.serialize_f32(*value),
            Thing::F64(value) => to.serialize_f64(*value),
            Thing::Bool(value) => to.serialize_bool(*value),
            Thing::Char(value) => to.serialize_char(*value),
            Thing::Text(value) => to.serialize_str(value),
            Thing::Bytes(value) => to.serialize_bytes(value),
            Thing::Unit => to.serialize_unit(),
            Thing::UnitStruct(name) => to.serialize_unit_struct(name),
            Thing::Option(None) => to.serialize_none(),
            Thing::Option(Some(inner)) => to.serialize_some(inner),
            Thing::Newtype(name, inner) => to.serialize_newtype_struct(name, inner),
            Thing::Tuple(parts) => {
                let mut to = to.serialize_tuple(parts.len())?;
                parts.iter().try_for_each(|part| to.serialize_element(part))?;
                to.end()
            }
            Thing::TupleStruct(name, parts) => {
                let mut to = to.serialize_tuple_struct(name, parts.len())?;
                parts.iter().try_for_each(|part| to.serialize_field(part))?;
                to.end()
            }
            Thing::Struct(name, names, fields) => {
                let mut to = to.serialize_struct(name, fields.len())?;
                names.iter().zip(fields).try_for_each(|(name, field)| to.serialize_field(name, field))?;
                to.end()
            }
            Thing::UnitVariant(name, number, variant) => to.serialize_unit_variant(name, *number, variant),
            Thing::NewtypeVariant(name, number, variant, inner) => {
                to.serialize_newtype_variant(name, *number, variant, inner)
            }
            Thing::TupleVariant(name, number, variant, parts) => {
                let mut to = to.serialize_tuple_variant(name, *number, variant, parts.len())?;
                parts.iter().try_for_each(|part| to.serialize_field(part))?;
                to.end()
            }
            Thing::StructVariant(name, number, variant, names, fields) => {
                let mut to = to.serialize_struct_variant(name, *number, variant, fields.len())?;
                names.iter().zip(fields).try_for_each(|(name, field)| to.serialize_field(name, field))?;
                to.end()
            }
            Thing::List(elements) => {
                let mut to = to.serialize_seq(Some(elements.len()))?;
                elements.iter().try_for_each(|element| to.serialize_element(element))?;
                to.end()
            }
            Thing::Map(entries) => {
                let mut to = to.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| to.serialize_entry(key, value))?;
                to.end()
            }
        }
    }
}

/// Makes the requests that a type makes, and keeps nothing.
struct Asking<'t>(&'t Type);

impl<'de> DeserializeSeed<'de> for Asking<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.0 {
            Type::Leaf(0) => u8::deserialize(from).map(drop),
            Type::Leaf(1) => u16::deserialize(from).map(drop),
            Type::Leaf(2) => u32::deserialize(from).map(drop),
            Type::Leaf(3) => u64::deserialize(from).map(drop),
            Type::Leaf(4) => u128::deserialize(from).map(drop),
            Type::Leaf(5) => i8::deserialize(from).map(drop),
            Type::Leaf(6) => i16::deserialize(from).map(drop),
            Type::Leaf(7) => i32::deserialize(from).map(drop),
            Type::Leaf(8) => i64::deserialize(from).map(drop),
            Type::Leaf(9) => i128::deserialize(from).map(drop),
            Type::Leaf(10) => f32::deserialize(from).map(drop),
            Type::Leaf(11) => f64::deserialize(from).map(drop),
            Type::Leaf(12) => bool::deserialize(from).map(drop),
            Type::Leaf(13) => char::deserialize(from).map(drop),
            Type::Leaf(14) => String::deserialize(from).map(drop),
            Type::Leaf(_) => from.deserialize_byte_buf(self),
            Type::Unit => from.deserialize_unit(self),
            Type::UnitStruct(name) => from.deserialize_unit_struct(name, self),
            Type::Option(_) => from.deserialize_option(self),
            Type::Newtype(name, _) => from.deserialize_newtype_struct(name, self),
            Type::Tuple(parts) => from.deserialize_tuple(parts.len(), self),
            Type::TupleStruct(name, parts) => from.deserialize_tuple_struct(name, parts.len(), self),
            Type::Struct(name, names, _) => from.deserialize_struct(name, names, self),
            Type::Enum(name, variants, _) => from.deserialize_enum(name, variants, self),
            Type::List(_) => from.deserialize_seq(self),
            Type::Map(..) => from.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Asking<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was written")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_byte_buf<E>(self, _: Vec<u8>) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Type::Option(inner) = self.0 else { panic!("no option") };
        Asking(inner).deserialize(from)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Type::Newtype(_, inner) = self.0 else { panic!("no newtype") };
        Asking(inner).deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, from: A) -> Result<(), A::Error> {
        match self.0 {
            Type::List(element) => {
                let mut from = from;
                while from.next_element_seed(Asking(element))?.is_some() {}
                Ok(())
            }
            Type::Tuple(parts) | Type::TupleStruct(_, parts) | Type::Struct(_, _, parts) => Row(parts).visit_seq(from),
            other => panic!("{other:?} is not a list"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let Type::Map(key, value) = self.0 else { panic!("no map") };
        while from.next_key_seed(Asking(key))?.is_some() {
            from.next_value_seed(Asking(value))?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, from: A) -> Result<(), A::Error> {
        let Type::Enum(_, _, contents) = self.0 else { panic!("no enum") };
        let (number, from) = from.variant_seed(Number)?;
        match &contents[number as usize] {
            Content::Unit => from.unit_variant(),
            Content::Newtype(inner) => from.newtype_variant_seed(Asking(inner)),
            Content::Tuple(parts) => from.tuple_variant(parts.len(), Row(parts)),
            Content::Struct(names, parts) => from.struct_variant(names, Row(parts)),
        }
    }
}

/// One part after another.
struct Row<'t>(&'t [Type]);

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        self.0.iter().try_for_each(|part| from.next_element_seed(Asking(part)).map(|part| assert!(part.is_some())))
    }
}

/// The number of a variant.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<u64, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Number {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }
}

/// The value that must be shown, and whether serde_json writes the same.
fn expected(thing: &Thing) -> (Value, bool) {
    let all = |things: &[Thing]| {
        let (values, plain): (Vec<Value>, Vec<bool>) = things.iter().map(expected).unzip();
        (values, plain.into_iter().all(|plain| plain))
    };
    let fields = |names: Names, things: &[Thing]| {
        let (values, plain) = all(things);
        (Value::Object(names.iter().map(|name| (*name).to_owned()).zip(values).collect()), plain)
    };
    let number = |number: String| (json!({ "$number": number }), false);
    match thing {
        Thing::U128(value) if *value > u64::MAX.into() => number(value.to_string()),
        Thing::I128(value) if *value > u64::MAX.into() || *value < i64::MIN.into() => number(value.to_string()),
        Thing::F32(value) if value.is_nan() => number("NaN".to_owned()),
        Thing::F64(value) if value.is_nan() => number("NaN".to_owned()),
        Thing::F32(f32::INFINITY) | Thing::F64(f64::INFINITY) => number("Infinity".to_owned()),
        Thing::F32(f32::NEG_INFINITY) | Thing::F64(f64::NEG_INFINITY) => number("-Infinity".to_owned()),
        Thing::Bytes(bytes) => {
            (json!({ "$bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }), false)
        }
        Thing::Option(Some(inner)) => match (expected(inner), without_newtypes(inner)) {
            ((Value::Null, _), _) => (json!({ "$some": null }), false),
            ((value, _), Thing::Option(_)) if value.get("$some").is_some() => (json!({ "$some": value }), false),
            (expected, _) => expected,
        },
        Thing::Newtype(_, inner) => expected(inner),
        Thing::Tuple(parts) | Thing::TupleStruct(_, parts) | Thing::List(parts) => {
            let (values, plain) = all(parts);
            (values.into(), plain)
        }
        Thing::Struct(_, names, parts) => fields(names, parts),
        Thing::NewtypeVariant(_, _, variant, inner) => {
            let (value, plain) = expected(inner);
            (json!({ *variant: value }), plain)
        }
        Thing::TupleVariant(_, _, variant, parts) => {
            let (values, plain) = all(parts);
            (json!({ *variant: values }), plain)
        }
        Thing::StructVariant(_, _, variant, names, parts) => {
            let (value, plain) = fields(names, parts);
            (json!({ *variant: value }), plain)
        }
        Thing::Map(entries) => {
            let keys: Option<Vec<String>> = entries.iter().map(|(key, _)| key_of(key)).collect();
            let distinct = keys.filter(|keys| keys.iter().collect::<BTreeSet<_>>().len() == keys.len());
            let values = entries.iter().map(|(_, value)| expected(value));
            match distinct {
                Some(keys) => {
                    let (values, plain): (Vec<Value>, Vec<bool>) = values.unzip();
                    let plain = plain.into_iter().all(|plain| plain)
                        && !entries
                            .iter()
                            .any(|(key, _)| matches!(without_newtypes(key), Thing::U128(_) | Thing::I128(_)));
                    (Value::Object(keys.into_iter().zip(values).collect()), plain)
                }
                None => {
                    let pairs = entries.iter().map(|(key, _)| expected(key).0).zip(values);
                    (json!({ "$map": pairs.map(|(key, (value, _))| json!([key, value])).collect::<Vec<_>>() }), false)
                }
            }
        }
        plain => (serde_json::to_value(plain).unwrap(), true),
    }
}

fn without_newtypes(thing: &Thing) -> &Thing {
    match thing {
        Thing::Newtype(_, inner) => without_newtypes(inner),
        thing => thing,
    }
}

fn key_of(key: &Thing) -> Option<String> {
    match without_newtypes(key) {
        Thing::U128(number) => Some(number.to_string()),
        Thing::I128(number) => Some(number.to_string()),
        Thing::Text(text) => Some(text.clone()),
        Thing::Char(char) => Some(char.to_string()),
        Thing::UnitVariant(_, _, variant) => Some((*variant).to_owned()),
        Thing::F32(_) | Thing::F64(_) | Thing::Option(_) => None,
        other => match serde_json::to_value(other) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            _ => None,
        },
    }
}

#[test]
fn a_random_value_of_a_random_type_is_shown_as_it_is() {
    let mut shown = 0;
    for seed in 1..1_500u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let of = random_type(&mut dice, 5);
        for _ in 0..4 {
            let thing = thing(&mut dice, &of);
            let bytes = bincode::serde::encode_to_vec(&thing, BINCODE).unwrap();
            let mut decoder = bincode::serde::BorrowedSerdeDecoder::from_slice(&bytes, BINCODE, ());
            let text = Recorder::lend(Form::Marked, bytes.len(), |recorder| {
                let inner = decoder.as_deserializer();
                Asking(&of).deserialize(Recording { inner, recorder: &mut *recorder }).unwrap();
                recorder.text().to_owned()
            });
            let (value, plain) = expected(&thing);
            if plain {
                assert_eq!(serde_json::to_value(&thing).unwrap(), value, "seed {seed}");
            }
            match show(Codec::Bincode, Some(&text), &bytes) {
                Ok(found) => {
                    assert!(found == value, "seed {seed}: {text}");
                    shown += 1;
                }
                Err(why) => panic!("seed {seed}: {why} {text}"),
            }
            // If it is damaged, it is another value or an error.
            let mut damaged = bytes.clone();
            if let Some(at) = (!damaged.is_empty()).then(|| dice.below(bytes.len())) {
                damaged[at] ^= 1 << dice.below(8);
            }
            let _ = show(Codec::Bincode, Some(&text), &damaged);
            let cut: String = text.chars().take(dice.below(text.len())).collect();
            let _ = show(Codec::Bincode, Some(&cut), &bytes);
        }
    }
    assert!(shown > 5_900, "{shown}");
}
