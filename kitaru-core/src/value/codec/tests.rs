//! Values to bytes and back, the traps of bincode included.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use serde::Deserialize;
use serde::ser::{SerializeSeq, Serializer};
use serde_json::{Value, json};

use super::*;

const ENOUGH: usize = 64 << 20;

/// Encodes and decodes the value. The codec is the expected one, and the value is the same.
fn round<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, by: Codec) -> Encoded {
    let (encoded, back) = encode(&value, CodecWish::Bincode, ENOUGH).unwrap();
    assert_eq!(encoded.codec, by, "{value:?}");
    assert_eq!(back, value);
    let fingerprint = encoded.shape.as_ref().map_or(0, |shape| shape.fingerprint);
    assert_eq!(decode::<T>(by, fingerprint, &encoded.bytes).unwrap(), value);
    let (json, back) = encode(&value, CodecWish::Json, ENOUGH).unwrap();
    assert_eq!((json.codec, json.shape.is_none()), (Codec::Json, true));
    assert_eq!(back, value);
    encoded
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum State {
    Open,
    Paid(u32),
    Lost { by: String },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Order {
    id: u64,
    price: f64,
    lines: Vec<(String, Option<i16>)>,
    by_name: BTreeMap<String, State>,
    initial: char,
}

fn order() -> Order {
    Order {
        id: 1 << 40,
        price: 0.5,
        lines: vec![("a".to_owned(), Some(-300)), ("ß".to_owned(), None)],
        by_name: [("x", State::Open), ("y", State::Paid(7)), ("z", State::Lost { by: "post".to_owned() })]
            .map(|(name, state)| (name.to_owned(), state))
            .into(),
        initial: '水',
    }
}

#[test]
fn plain_values_go_by_bincode() {
    round(7u64, Codec::Bincode);
    round("text".to_owned(), Codec::Bincode);
    round((), Codec::Bincode);
    round(order(), Codec::Bincode);
    round(Some(Box::new(order())), Codec::Bincode);
    round(Ok::<u8, String>(7), Codec::Bincode);
    round((0..100).map(|n| (n.to_string(), n)).collect::<HashMap<String, u32>>(), Codec::Bincode);
    round((0..100).collect::<HashSet<u32>>(), Codec::Bincode);
    round(std::time::Duration::from_millis(1_500), Codec::Bincode);
    round(std::net::IpAddr::from([1, 2, 3, 4]), Codec::Bincode);
    round([i128::MIN, i128::MAX], Codec::Bincode);
    let shape = round(order(), Codec::Bincode).shape.unwrap();
    assert_eq!(
        shape.text,
        "Order{id:u64,price:f64,lines:[<str,?i16>|<str,?>],by_name:{str:Open@0|str:Paid@1(u32)|str:Lost@2{by:str}},initial:char}"
    );
    let (nan, _) = encode(&f64::NAN, CodecWish::Bincode, ENOUGH).unwrap();
    assert_eq!(nan.codec, Codec::Bincode);
}

#[test]
fn values_that_bincode_cannot_read_are_encoded_as_json() {
    round(json!({"a": [1, -2, 0.5, null], "b": {"c": "text"}}), Codec::Json);
    round(json!(null), Codec::Json);
    round((7u8, json!("text")), Codec::Json);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
        Order(Box<Order>),
    }
    round(Untagged::Number(7), Codec::Json);
    round(Untagged::Text("x".to_owned()), Codec::Json);
    round(vec![Untagged::Order(Box::new(order()))], Codec::Json);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "kind")]
    enum Internally {
        Open,
        Paid { amount: u32 },
    }
    round(Internally::Open, Codec::Json);
    round(Internally::Paid { amount: 7 }, Codec::Json);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "kind", content = "of")]
    enum Adjacently {
        Open,
        Paid(u32),
    }
    round(Adjacently::Open, Codec::Json);
    round(Adjacently::Paid(7), Codec::Json);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Flat {
        id: u8,
        #[serde(flatten)]
        order: BTreeMap<String, u32>,
    }
    round(Flat { id: 1, order: BTreeMap::from([("a".to_owned(), 2)]) }, Codec::Json);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Skips {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        id: u32,
    }
    round(Skips { note: None, id: 300 }, Codec::Json);
    round(Skips { note: Some("x".to_owned()), id: 7 }, Codec::Bincode);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Defaults {
        #[serde(default)]
        id: u32,
        #[serde(skip)]
        cache: u8,
    }
    round(Defaults { id: 7, cache: 0 }, Codec::Bincode);
}

