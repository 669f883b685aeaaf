//! Values as JSON: of types as programs have them, of random types, and of bytes and shapes that are damaged.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple};
use serde::ser::{SerializeTupleStruct, SerializeTupleVariant};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::*;
use crate::value::shape::{Form, Recorder, Recording};
use crate::value::{Wish, encode};

const BINCODE: bincode::config::Configuration = bincode::config::standard();

/// What is shown of a value that was recorded.
fn shown<T: Serialize + DeserializeOwned>(value: &T) -> Result<Value, NotShown> {
    let (encoded, _) = encode(value, Wish::Bincode, usize::MAX).expect("it can be encoded");
    show(encoded.codec, encoded.shape.as_ref().map(|shape| &*shape.text), &encoded.bytes)
}

/// It is recorded by bincode, and shown as serde_json writes it.
fn by_bincode<T: Serialize + DeserializeOwned>(value: &T) {
    assert_eq!(encode(value, Wish::Bincode, usize::MAX).expect("it can be encoded").0.codec, Codec::Bincode);
    as_json(value);
}

/// It is shown as serde_json writes it.
fn as_json<T: Serialize + DeserializeOwned>(value: &T) {
    assert_eq!(shown(value), Ok(serde_json::to_value(value).unwrap()));
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum State {
    Open,
    Paid(u32),
    Sent(u8, String),
    Lost { by: String },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Order {
    id: u64,
    lines: Vec<(String, Option<i16>)>,
    state: State,
    by_name: BTreeMap<String, State>,
    initial: char,
    price: f32,
    unit: (),
    below: Vec<Order>,
}

fn order(state: State, below: Vec<Order>) -> Order {
    let by_name = [("x", State::Open), ("y", State::Sent(7, "z".into()))].map(|(name, state)| (name.into(), state));
    Order {
        id: u64::MAX,
        lines: vec![("a".into(), Some(-300)), ("ß".into(), None)],
        state,
        by_name: by_name.into(),
        initial: '水',
        price: 0.1,
        unit: (),
        below,
    }
}

#[test]
fn a_value_is_shown_as_serde_json_writes_it() {
    by_bincode(&7u64);
    by_bincode(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, u8::MAX, u16::MAX, u32::MAX, u64::MAX));
    by_bincode(&("text".to_owned(), 'x', true, 0.1f32, -0.0f64, f64::MAX));
    by_bincode(&State::Lost { by: "post".into() });
    let inner = [State::Open, State::Paid(3), State::Sent(1, "b".into()), State::Lost { by: "c".into() }];
    let orders: Vec<Order> = inner.map(|state| order(state, Vec::new())).into();
    by_bincode(&order(State::Open, vec![order(State::Paid(1), orders.clone()), order(State::Open, orders)]));
    by_bincode(&HashMap::from([(1u8, true), (2, false)]));
    by_bincode(&BTreeMap::from([(true, ()), (false, ())]));
    by_bincode(&BTreeMap::from([('x', [1u8; 3])]));
    by_bincode(&std::time::Duration::from_millis(1_500));
    by_bincode(&Ok::<u8, String>(7));
    by_bincode(&vec![None, Some(vec![Some(1u8), None]), Some(vec![])]);
    by_bincode(&vec![[None, None, Some(1u8)], [Some(1), None, None], [None; 3]]);
    by_bincode(&(u128::from(u64::MAX), i128::from(i64::MIN)));
}

#[test]
fn a_value_that_was_kept_as_json_is_shown_as_that() {
    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[serde(tag = "type", content = "data")]
    enum Event {
        Said(String),
        Paid(u32),
        Moved { from: Option<u8>, to: Vec<Event> },
        Both(u8, State),
    }
    let moved = |from, to| Event::Moved { from, to };
    let inner = vec![Event::Paid(1), moved(None, vec![]), Event::Both(1, State::Open)];
    as_json(&Event::Said("a".into()));
    as_json(&vec![
        Event::Said("a".into()),
        Event::Paid(7),
        moved(Some(1), inner),
        Event::Both(2, State::Paid(1)),
        Event::Both(3, State::Open),
        moved(None, vec![Event::Said("b".into())]),
        Event::Paid(8),
    ]);
}

#[test]
fn what_json_cannot_say_is_an_object_with_one_field() {
    #[derive(Serialize, Deserialize)]
    struct Blob(#[serde(with = "blob")] Vec<u8>);
    mod blob {
        pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(bytes)
        }

        pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
            struct Bytes;
            impl serde::de::Visitor<'_> for Bytes {
                type Value = Vec<u8>;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }

                fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                    Ok(bytes)
                }
            }
            deserializer.deserialize_byte_buf(Bytes)
        }
    }
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "was")]
        is: u8,
        at: u16,
    }
    let number = |number: &str| Ok(json!({ "$number": number }));
    assert_eq!(shown(&u128::MAX), number("340282366920938463463374607431768211455"));
    assert_eq!(shown(&i128::MIN), number("-170141183460469231731687303715884105728"));
    assert_eq!(shown(&(f64::NAN, f32::INFINITY)), Ok(json!([{ "$number": "NaN" }, { "$number": "Infinity" }])));
    assert_eq!(shown(&f64::NEG_INFINITY), number("-Infinity"));
    assert_eq!(shown(&Blob(vec![0, 255, 16])), Ok(json!({ "$bytes": "00ff10" })));
    assert_eq!(shown(&vec![Some(Some(1u8)), Some(None), None]), Ok(json!([1, { "$some": null }, null])));
    assert_eq!(shown(&Some(Some(None::<u8>))), Ok(json!({ "$some": { "$some": null } })));
    assert_eq!(shown(&Some(())), Ok(json!({ "$some": null })));
    assert_eq!(shown(&BTreeMap::from([((1u8, 2u8), 3u8)])), Ok(json!({ "$map": [[[1, 2], 3]] })));
    assert_eq!(shown(&BTreeMap::from([(Some(1u8), 3u8), (None, 4)])), Ok(json!({ "$map": [[null, 4], [1, 3]] })));
    assert_eq!(shown(&BTreeMap::from([(1u128 << 64, 1u8)])), Ok(json!({ "18446744073709551616": 1 })));
    assert_eq!(shown(&std::net::IpAddr::from([127, 0, 0, 1])), Ok(json!({ "V4": [127, 0, 0, 1] })));
    assert_eq!(shown(&Renamed { is: 1, at: 2 }), Ok(json!([1, 2])));
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(vec![0x66, 0xff]);
        assert_eq!(shown(&name), Ok(json!({ "Unix": [0x66, 0xff] })));
    }
}

