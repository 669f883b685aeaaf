//! Which values count as equal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};

use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, Serializer};

use super::*;

fn key<T: Serialize + ?Sized>(value: &T) -> Key {
    let mut canon = Canon::default();
    canon.arg(value).unwrap();
    canon.key(&[b"checkpoint", b"1"])
}

fn hex(key: Key) -> String {
    key.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize)]
struct Order {
    id: u64,
    note: Option<String>,
    state: State,
}

#[derive(Serialize)]
enum State {
    Open,
    Paid(u32),
    Sent(u8, u8),
    Lost { by: String },
}

#[derive(Serialize)]
#[serde(transparent)]
struct Tags {
    tags: HashSet<String>,
}

#[derive(Serialize)]
struct Newtype(HashSet<String>);

#[derive(Serialize)]
struct Nested {
    by_name: HashMap<String, HashSet<u32>>,
    sets: Vec<HashSet<String>>,
    tags: Tags,
    newtype: Newtype,
    keyed: BTreeMap<u8, HashMap<u64, Tags>>,
}

fn words(of: impl Iterator<Item = u32>) -> HashSet<String> {
    of.map(|n| format!("word {n}")).collect()
}

/// The same value. Its maps and sets are new ones, with other orders and built in another order.
fn nested(turn: u32) -> Nested {
    let order = || (0..40).map(move |n| (n * 7 + turn) % 40);
    Nested {
        by_name: order().map(|n| (n.to_string(), order().collect())).collect(),
        sets: vec![words(order()), words(order().filter(|n| n % 2 == 0))],
        tags: Tags { tags: words(order()) },
        newtype: Newtype(words(order())),
        keyed: (0..3).map(|n| (n, order().map(|n| (n.into(), Tags { tags: words(order()) })).collect())).collect(),
    }
}

#[test]
fn maps_and_hash_sets_have_no_order_at_any_depth() {
    let first = key(&nested(0));
    for turn in 1..=20 {
        assert_eq!(key(&nested(turn)), first, "rebuilt for the {turn}th time");
        assert!(same(&nested(turn), &nested(0)));
    }
    let mut other = nested(0);
    other.tags.tags.insert("one more".to_owned());
    assert_ne!(key(&other), first);
}

/// Like the sets of other crates: only their name is known.
mod foreign {
    use super::*;

    pub(super) struct HashSet<T>(pub(super) Vec<T>);
    pub(super) struct LinkedHashSet<T>(pub(super) Vec<T>);

    impl<'a, T> IntoIterator for &'a HashSet<T> {
        type Item = &'a T;
        type IntoIter = std::slice::Iter<'a, T>;

        fn into_iter(self) -> Self::IntoIter {
            self.0.iter()
        }
    }

    impl<'a, T> IntoIterator for &'a LinkedHashSet<T> {
        type Item = &'a T;
        type IntoIter = std::slice::Iter<'a, T>;

        fn into_iter(self) -> Self::IntoIter {
            self.0.iter()
        }
    }

    impl<T: Serialize> Serialize for HashSet<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self)
        }
    }

    impl<T: Serialize> Serialize for LinkedHashSet<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self)
        }
    }
}

/// Serializes an iterator of a set, not the set.
struct ByIter(HashSet<u32>);

impl Serialize for ByIter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

#[test]
fn a_set_is_known_by_the_name_of_what_serde_goes_through() {
    assert_eq!(key(&foreign::HashSet(vec![1, 2])), key(&foreign::HashSet(vec![2, 1])));
    assert_eq!(key(&foreign::HashSet(vec![1, 2])), key(&HashSet::from([1, 2])));
    assert_eq!(key(&ByIter((0..50).collect())), key(&ByIter((0..50).rev().collect())));
}

#[test]
fn ordered_values_keep_their_order() {
    assert_ne!(key(&vec![1, 2]), key(&vec![2, 1]));
    assert_ne!(key(&[1, 2]), key(&[2, 1]));
    assert_ne!(key(&VecDeque::from([1, 2])), key(&VecDeque::from([2, 1])));
    assert_ne!(key(&LinkedList::from([1, 2])), key(&LinkedList::from([2, 1])));
    assert_ne!(key(&vec![HashSet::from([1]), HashSet::from([2])]), key(&vec![HashSet::from([2]), HashSet::from([1])]));
    assert_ne!(key(&Box::<[HashSet<u8>]>::from([[1].into(), [2].into()])), key(&[HashSet::from([2]), [1].into()]));
    assert_ne!(key(&foreign::LinkedHashSet(vec![1, 2])), key(&foreign::LinkedHashSet(vec![2, 1])));
    assert_ne!(key(&BTreeSet::from([1, 2])), key(&HashSet::from([1, 2])), "a sorted set is a list");
    assert_eq!(key(&BTreeSet::from([1, 2])), key(&vec![1, 2]));
}