#[test]
fn fields_that_shift_into_a_skipped_one_are_detected() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Shifts {
        #[serde(default, skip_serializing_if = "is_zero")]
        a: u8,
        v: Vec<u8>,
    }
    fn is_zero(n: &u8) -> bool {
        *n == 0
    }
    let value = Shifts { a: 0, v: vec![1, 0] };
    let bytes = bincode::serde::encode_to_vec(&value, BINCODE).unwrap();
    let (wrong, used): (Shifts, usize) = bincode::serde::decode_from_slice(&bytes, BINCODE).unwrap();
    assert_eq!((wrong, used), (Shifts { a: 2, v: vec![0] }, bytes.len()), "bincode by itself finds nothing wrong");
    round(value, Codec::Json);
    round(Shifts { a: 1, v: vec![1, 0] }, Codec::Bincode);
}

#[test]
fn a_variant_that_is_skipped_does_not_make_its_neighbour_of_another() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Skips {
        #[serde(skip)]
        #[allow(dead_code)]
        Never,
        First,
        Second,
    }
    round(Skips::First, Codec::Json);
    round(vec![Skips::Second, Skips::First], Codec::Json);
}

/// Why a value is not recorded.
fn refused<T: Serialize + DeserializeOwned>(value: &T, wish: CodecWish) -> Undecodable {
    match encode(value, wish, ENOUGH) {
        Err(EncodeError::Unreadable(unreadable)) => unreadable,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was kept"),
    }
}

/// A set of another crate, whose `Serialize` is written by hand.
#[derive(Debug, Deserialize)]
struct ByHand(HashSet<u32>);

impl Serialize for ByHand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|item| seq.serialize_element(item))?;
        seq.end()
    }
}

#[test]
fn a_set_that_comes_back_in_another_order_is_kept() {
    for turn in 0..5 {
        let set = ByHand((turn..turn + 100).collect());
        let (_, back) = encode(&set, CodecWish::Bincode, ENOUGH).unwrap();
        assert_eq!(back.0, set.0);
        let (_, back) = encode(&set, CodecWish::Json, ENOUGH).unwrap();
        assert_eq!(back.0, set.0);
    }
}

#[test]
fn floats_and_nulls_that_json_changes_without_harm_are_kept() {
    let floats: Vec<f64> = (1..2_000).map(|n| f64::from(n).sqrt() * 1e-7).collect();
    encode(&floats, CodecWish::Json, ENOUGH).unwrap();
    let (_, back) = encode(&Some(Value::Null), CodecWish::Bincode, ENOUGH).unwrap();
    assert_eq!(back, None);
    #[derive(Serialize, Deserialize)]
    struct Reply {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
    }
    encode(&Reply { body: Some(Value::Null) }, CodecWish::Bincode, ENOUGH).unwrap();
}

/// A decimal number as its crate reads and writes it: as a text of any type, and without the sign of a zero.
#[derive(Debug, PartialEq, Clone)]
struct Decimal(String);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                // One that grows changes whenever it is read.
                let grown = if text.starts_with("grows") { format!("{text}!") } else { text.to_owned() };
                Ok(Decimal(if text == "-0" { "0".to_owned() } else { grown }))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[test]
fn value_that_reads_as_itself_the_second_time_is_kept_as_read() {
    for wish in [CodecWish::Bincode, CodecWish::Json] {
        let (encoded, back) = encode(&Decimal("-0".into()), wish, ENOUGH).unwrap();
        assert_eq!(back, Decimal("0".into()), "the flow receives what a replay reads");
        assert_eq!(decode::<Decimal>(encoded.codec, 0, &encoded.bytes).unwrap(), back);
        let all = BTreeMap::from([("a".to_owned(), vec![Some(Decimal("-0".into())), None])]);
        assert_eq!(encode(&all, wish, ENOUGH).unwrap().1["a"], [Some(Decimal("0".into())), None]);
        let Undecodable { at, why, .. } = refused(&(1, vec![Decimal("1".into()), Decimal("grows".into())]), wish);
        assert_eq!(at.as_deref(), Some("[1][1]"), "{why}");
        assert!(why.starts_with("json: what was written reads as another value"), "{why}");
    }
}