#[test]
fn a_value_that_is_too_large_is_not_shown_and_says_so() {
    assert_eq!(shown(&vec![0u8; MOST_PARTS]), Err(NotShown::TooLarge));
    assert!(shown(&vec![0u8; MOST_PARTS - 1]).is_ok());
    assert_eq!(shown(&"x".repeat(MOST_BYTES + 1)), Err(NotShown::TooLarge));
    assert!(shown(&"x".repeat(MOST_BYTES)).is_ok());
    let json = |text: String| show(Codec::Json, None, text.as_bytes());
    assert_eq!(json(format!("[{}0]", "0,".repeat(MOST_PARTS))), Err(NotShown::TooLarge));
    assert_eq!(json(format!("\"{}\"", ",".repeat(MOST_PARTS))), Ok(",".repeat(MOST_PARTS).into()));
    assert_eq!(json(format!("\"{}\"", ",".repeat(MOST_BYTES))), Err(NotShown::TooLarge));
    assert_eq!(json("[".repeat(1 << 10)), Err(NotShown::Unreadable));
}

#[test]
fn what_is_shown_can_be_read_by_serde_json_however_deep_it_is() {
    fn levels(value: &Value) -> usize {
        match value {
            Value::Array(all) => 1 + all.iter().map(levels).max().unwrap_or(0),
            Value::Object(all) => 1 + all.values().map(levels).max().unwrap_or(0),
            _ => 0,
        }
    }
    // A map that is a list of pairs takes three levels of JSON and one of the value.
    for (kinds, most) in [("[", 127), ("{f64:", 42)] {
        for depth in [most, most + 1] {
            let close = if kinds == "[" { "]" } else { "}" };
            let text = format!("{}{}{}", kinds.repeat(depth), "?", close.repeat(depth));
            let one: &[u8] = if kinds == "[" { &[1] } else { &[1, 0, 0, 0, 0, 0, 0, 0, 0] };
            let shown = show(Codec::Bincode, Some(&text), &[one.repeat(depth), vec![0]].concat());
            match depth == most {
                true => {
                    let shown = shown.unwrap();
                    assert_eq!(levels(&shown), if kinds == "[" { 127 } else { 126 });
                    assert_eq!(serde_json::from_str::<Value>(&shown.to_string()).unwrap(), shown);
                }
                false => assert_eq!(shown, Err(NotShown::TooLarge)),
            }
        }
    }
}