#[test]
fn the_same_number_is_the_same_argument_in_any_width_and_sign() {
    for keys in [
        [key(&7u8), key(&7u16), key(&7u32), key(&7u64), key(&7u128), key(&7usize), key(&7i8), key(&7i64), key(&7i128)],
        [
            key(&300u16),
            key(&300u32),
            key(&300u64),
            key(&300u128),
            key(&300usize),
            key(&300i16),
            key(&300i32),
            key(&300i64),
            key(&300i128),
        ],
        [key(&-3i8), key(&-3i16), key(&-3i32), key(&-3i64), key(&-3i128), key(&-3isize), key(&-3), key(&-3), key(&-3)],
    ] {
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
    assert_eq!(key(&vec![1u8, 2]), key(&vec![1u64, 2]));
    assert_eq!(key(&(i64::MAX as u64)), key(&i64::MAX));
    assert_eq!(key(&u64::MAX), key(&u128::from(u64::MAX)));
    assert_ne!(key(&u64::MAX), key(&-1));
    assert_ne!(key(&u128::MAX), key(&-1i128));
    assert_ne!(key(&i128::MIN), key(&(1u128 << 127)));
    assert_ne!(key(&255u8), key(&-1i8));
    assert_ne!(key(&1), key(&true));
    assert_ne!(key(&1), key(&1.0));
    assert_ne!(key(&97), key(&'a'));
}

#[test]
fn floats_count_by_value_and_all_nans_are_one() {
    assert_eq!(key(&f64::NAN), key(&-f64::NAN));
    assert_eq!(key(&f64::NAN), key(&f64::from_bits(0x7ff0_0000_dead_beef)));
    assert_eq!(key(&f32::NAN), key(&f64::NAN));
    assert_ne!(key(&0.0), key(&-0.0));
    assert_eq!(key(&0.5f32), key(&0.5f64));
    assert_ne!(key(&0.1f32), key(&0.1f64));
}

#[test]
fn names_of_fields_and_variants_count_those_of_types_do_not() {
    #[derive(Serialize)]
    struct Other {
        id: u64,
        note: Option<String>,
        state: State,
    }
    #[derive(Serialize)]
    struct Renamed {
        number: u64,
        note: Option<String>,
        state: State,
    }
    #[derive(Serialize)]
    struct Wrapped(u64);

    let first = key(&Order { id: 1, note: None, state: State::Open });
    assert_eq!(key(&Other { id: 1, note: None, state: State::Open }), first);
    assert_ne!(key(&Renamed { number: 1, note: None, state: State::Open }), first);
    assert_eq!(key(&Wrapped(1)), key(&1));
    let states = [
        key(&State::Open),
        key(&State::Paid(1)),
        key(&State::Sent(1, 2)),
        key(&State::Lost { by: "x".to_owned() }),
        key("Open"),
    ];
    assert!((0..5).all(|a| (a + 1..5).all(|b| states[a] != states[b])));
}

#[test]
fn neighbours_in_canonical_bytes_stay_apart() {
    let different: Vec<Key> = vec![
        key(&("ab", "c")),
        key(&("a", "bc")),
        key(&("abc", "")),
        key("abc"),
        key(&["abc"]),
        key(&[["abc"]]),
        key(&Some("abc")),
        key(&Some(Some("abc"))),
        key(&None::<u8>),
        key(&Some(None::<u8>)),
        key(&()),
        key(&[(); 2]),
        key(&[(); 3]),
        key(&Vec::<u8>::new()),
        key(&HashSet::<u8>::new()),
        key(&HashMap::<u8, u8>::new()),
        key(&[HashMap::from([(1, 2)]), HashMap::new()]),
        key(&[HashMap::new(), HashMap::from([(1, 2)])]),
        key(&HashMap::from([(1, 2), (3, 4)])),
        key(&HashMap::from([(1, 4), (3, 2)])),
        key(&(vec![1u8, 2], vec![3u8])),
        key(&(vec![1u8], vec![2u8, 3])),
        key(&(vec![1u8], 0xffu8)),
    ];
    for (nth, one) in different.iter().enumerate() {
        assert!(!different[..nth].contains(one), "the {nth}th is like one before");
    }
    let parts: [&[&[u8]]; 5] = [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[]];
    let keys = parts.map(digest_parts);
    assert!((0..5).all(|a| (a + 1..5).all(|b| keys[a] != keys[b])));
}

#[test]
fn the_list_of_arguments_counts_and_not_its_nesting() {
    let mut canon = Canon::default();
    let mut key = |args: &[&str]| {
        canon.clear();
        args.iter().for_each(|arg| canon.arg(*arg).unwrap());
        canon.key(&[b"name"])
    };
    assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
    assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
    assert_ne!(key(&["a"]), key(&["a", "a"]));
    assert_ne!(key(&[]), key(&[""]));
}

#[test]
fn the_short_digests_tell_which_argument_differs() {
    let mut canon = Canon::default();
    let mut shorts = |title: &str, pages: &[u8]| {
        canon.clear();
        canon.arg(title).unwrap();
        canon.arg(pages).unwrap();
        canon.arg(&7).unwrap();
        canon.shorts()
    };
    let long = vec![1; 100_000];
    let first = shorts("tides", &long);
    assert_eq!(first.len(), 3);
    let other = shorts("winds", &long);
    assert_eq!((first[0] == other[0], &first[1..]), (false, &other[1..]));
    let other = shorts("tides", &long[1..]);
    assert_eq!((first[0], first[1] == other[1], first[2]), (other[0], false, other[2]));
}

#[test]
fn long_value_has_one_digest_wherever_its_buffer_spills() {
    for len in [0, 1, 255, 256, 257, 500, 511, 512, 513, 4_095, 8_190, 8_192, 8_193, 20_000, 100_000] {
        let bytes: Vec<u8> = (0..len).map(|n: u32| n as u8).collect();
        // Byte by byte on another path: a tuple's elements do not go through `collect_seq`.
        let wide: Vec<u64> = bytes.iter().map(|byte| u64::from(*byte)).collect();
        assert_eq!(key(&bytes), key(&wide), "{len} bytes");
        let text = "x".repeat(len as usize);
        assert_eq!(key(&text), key(&*text));
        let mut short = text.clone();
        assert!(same(&text, &short));
        if short.pop().is_some() {
            assert_ne!(key(&short), key(&text));
            assert!(!same(&text, &short));
        }
        let in_map = |first: &str| HashMap::from([(first.to_owned(), text.clone()), ("b".to_owned(), text.clone())]);
        assert_eq!(key(&in_map("a")), key(&in_map("a")));
        assert_ne!(key(&in_map("a")), key(&in_map("c")));
    }
}

#[test]
fn list_that_begins_with_bytes_may_continue_with_others() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Mixed {
        Byte(u8),
        Wide(u64),
        Text(String),
    }
    let mixed: Vec<Mixed> = (0..1000u64)
        .map(|n| match n {
            ..300 => Mixed::Byte(n as u8),
            300 => Mixed::Text("x".to_owned()),
            301 => Mixed::Byte(1),
            _ => Mixed::Wide(n),
        })
        .collect();
    let value: Vec<serde_json::Value> = mixed.iter().map(|item| serde_json::to_value(item).unwrap()).collect();
    assert_eq!(key(&mixed), key(&value));
}

