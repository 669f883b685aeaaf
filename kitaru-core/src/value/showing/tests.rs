//! Values as JSON: of types as programs have them, and of bytes and shapes that are damaged.

mod random;

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::value::{CodecWish, encode};

/// A recorded value as it is shown.
fn shown<T: Serialize + DeserializeOwned>(value: &T) -> Result<Value, NotShown> {
    let (encoded, _) = encode(value, CodecWish::Bincode, usize::MAX).expect("it can be encoded");
    show(encoded.codec, encoded.shape.as_ref().map(|shape| &*shape.text), &encoded.bytes)
}

/// It is recorded by bincode, and shown as serde_json writes it.
fn by_bincode<T: Serialize + DeserializeOwned>(value: &T) {
    assert_eq!(encode(value, CodecWish::Bincode, usize::MAX).expect("it can be encoded").0.codec, Codec::Bincode);
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
fn part_that_json_cannot_express_is_an_object_with_one_field() {
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
fn variant_is_shown_by_its_number_if_its_name_is_ambiguous() {
    #[derive(Serialize, Deserialize)]
    enum State {
        #[serde(alias = "Closed")]
        Open,
        Paid(u32),
        Lost {
            by: char,
        },
    }
    // serde lists `Closed`, `Open`, `Paid`, `Lost`.
    assert_eq!(shown(&State::Open), Ok(json!("0")));
    assert_eq!(shown(&vec![State::Lost { by: 'x' }, State::Paid(7)]), Ok(json!([{ "2": { "by": "x" } }, { "1": 7 }])));
    for _ in 0..2 {
        let (encoded, back) = encode(&State::Paid(7), CodecWish::Bincode, usize::MAX).unwrap();
        let shape = encoded.shape.unwrap();
        assert_eq!(shape.text, "Open@1(u32)!");
        assert_eq!(shape.fingerprint, crate::value::shape::fingerprint("Open@1(u32)"));
        assert!(matches!(back, State::Paid(7)));
        let again = crate::value::decode::<State>(encoded.codec, shape.fingerprint, &encoded.bytes);
        assert!(matches!(again, Ok(State::Paid(7))));
    }
    assert_eq!(show(Codec::Bincode, Some("?!"), &[0]), Ok(Value::Null));
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
fn shown_value_is_read_by_serde_json_at_any_depth() {
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
    // The elements beyond the bound have the same parts.
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
fn lengths_and_depths_in_damaged_bytes_and_shapes_are_bounded() {
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
    // Lists of many shapes, each of which fits no other.
    let tagged =
        |nth: usize| format!("a{{t:x@{nth},u:a{{t:x@{nth},u:{}}}}}", if nth.is_multiple_of(2) { "u8" } else { "str" });
    let many = (0..1_000).map(tagged).collect::<Vec<_>>().join("|");
    let _ = show(Codec::Bincode, Some(&format!("[{many}]")), &[1, 251, 0xe7, 3, 251, 0xe7, 3, 1, 65]);
    let nested = (0..60).fold("u8".to_owned(), |inner, nth| format!("[a{{t:x@{nth},u:{inner}}}|a{{t:y@99,u:str}}]"));
    let _ = show(Codec::Bincode, Some(&nested), &[1; 500]);
}

#[test]
fn bytes_that_do_not_fit_their_shape_are_not_a_value() {
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