#[test]
fn a_shape_that_was_cut_says_so() {
    // Each tree is written out.
    #[derive(Serialize, Deserialize)]
    struct Tree(u8, Option<Box<Tree>>, Option<Box<Tree>>);
    fn tree(depth: u8) -> Tree {
        let below = |less: u8| (depth >= less).then(|| Box::new(tree(depth - less)));
        Tree(depth, below(1), below(2))
    }
    as_json(&tree(6));
    assert!(shown(&tree(16)) == Err(NotShown::Cut));
    #[derive(Serialize, Deserialize, Clone)]
    enum Any {
        One(Vec<Any>),
        Two(Box<Any>, Box<Any>),
        None,
    }
    fn any(seed: u64, depth: u32) -> Any {
        let below = |nth| any(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(nth) >> 1, depth - 1);
        match (depth, seed % 2) {
            (0, _) => Any::None,
            (_, 0) => Any::One((0..3).map(below).collect()),
            _ => Any::Two(below(1).into(), below(2).into()),
        }
    }
    let many: Vec<Any> = (0..400).map(|nth| any(nth * 977, 5)).collect();
    // What is beyond the bound is of the same parts.
    as_json(&many);
    let mut more = vec![Any::None; 0];
    more.extend((0..400).map(|nth| Any::One(vec![Any::Two(any(nth * 977, 4).into(), any(nth, 3).into())])));
    more.push(any(2, 7));
    assert!(matches!(shown(&more), Ok(_) | Err(NotShown::Cut)));
}

#[test]
fn a_record_of_an_earlier_version_is_not_shown_and_says_so() {
    assert_eq!(show(Codec::Unmarked, Some("u64"), &[7]), Err(NotShown::Earlier));
    assert_eq!(show(Codec::Json, None, br#"{"a":[1,null]}"#), Ok(json!({ "a": [1, null] })));
}

#[test]
fn no_length_or_depth_in_damaged_bytes_or_shapes_is_believed() {
    let length = |len: u64| [&[253][..], &len.to_le_bytes()].concat();
    for len in [1 << 40, 1 << 62, u64::MAX] {
        for text in ["[()]", "[u8]", "[<>]", "str", "bytes", "{():()}", "[[()]]"] {
            assert!(show(Codec::Bincode, Some(text), &length(len)).is_err(), "{text}");
        }
    }
    for text in ["<()*18446744073709551615>", "<<()*4294967296>*4294967296>"] {
        assert_eq!(show(Codec::Bincode, Some(text), &[]), Err(NotShown::TooLarge));
    }
    for sign in ["[", "<", "?", "{", "a(", "a@0(", "a{b:", "{():", "a@0<"] {
        assert!(show(Codec::Bincode, Some(&sign.repeat(10_000)), &[1; 10_000]).is_err());
        let _ = show(Codec::Bincode, Some(&format!("{}u8", sign.repeat(100))), &[1; 10_000]);
    }
    // Lists of many shapes, none of which the others fit.
    let tagged =
        |nth: usize| format!("a{{t:x@{nth},u:a{{t:x@{nth},u:{}}}}}", if nth.is_multiple_of(2) { "u8" } else { "str" });
    let many = (0..1_000).map(tagged).collect::<Vec<_>>().join("|");
    let _ = show(Codec::Bincode, Some(&format!("[{many}]")), &[1, 251, 0xe7, 3, 251, 0xe7, 3, 1, 65]);
    let nested = (0..60).fold("u8".to_owned(), |inner, nth| format!("[a{{t:x@{nth},u:{inner}}}|a{{t:y@99,u:str}}]"));
    let _ = show(Codec::Bincode, Some(&nested), &[1; 500]);
}

#[test]
fn bytes_that_do_not_fit_their_shape_are_no_value() {
    for (text, bytes) in [
        ("u8", &[][..]),
        ("u8", &[1, 2]),
        ("bool", &[2]),
        ("?u8", &[2, 1]),
        ("?", &[1, 1]),
        ("str", &[1, 0xff]),
        ("char", &[0xff]),
        ("a@0", &[1]),
        ("[]", &[1, 1]),
        ("any", &[]),
        ("", &[]),
        ("u8x", &[1]),
        ("[u8|str]", &[1, 1]),
        ("[a{x:u8,y:u8}|a{x:u8,y:str}]", &[1, 1, 1]),
        ("a@4294967296", &[0]),
        ("u8\\", &[1]),
    ] {
        assert_eq!(show(Codec::Bincode, Some(text), bytes), Err(NotShown::Unreadable), "{text} {bytes:?}");
    }
    assert_eq!(show(Codec::Bincode, None, &[1]), Err(NotShown::Unreadable));
}

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

/// Asks for what a type asks for, and keeps nothing of it.
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
            other => panic!("{other:?} is no list"),
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

/// What has to be shown, and whether serde_json writes the same.
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
            // Damaged, it is something else or nothing.
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
