//! The texts of shapes, and the effect of damaged bytes on them.

use std::collections::{BTreeMap, HashMap};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::*;

const BINCODE: bincode::config::Configuration = bincode::config::standard();

/// The value and shape of the bytes as a `T`, or the error.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, String), String> {
    read_in(Form::Plain, bytes)
}

fn read_in<T: DeserializeOwned>(form: Form, bytes: &[u8]) -> Result<(T, String), String> {
    let mut decoder = bincode::serde::BorrowedSerdeDecoder::from_slice(bytes, BINCODE, ());
    Recorder::lend(form, bytes.len(), |recorder| {
        let value = T::deserialize(Recording { inner: decoder.as_deserializer(), recorder: &mut *recorder });
        value.map(|value| (value, recorder.text().to_owned())).map_err(|why| why.to_string())
    })
}

fn shape<T: Serialize + DeserializeOwned>(value: &T) -> String {
    let bytes = bincode::serde::encode_to_vec(value, BINCODE).unwrap();
    let (back, text) = read::<T>(&bytes).unwrap();
    assert_eq!(bincode::serde::encode_to_vec(&back, BINCODE).unwrap(), bytes, "nothing is changed on the way");
    text
}

fn marked<T: Serialize + DeserializeOwned>(value: &T) -> String {
    read_in::<T>(Form::Marked, &bincode::serde::encode_to_vec(value, BINCODE).unwrap()).unwrap().1
}

#[derive(Serialize, Deserialize, Clone)]
struct Line {
    sku: String,
    gift: Option<bool>,
}

#[derive(Serialize, Deserialize)]
enum State {
    Open,
    Paid(u32),
    Sent(u8, String),
    Lost { by: String },
}

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<Line>,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct Unit;

#[derive(Serialize, Deserialize)]
struct Id(u64);

#[derive(Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent {
    id: u64,
}

#[test]
fn a_shape_reads_like_the_type() {
    let line = Line { sku: "a".to_owned(), gift: None };
    let order = Order { id: 7, lines: vec![line.clone(); 3], state: State::Paid(3) };
    assert_eq!(shape(&order), "Order{id:u64,lines:[Line{sku:str,gift:?}],state:Paid(u32)}");
    assert_eq!(shape(&State::Open), "Open");
    assert_eq!(shape(&State::Sent(1, String::new())), "Sent(u8,str)");
    assert_eq!(shape(&State::Lost { by: String::new() }), "Lost{by:str}");
    assert_eq!(shape(&(Unit, Id(7), Pair(1, String::new()))), "(Unit,Id(u64),Pair(u8,str))");
    assert_eq!(shape(&Transparent { id: 7 }), "u64");
    assert_eq!(shape(&(Some(Some(1u8)), None::<u8>, ())), "(??u8,?,())");
    assert_eq!(shape(&(1i128, 1u128, 0.5f32, 0.5f64, 'x', true, -1i8)), "(i128,u128,f32,f64,char,bool,i8)");
    assert_eq!(shape(&Ok::<Box<str>, ()>("x".into())), "Ok(str)");
    assert_eq!(shape(&std::net::IpAddr::from([1, 2, 3, 4])), "V4((u8*4))");
}

#[test]
fn a_marked_shape_tells_variants_tuples_and_newtypes_from_each_other() {
    let order = Order { id: 7, lines: vec![Line { sku: "a".to_owned(), gift: None }], state: State::Paid(3) };
    assert_eq!(marked(&order), "Order{id:u64,lines:[Line{sku:str,gift:?}],state:Paid@1(u32)}");
    assert_eq!(marked(&State::Open), "Open@0");
    assert_eq!(marked(&State::Sent(1, String::new())), "Sent@2<u8,str>");
    assert_eq!(marked(&State::Lost { by: String::new() }), "Lost@3{by:str}");
    assert_eq!(marked(&(Unit, Id(7), Pair(1, String::new()))), "<Unit(),Id(u64),Pair<u8,str>>");
    assert_eq!(marked(&vec![Unit, Unit]), "[Unit()]");
    assert_eq!(marked(&((), [(); 0], (1u8,), [1u8; 3])), "<(),<>,<u8>,<u8*3>>");
    assert_eq!(marked(&HashMap::from([(1u8, vec![Some(2u8), None])])), "{u8:[?u8|?]}");
}

#[test]
fn a_sign_in_a_name_is_marked_and_so_are_names_that_no_field_has() {
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "a,b")]
    struct Odd {
        #[serde(rename = "")]
        none: u8,
        #[serde(rename = "x:{y}\\")]
        signs: u8,
        #[serde(rename = "größe 1")]
        size: u8,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Str,
        U8,
    }
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "was")]
        is: u8,
        at: u16,
    }
    assert_eq!(marked(&Odd { none: 1, signs: 2, size: 3 }), r"a\,b{\_:u8,x\:\{y\}\\:u8,größe 1:u8}");
    assert_eq!(marked(&[Kind::Str, Kind::U8]), "<str@0,u8@1>");
    assert_eq!(marked(&Renamed { is: 1, at: 2 }), "Renamed{is:u8,was:u16!}");
}