#[test]
fn an_argument_that_is_refused_leaves_nothing_behind() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("a socket cannot be kept"))
        }
    }
    /// Begins an entry of a map and does not end it.
    struct Unfinished;
    impl Serialize for Unfinished {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_key("key")?;
            map.end()
        }
    }

    let mut canon = Canon::default();
    let why = canon.arg(&HashMap::from([("a", vec![Refuses])])).unwrap_err();
    assert!(why.is_unreadable());
    assert_eq!(why.to_string(), "a socket cannot be kept");
    canon.clear();
    assert!(canon.arg(&[Unfinished]).is_err());
    canon.arg("next").unwrap();
    let mut fresh = Canon::default();
    assert!(fresh.arg(&Refuses).is_err());
    fresh.arg("next").unwrap();
    assert_eq!(canon.key(&[]), fresh.key(&[]));
    assert_eq!(canon.shorts(), fresh.shorts());
    assert!(!same(&Refuses, &Refuses));
}

/// A number of JSON as serde receives it with `serde_json/arbitrary_precision`.
#[derive(Serialize)]
#[serde(rename = "$serde_json::private::Number")]
struct Precise {
    #[serde(rename = "$serde_json::private::Number")]
    text: &'static str,
}

#[test]
fn json_number_is_the_same_argument_with_arbitrary_precision() {
    for text in ["7", "300", "-3", "0.5", "1e3", "-0.0", "18446744073709551615", "18446744073709551616"] {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(key(&Precise { text }), key(&json), "{text}");
        assert_eq!(key(&vec![Some(Precise { text })]), key(&vec![Some(json)]));
    }
    assert_ne!(key(&Precise { text: "7" }), key(&"7"));
    assert!(alike(&Precise { text: "7" }, &8) && !alike(&Precise { text: "7" }, &0.5));
}