#[test]
fn a_part_that_json_would_lose_is_refused_with_its_path() {
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(tag = "type")]
    enum Tagged {
        Measured { value: f64 },
        Perhaps { value: Option<f64> },
        Done { at: Option<()> },
        Twice { at: Option<Option<u8>> },
        Large { n: u128 },
    }
    #[derive(Serialize, Deserialize, Debug)]
    struct Log {
        name: String,
        entries: Vec<Tagged>,
    }
    #[derive(Serialize, Deserialize, Debug)]
    struct Flat {
        #[serde(flatten)]
        rest: Rest,
    }
    #[derive(Serialize, Deserialize, Debug)]
    struct Rest {
        done: Option<()>,
    }
    let log = |bad: Tagged| Log {
        name: "a \"quoted\" [name]".into(),
        entries: vec![Tagged::Perhaps { value: Some(0.5) }, Tagged::Done { at: None }, bad],
    };
    let nothing = "JSON has the same null for `None` as for `Some(None)` and `Some(())`";
    let number = "JSON has neither NaN nor infinity";
    for (bad, at, why) in [
        (Tagged::Measured { value: f64::NAN }, ".value", number),
        (Tagged::Measured { value: f64::INFINITY }, ".value", number),
        (Tagged::Perhaps { value: Some(f64::NAN) }, ".value", number),
        (Tagged::Done { at: Some(()) }, ".at", nothing),
        (Tagged::Twice { at: Some(None) }, ".at", nothing),
        (Tagged::Large { n: u128::MAX }, ".n", "a number over 64 bits"),
    ] {
        let refused = refused(&log(bad), CodecWish::Bincode);
        assert_eq!(refused.at, Some(format!(".entries[2]{at}")), "{}", refused.why);
        assert!(refused.why.contains(why), "{}", refused.why);
        assert!(refused.of.ends_with("Log"), "{}", refused.of);
    }
    assert!(encode(&log(Tagged::Twice { at: Some(Some(1)) }), CodecWish::Bincode, ENOUGH).is_ok());
    let lost = refused(&Flat { rest: Rest { done: Some(()) } }, CodecWish::Bincode);
    assert_eq!(lost.at.as_deref(), Some(".done"), "{}", lost.why);

    let keys = refused(&(json!(1), HashMap::from([((1, 2), 3)])), CodecWish::Bincode);
    assert_eq!(keys.at.as_deref(), Some("[1]"), "{}", keys.why);
    assert!(keys.why.starts_with("json: a key of a map in JSON is a text or a number"), "{}", keys.why);
}

#[test]
fn value_that_no_codec_gives_back_has_the_error_of_each() {
    #[derive(Serialize, Deserialize, Debug)]
    struct OneWay {
        #[serde(skip_serializing)]
        #[allow(dead_code)]
        id: u32,
        other: String,
    }
    let Undecodable { at, why, .. } = refused(&OneWay { id: 1, other: "xy".into() }, CodecWish::Bincode);
    assert_eq!(at.as_deref(), Some(""), "what is not there has no path");
    assert_eq!(why, "json: missing field `id` at line 1 column 14; bincode: the bytes end before the value does");
    let Undecodable { of, why, .. } = refused(&f64::NAN, CodecWish::Json);
    assert_eq!(of, "f64");
    assert!(why.starts_with("json: JSON has neither NaN nor infinity (invalid type: null"), "{why}");

    // JSON reads it as `None`.
    let lost = (Some(None::<u8>), json!(1));
    let Undecodable { at, why, .. } = refused(&lost, CodecWish::Bincode);
    assert_eq!(at.as_deref(), Some("[0]"));
    assert!(why.contains("json: what was written reads as another value: JSON has the same null"), "{why}");

    #[derive(Serialize, Deserialize, Debug)]
    #[serde(untagged)]
    enum Overlap {
        Short { id: u8 },
        Long { id: u8, more: u8 },
    }
    assert!(encode(&Overlap::Short { id: 1 }, CodecWish::Bincode, ENOUGH).is_ok());
    assert!(encode(&Overlap::Long { id: 1, more: 2 }, CodecWish::Bincode, ENOUGH).is_err());
}