#[test]
fn a_list_of_many_shapes_is_not_cut_with_what_is_around_it() {
    let trees: Vec<Tree> = (0..400).map(|nth| tree(nth * 977, 4)).collect();
    let text = marked(&(1u8, trees, 2u16));
    assert!(text.len() > PART / 4 && text.len() <= PART && text.ends_with("],u16>"), "{} bytes", text.len());
}

#[test]
fn each_distinct_element_of_a_list_stands_once_as_first_met() {
    let gift = |gift| Line { sku: "a".to_owned(), gift };
    assert_eq!(
        shape(&vec![gift(Some(true)), gift(None), gift(Some(false))]),
        "[Line{sku:str,gift:?bool}|Line{sku:str,gift:?}]"
    );
    assert_eq!(shape(&vec![Some(1u8), None, None, Some(2)]), "[?u8|?]");
    assert_eq!(shape(&vec![State::Open, State::Paid(1), State::Open]), "[Open|Paid(u32)]");
    assert_eq!(shape(&vec![vec![1u8], vec![], vec![2, 3]]), "[[u8]|[]]");
    assert_eq!(shape(&vec![vec![Some(1u8)], vec![None], vec![None, Some(1)]]), "[[?u8]|[?]|[?|?u8]]");
    assert_eq!(shape(&(vec![1u8, 2], vec![3u8, 4], 5u8)), "([u8]*2,u8)");
    assert_eq!(shape(&(vec![1u8, 2], 5u8, 5u8)), "([u8],u8*2)", "what was expected of the list is not of what follows");
    assert_eq!(shape(&BTreeMap::from([("a".to_owned(), Some(1u8)), ("b".to_owned(), None)])), "{str:?u8|str:?}");
    assert_eq!(shape(&HashMap::from([(1u8, 2u8)])), "{u8:u8}");
    assert_eq!(shape(&vec![(); 3]), "[()]");
    assert_eq!(shape(&vec![[(); 0]; 3]), "[()]");
}

#[test]
fn a_million_elements_have_the_shape_of_one() {
    assert_eq!(shape(&(0..1_000_000).collect::<Vec<u64>>()), "[u64]");
    assert_eq!(shape(&vec!["x".to_owned(); 10_000]), "[str]");
}

#[test]
fn a_tuple_shows_how_many_it_has() {
    assert_eq!(shape(&[1u8; 3]), "(u8*3)");
    assert_eq!(shape(&(1u8, 2u8, "x".to_owned(), 3u8)), "(u8*2,str,u8)");
    assert_eq!(shape(&([1u8; 2], [1u8; 2], [1u8; 3])), "((u8*2)*2,(u8*3))");
    let bytes = bincode::serde::encode_to_vec((1u32, 2u32), BINCODE).unwrap();
    let (wrong, text) = read::<[u8; 2]>(&bytes).unwrap();
    assert_eq!(wrong, [1, 2], "bincode by itself finds nothing wrong");
    assert_ne!(text, shape(&(1u32, 2u32)));
}

#[test]
fn a_field_that_was_renamed_or_retyped_shows() {
    mod renamed {
        #[derive(serde::Deserialize)]
        pub(super) struct Line {
            #[allow(dead_code)]
            name: String,
            #[allow(dead_code)]
            gift: Option<bool>,
        }
    }
    mod retyped {
        #[derive(serde::Deserialize)]
        pub(super) struct Line {
            #[allow(dead_code)]
            sku: Vec<u8>,
            #[allow(dead_code)]
            gift: Option<u8>,
        }
    }
    let line = Line { sku: "a".to_owned(), gift: Some(true) };
    let bytes = bincode::serde::encode_to_vec(&line, BINCODE).unwrap();
    assert_eq!(shape(&line), "Line{sku:str,gift:?bool}");
    assert_eq!(read::<renamed::Line>(&bytes).unwrap().1, "Line{name:str,gift:?bool}");
    assert_eq!(read::<retyped::Line>(&bytes).unwrap().1, "Line{sku:[u8],gift:?u8}");
}

#[test]
fn a_shape_is_taken_of_a_format_with_names_too() {
    let json = r#"{"id":7,"lines":[{"sku":"a","gift":null}],"state":{"Sent":[1,"x"]}}"#;
    let mut inner = serde_json::Deserializer::from_str(json);
    let text = Recorder::lend(Form::Plain, json.len(), |recorder| {
        Order::deserialize(Recording { inner: &mut inner, recorder: &mut *recorder }).unwrap();
        recorder.text().to_owned()
    });
    assert_eq!(text, "Order{id:u64|lines:[Line{sku:str|gift:?}]|state:Sent(u8,str)}");
    let mut inner = serde_json::Deserializer::from_str(json);
    Recorder::lend(Form::Plain, json.len(), |recorder| {
        IgnoredAny::deserialize(Recording { inner: &mut inner, recorder }).unwrap()
    });
}