#[test]
fn alike_are_values_of_the_same_parts() {
    assert!(alike(&vec![1, 2], &vec![300, -4]) && !alike(&vec![1, 2], &vec![1]));
    assert!(alike(&0.1, &0.2) && alike(&"-0", &"0") && alike(&u128::MAX, &i128::MIN));
    assert!(!alike(&0.1, &"0.1") && !alike(&1, &0.1) && !alike(&true, &false) && !alike(&'a', &"a"));
    assert!(!alike(&State::Open, &State::Paid(1)) && alike(&State::Paid(2), &State::Paid(1)));
    assert!(!alike(&Some(()), &None::<()>) && !alike(&Some(None::<u8>), &None::<Option<u8>>));
    assert!(!alike(&Some(1), &None::<u8>) && !alike(&Some(1), &1));
}

#[test]
fn alike_is_json_that_is_null_and_no_json() {
    use serde_json::Value;
    assert!(alike(&Some(Value::Null), &None::<Value>) && alike(&Some(Box::new(Value::Null)), &None::<Value>));
    assert!(!alike(&Some(Value::Bool(true)), &None::<Value>));
    #[derive(Serialize)]
    struct Left<T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        out: Option<T>,
    }
    assert!(alike(&Left { out: Some(Value::Null) }, &Left { out: None::<Value> }));
    assert!(!alike(&Left { out: Some(()) }, &Left { out: None::<()> }));
    assert!(!alike(&Left { out: Some(1) }, &Left { out: None::<i32> }));
}

#[test]
fn the_same_in_any_order_are_values_that_differ_in_nothing_else() {
    assert!(same_in_any_order(&vec![1, 2], &vec![2, 1]) && !same_in_any_order(&vec![1, 2], &vec![2, 2]));
    assert!(!same_in_any_order(&(1, 2), &(2, 1)) && !same_in_any_order(&0.1, &0.2) && !same_in_any_order(&"-0", &"0"));
}

#[test]
fn key_is_the_digest_of_length_prefixed_parts_and_arguments() {
    let bytes = [&[2, 10][..], b"checkpoint", &[1], b"1", &[11, 5], b"tides"].concat();
    assert_eq!(key("tides").0, blake3::hash(&bytes).as_bytes()[..16]);
    let long = [&[11, 0xd0, 0x0f][..], &[b'x'; 2_000]].concat();
    let bytes = [&[2, 10][..], b"checkpoint", &[1], b"1", &[0], blake3::hash(&long).as_bytes()].concat();
    assert_eq!(key(&"x".repeat(2_000)).0, blake3::hash(&bytes).as_bytes()[..16]);
}

// Stored keys are compared with the output of this code in ten years. If this test fails, the digest has changed: then
// no record of any store answers.
#[test]
fn the_digests_are_those_that_were_published() {
    let order = Order { id: 7, note: Some("gift".to_owned()), state: State::Lost { by: "post".to_owned() } };
    let map = HashMap::from([("a", HashSet::from([1u32, 2, 3])), ("b", HashSet::new())]);
    let numbers = (-1i8, 300u16, u128::MAX, i128::MIN, 0.5f32, f64::NAN, true, 'ß', ());
    let states = [State::Open, State::Paid(3), State::Sent(4, 5)];
    let found = [
        hex(digest_parts(&[])),
        hex(digest_parts(&[b"default", b""])),
        hex(key("tides")),
        hex(key(&numbers)),
        hex(key(&order)),
        hex(key(&states)),
        hex(key(&map)),
        hex(key(&vec![7u8; 100_000])),
        hex(key(&"x".repeat(2_000))),
        hex(key(&"x".repeat(200_000))),
    ];
    assert_eq!(found, GOLDEN);
}

const GOLDEN: [&str; 10] = [
    "2d3adedff11b61f14c886e35afa03673",
    "cb2c2237cb797f6a375d605f596a7ca9",
    "7f8896d66074c28cd826801e40d35ec5",
    "9abb0efbfb17707c2123e3d6e818fe3d",
    "602a75dca7ed857d9bccf59e857b46ee",
    "843d279a1bb8f9555262d3e2bdd5a9c9",
    "ca15f84ac4be187ae21f78099d470e92",
    "3cbd7acf3c96914624cfac549bbf692d",
    "75b0c30606411ef9301e746e776f5c42",
    "e0b21f9b5e70f9b93dd1aa0c71560789",
];