#[test]
fn a_value_that_refuses_to_be_written_is_unreadable() {
    #[derive(Debug, Deserialize)]
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("a socket cannot be kept"))
        }
    }
    assert_eq!(refused(&Refuses, CodecWish::Bincode).why, "a socket cannot be kept");
}

#[test]
fn value_over_the_bound_is_refused_with_its_size() {
    let text = "x".repeat(1_000);
    for wish in [CodecWish::Bincode, CodecWish::Json] {
        let (fits, _) = encode(&text, wish, 2_000).unwrap();
        assert!(encode(&text, wish, fits.bytes.len()).is_ok());
        let limit = fits.bytes.len() - 1;
        let Err(EncodeError::TooLarge { size, limit: told }) = encode(&text, wish, limit) else {
            panic!("it was kept")
        };
        assert_eq!((size, told), (fits.bytes.len(), limit));
    }
    let mut out = Bounded::new(10);
    (0..100).for_each(|_| out.put(&[0; 100]));
    assert_eq!((out.size, out.bytes.capacity()), (10_000, 0), "it is counted, not stored");
}

#[test]
fn bytes_of_another_shape_are_refused_with_the_requested_shape() {
    let encoded = round((1u32, 2u32), Codec::Bincode);
    let fingerprint = encoded.shape.unwrap().fingerprint;
    let Err(DecodeError::Shape { found }) = decode::<[u8; 2]>(Codec::Bincode, fingerprint, &encoded.bytes) else {
        panic!("it was read");
    };
    assert_eq!(found, "<u8*2>");
    let Err(why) = decode::<(u32, u32, ())>(Codec::Bincode, fingerprint, &encoded.bytes) else { panic!("it was read") };
    assert_eq!(why.to_string(), "it was recorded in another shape than the one asked for now, `<u32*2,()>`");
}

#[test]
fn type_with_an_added_field_is_refused_by_bincode_and_read_by_json() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Old {
        id: u8,
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct New {
        id: u8,
        #[serde(default)]
        note: Option<String>,
    }
    let (bincode, _) = encode(&Old { id: 1 }, CodecWish::Bincode, ENOUGH).unwrap();
    let fingerprint = bincode.shape.unwrap().fingerprint;
    let Err(DecodeError::Malformed(why)) = decode::<New>(Codec::Bincode, fingerprint, &bincode.bytes) else {
        panic!("it was read");
    };
    assert_eq!(why, "the bytes end before the value does");
    let (json, _) = encode(&Old { id: 1 }, CodecWish::Json, ENOUGH).unwrap();
    assert_eq!(decode::<New>(Codec::Json, 0, &json.bytes).unwrap(), New { id: 1, note: None });
}