/// A type with as many shapes as there are numbers.
#[derive(Serialize, Deserialize)]
enum Tree {
    Leaf(u8),
    Wide(u16),
    Node(Vec<Tree>),
}

fn tree(seed: u64, depth: u32) -> Tree {
    match (depth, seed % 3) {
        (0, 0) => Tree::Leaf(1),
        (0, _) => Tree::Wide(2),
        _ => Tree::Node(
            (0..3 + seed % 3).map(|nth| tree(seed.wrapping_mul(31).wrapping_add(nth) >> 1, depth - 1)).collect(),
        ),
    }
}

#[test]
fn a_shape_stays_bounded_and_still_tells_values_apart() {
    let many = |seed: u64| (0..400).map(|nth| tree(seed + nth * 977, 5)).collect::<Vec<_>>();
    let text = shape(&many(1));
    assert!(text.len() <= PART + 64, "{} bytes", text.len());
    assert!(text.contains('#'));
    assert_eq!(text, shape(&many(1)));
    assert_ne!(text, shape(&many(2)));
    let mut other = many(1);
    other.push(Tree::Node(vec![Tree::Leaf(1), Tree::Node(vec![])]));
    assert_ne!(text, shape(&other), "what comes behind the bound counts");
}

#[test]
fn the_fingerprint_is_that_of_the_text() {
    Recorder::lend(Form::Plain, 9, |recorder| {
        for text in ["u64", "u64", "str", "u64"] {
            recorder.begin(Form::Plain, 9);
            recorder.put(text);
            assert_eq!(recorder.fingerprint(), fingerprint(text));
        }
    });
    assert_eq!(fingerprint("u64"), 755_853_612_151_614_250);
}

/// Reserves the hinted size, as careless visitors do.
struct Hinted(Option<usize>);

impl<'de> Deserialize<'de> for Hinted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hint;
        impl<'de> serde::de::Visitor<'de> for Hint {
            type Value = Hinted;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Hinted, A::Error> {
                Ok(Hinted(seq.size_hint()))
            }
        }
        deserializer.deserialize_seq(Hint)
    }
}

/// The length of a list or text, as bincode writes it.
fn declared(len: u64) -> Vec<u8> {
    [&[253][..], &len.to_le_bytes(), b"abc"].concat()
}

#[test]
fn declared_length_counts_no_further_than_the_bytes() {
    // Each would abort the process if it were reserved.
    for len in [1 << 40, 1 << 62, u64::MAX] {
        let bytes = declared(len);
        assert!(read::<String>(&bytes).is_err());
        assert!(read::<Box<str>>(&bytes).is_err());
        assert!(read::<std::ffi::CString>(&bytes).is_err(), "owned bytes");
        assert!(read::<Vec<u8>>(&bytes).is_err());
        assert!(read::<Vec<String>>(&bytes).is_err());
        assert!(read::<Vec<[u64; 4]>>(&bytes).is_err());
        assert!(read::<HashMap<u8, u8>>(&bytes).is_err());
        assert!(read::<std::collections::HashSet<u64>>(&bytes).is_err());
        assert_eq!(read::<Hinted>(&bytes).unwrap().0.0, Some(bytes.len()));
        assert!(read::<Vec<()>>(&bytes).err().unwrap().contains("more elements than its bytes can hold"));
        assert!(read::<HashMap<(), ()>>(&bytes).is_err());
    }
    assert_eq!(shape(&vec![(); 1_000_000]), "[()]");
}

#[derive(Serialize, Deserialize, Debug)]
struct Chain(Option<Box<Chain>>);

#[derive(Serialize, Deserialize, Debug)]
enum Nest {
    End,
    List { of: Vec<Nest> },
}

#[test]
fn nesting_is_bounded_for_any_bytes() {
    // A million levels would overflow any stack if they were followed.
    for bytes in [vec![1; 1 << 20], [1, 1].repeat(1 << 20)] {
        assert!(read::<Chain>(&bytes).unwrap_err().contains("nested deeper than 128 levels"));
        assert!(read::<Nest>(&bytes).unwrap_err().contains("nested deeper than 128 levels"));
    }
    let mut chain = Chain(None);
    for _ in 0..(DEPTH / 2 - 1) {
        chain = Chain(Some(Box::new(chain)));
    }
    assert!(shape(&chain).starts_with("Chain(?Chain(?"));
}

#[test]
fn nested_decoding_in_a_deserialize_gets_a_recorder_of_its_own() {
    let inner = Recorder::lend(Form::Plain, 10, |outer| {
        outer.put("outer");
        let inner = shape(&vec![1u8]);
        assert_eq!(outer.text(), "outer");
        inner
    });
    assert_eq!(inner, "[u8]");
}