#[test]
fn bytes_left_over_are_refused() {
    for (wish, codec) in [(CodecWish::Bincode, Codec::Bincode), (CodecWish::Json, Codec::Json)] {
        let (encoded, _) = encode(&order(), wish, ENOUGH).unwrap();
        let fingerprint = encoded.shape.map_or(0, |shape| shape.fingerprint);
        let longer = [&encoded.bytes[..], &[0, 0]].concat();
        match decode::<Order>(codec, fingerprint, &longer) {
            Err(DecodeError::Leftover { bytes: 2 }) => assert_eq!(codec, Codec::Bincode),
            Err(DecodeError::Malformed(_)) => assert_eq!(codec, Codec::Json),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(DecodeError::Leftover { bytes: 2 }.to_string(), "2 bytes are left over behind it");
}

/// Bytes cut short are refused. Bytes with other damage are refused, or are a value.
fn damage<T: Serialize + DeserializeOwned + Debug>(value: T) {
    for wish in [CodecWish::Bincode, CodecWish::Json] {
        let (encoded, _) = encode(&value, wish, ENOUGH).unwrap();
        let fingerprint = encoded.shape.map_or(0, |shape| shape.fingerprint);
        let read = |bytes: &[u8]| decode::<T>(encoded.codec, fingerprint, bytes);
        for len in 0..encoded.bytes.len() {
            assert!(read(&encoded.bytes[..len]).is_err(), "{len} bytes of {value:?}");
        }
        for bit in 0..encoded.bytes.len() * 8 {
            let mut flipped = encoded.bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Many flips make another value of the same shape. The frame's checksum detects those.
            let _ = read(&flipped);
        }
    }
}

#[test]
fn damaged_bytes_are_refused_or_are_a_value_and_never_a_panic() {
    damage(order());
    damage("a text with ß".to_owned());
    damage(vec![Some(u64::MAX), None, Some(300)]);
    damage((State::Open, State::Paid(1 << 30), State::Lost { by: "x".to_owned() }));
    damage(HashMap::from([("a".to_owned(), vec![1u16, 2]), ("b".to_owned(), vec![])]));
    damage([std::time::Duration::MAX; 2]);
    damage((vec![[(); 3]; 4], i128::MIN, '🦀', f32::MAX));
    damage((json!({"a": [1, null, "x"]}), 7u8));
}

#[test]
fn a_damaged_length_reserves_nothing() {
    for len in [1u64 << 40, 1 << 62, u64::MAX] {
        let bytes = [&[253][..], &len.to_le_bytes(), b"abc"].concat();
        assert!(decode::<String>(Codec::Bincode, 0, &bytes).is_err());
        assert!(decode::<Vec<u64>>(Codec::Bincode, 0, &bytes).is_err());
        assert!(decode::<HashMap<String, Vec<u8>>>(Codec::Bincode, 0, &bytes).is_err());
    }
}

#[test]
fn a_value_nested_too_deep_is_refused_by_both_codecs() {
    #[derive(Serialize, Deserialize, Debug)]
    struct Nest(Vec<Nest>);
    let nest = |depth: u32| (0..depth).fold(Nest(vec![]), |inner, _| Nest(vec![inner]));
    assert_eq!(encode(&nest(60), CodecWish::Bincode, ENOUGH).unwrap().0.codec, Codec::Bincode);
    assert_eq!(encode(&nest(100), CodecWish::Bincode, ENOUGH).unwrap().0.codec, Codec::Json);
    assert_eq!(encode(&nest(126), CodecWish::Bincode, ENOUGH).unwrap().0.codec, Codec::Json);
    for depth in [127, 150, 3_000] {
        for wish in [CodecWish::Bincode, CodecWish::Json] {
            assert_eq!(refused(&nest(depth), wish).why, "it is nested deeper than 128 levels");
        }
    }
}

#[test]
fn a_codec_is_known_by_its_number() {
    assert_eq!(Codec::from_u8(Codec::Bincode as u8), Some(Codec::Bincode));
    assert_eq!(Codec::from_u8(Codec::Json as u8), Some(Codec::Json));
    assert_eq!(Codec::from_u8(Codec::Unmarked as u8), Some(Codec::Unmarked));
    assert_eq!([Codec::Unmarked as u8, Codec::Json as u8, Codec::Bincode as u8], [0, 1, 2]);
    assert_eq!(Codec::from_u8(3), None);
}

// These bytes and fingerprints are in existing stores.
#[test]
fn the_bytes_and_fingerprints_are_those_that_were_published() {
    let encoded = round(order(), Codec::Bincode);
    let hex: String = encoded.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((hex.as_str(), encoded.shape.unwrap().fingerprint), GOLDEN);
}

#[test]
fn record_with_a_plain_shape_is_read_and_one_of_another_shape_refused() {
    let bytes = round(order(), Codec::Bincode).bytes;
    assert_eq!(decode::<Order>(Codec::Unmarked, PLAIN, &bytes).unwrap(), order());
    let Err(DecodeError::Shape { found }) = decode::<Order>(Codec::Unmarked, GOLDEN.1, &bytes) else {
        panic!("it was read")
    };
    assert_eq!(
        found,
        "Order{id:u64,price:f64,lines:[(str,?i16)|(str,?)],by_name:{str:Open|str:Paid(u32)|str:Lost{by:str}},initial:char}"
    );
    assert!(decode::<Order>(Codec::Bincode, PLAIN, &bytes).is_err());
}

const GOLDEN: (&str, u64) = (
    "fd0000000000010000000000000000e03f02016101fb570202c39f000301780001790107017a0204706f7374e6b0b4",
    936_811_509_931_214_713,
);

/// The fingerprint that versions before the marked form recorded with those bytes.
const PLAIN: u64 = 17_019_426_410_317_650_187;
