//! Section 7: values are shown as JSON without their types, and sensitive values are not shown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kitaru::{Error, Execution, Kitaru, NotShown, ShownValue, checkpoint, flow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{disk, memory, reopen};

async fn execution(kitaru: &Kitaru, flow: &str) -> Execution {
    kitaru.execution((flow, "job")).await.unwrap().unwrap()
}

/// The value of the record of this name.
fn value(execution: &Execution, name: &str) -> Option<ShownValue> {
    execution.records().iter().find(|record| record.name() == name).expect("a record").value()
}

fn json_of(execution: &Execution, name: &str) -> Value {
    value(execution, name).expect("an outcome").json().expect("JSON").clone()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Open,
    Paid(u32),
    Sent(u8, String),
    Lost { by: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    states: Vec<State>,
    by_name: BTreeMap<String, Option<State>>,
    initial: char,
    price: f32,
    below: Vec<Order>,
}

fn an_order() -> Order {
    let inner = Order {
        id: u64::MAX,
        states: vec![State::Lost { by: Some("post".into()) }, State::Open, State::Sent(1, "van".into())],
        by_name: BTreeMap::from([("x".into(), None), ("y".into(), Some(State::Paid(7)))]),
        initial: '水',
        price: 0.1,
        below: Vec::new(),
    };
    let other = Order { states: vec![State::Lost { by: None }], by_name: BTreeMap::new(), ..inner.clone() };
    Order { id: 1, states: Vec::new(), below: vec![inner, other], ..an_empty_order() }
}

fn an_empty_order() -> Order {
    Order { id: 0, states: Vec::new(), by_name: BTreeMap::new(), initial: 'ß', price: -0.0, below: Vec::new() }
}

#[checkpoint]
async fn takes_order(n: u32) -> Order {
    if n == 0 { an_empty_order() } else { an_order() }
}

#[checkpoint(codec = "json")]
async fn keeps_as_json() -> Order {
    an_order()
}

#[flow]
async fn shows_orders(customer: String, n: u32) -> Result<State, Error> {
    takes_order(0).await;
    takes_order(n).await;
    keeps_as_json().await;
    kitaru::sleep(Duration::from_millis(1)).await;
    Ok(State::Sent(u8::try_from(n).unwrap_or(0), customer))
}

#[tokio::test]
async fn a_value_is_shown_as_json_without_its_type_by_every_later_process() {
    let (kitaru, dir) = disk().await;
    shows_orders("Ada".into(), 3).id("job").on(&kitaru).await.unwrap();
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    let execution = execution(&kitaru, "shows_orders").await;
    let whole = serde_json::to_value(an_order()).unwrap();
    assert_eq!(json_of(&execution, "takes_order"), serde_json::to_value(an_empty_order()).unwrap());
    assert_eq!(json_of(&execution, "takes_order_2"), whole);
    // Recorded JSON holds the shortest text of an `f32`.
    let written: Value = serde_json::from_str(&serde_json::to_string(&an_order()).unwrap()).unwrap();
    assert_eq!(json_of(&execution, "keeps_as_json"), written);
    assert_eq!(execution.input_value(), ShownValue::Json(json!(["Ada", 3])));
    assert_eq!(execution.value(), Some(ShownValue::Json(json!({ "Sent": [3, "Ada"] }))));
    assert!(execution.records().iter().all(|record| !record.is_sensitive() && record.value().is_some()));
}

#[checkpoint]
async fn measures() -> (u128, i128, Vec<f64>, Option<Option<u8>>, BTreeMap<(u8, u8), bool>) {
    let floats = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];
    (u128::MAX, -7, floats, Some(None), BTreeMap::from([((1, 2), true)]))
}

#[derive(Serialize, Deserialize)]
struct Blob(#[serde(with = "blob")] Vec<u8>);

mod blob {
    use serde::de::{Deserializer, Visitor};

    pub fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

#[checkpoint]
async fn photographs() -> Blob {
    Blob(vec![0, 255])
}

#[flow]
async fn shows_odd_values() -> Result<(), Error> {
    measures().await;
    photographs().await;
    Ok(())
}

#[tokio::test]
async fn value_that_json_cannot_express_is_an_object_with_one_field() {
    let (kitaru, _) = memory().await;
    shows_odd_values().id("job").on(&kitaru).await.unwrap();
    let execution = execution(&kitaru, "shows_odd_values").await;
    let number = |number: &str| json!({ "$number": number });
    assert_eq!(
        json_of(&execution, "measures"),
        json!([
            number("340282366920938463463374607431768211455"),
            -7,
            [number("NaN"), number("Infinity"), number("-Infinity"), 0.5],
            { "$some": null },
            { "$map": [[[1, 2], true]] }
        ])
    );
    assert_eq!(json_of(&execution, "photographs"), json!({ "$bytes": "00ff" }));
}

#[checkpoint(codec = "json")]
async fn counts_as_json() -> (Vec<i128>, u128, f64, BTreeMap<u128, String>) {
    let named = BTreeMap::from([(u128::MAX, "a \" 99999999999999999999".to_owned())]);
    (vec![i128::MIN, i64::MIN.into(), u64::MAX.into(), 0, u128::from(u64::MAX) as i128 + 1], u128::MAX, 1e300, named)
}

#[flow]
async fn counts_far() -> Result<u128, Error> {
    counts_as_json().await;
    Ok(1)
}

#[tokio::test]
async fn number_of_more_than_64_bits_is_shown_exactly_although_it_was_recorded_as_json() {
    let (kitaru, _) = memory().await;
    counts_far().id("job").on(&kitaru).await.unwrap();
    let execution = execution(&kitaru, "counts_far").await;
    let number = |number: &str| json!({ "$number": number });
    assert_eq!(
        json_of(&execution, "counts_as_json"),
        json!([
            [number("-170141183460469231731687303715884105728"), i64::MIN, u64::MAX, 0, number("18446744073709551616")],
            number("340282366920938463463374607431768211455"),
            1e300,
            { "340282366920938463463374607431768211455": "a \" 99999999999999999999" }
        ])
    );
}

#[derive(Debug, Serialize, Deserialize)]
enum Refusal {
    NoPaper { sheets: u32 },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no paper")
    }
}

impl std::error::Error for Refusal {}

impl From<Error> for Refusal {
    fn from(_: Error) -> Self {
        Refusal::NoPaper { sheets: 0 }
    }
}

#[checkpoint]
async fn prints() -> Result<u32, Refusal> {
    Err(Refusal::NoPaper { sheets: 7 })
}

#[checkpoint]
async fn asks() -> Result<u32, Error> {
    Err(Error::msg("no answer").context("asking"))
}

#[flow]
async fn shows_failures() -> Result<u32, Error> {
    let _ = prints().await;
    let _ = asks().await;
    Err(Error::msg("neither").context("failing"))
}

#[tokio::test]
async fn an_error_is_shown_as_its_value_or_as_its_kind_and_messages() {
    let (kitaru, _) = memory().await;
    shows_failures().id("job").on(&kitaru).await.unwrap_err();
    let execution = execution(&kitaru, "shows_failures").await;
    assert_eq!(json_of(&execution, "prints"), json!({ "NoPaper": { "sheets": 7 } }));
    assert_eq!(json_of(&execution, "asks"), json!(["failed", ["asking", "no answer"]]));
    assert_eq!(execution.value(), Some(ShownValue::Json(json!(["failed", ["failing", "neither"]]))));
}

#[checkpoint(sensitive)]
async fn secret(password: String) -> Result<String, Error> {
    Ok(format!("{password}-token"))
}

#[checkpoint(sensitive)]
async fn secret_that_fails(password: String) -> Result<String, Error> {
    Err(Error::msg(format!("wrong: {password}")))
}

#[checkpoint(sensitive, memo)]
async fn secret_memo() -> Result<String, Error> {
    Ok("hunter2-memo".to_owned())
}

#[flow]
async fn shows_no_secrets(gives_it_on: bool) -> Result<String, Error> {
    let token = secret("hunter2".into()).await?;
    let _ = secret_that_fails("hunter2".into()).await;
    secret_memo().await?;
    Ok(if gives_it_on { token } else { "done".to_owned() })
}

#[tokio::test]
async fn a_value_of_a_sensitive_checkpoint_is_given_by_no_reader() {
    let (kitaru, _) = memory().await;
    shows_no_secrets(false).id("first").on(&kitaru).await.unwrap();
    shows_no_secrets(false).id("job").on(&kitaru).await.unwrap();
    let execution = execution(&kitaru, "shows_no_secrets").await;
    assert!(execution.records()[2].is_from_memo());
    for record in execution.records() {
        assert!(record.is_sensitive(), "{record:?}");
        assert_eq!(record.value(), Some(ShownValue::Sensitive));
        assert_eq!(record.preview(), "(sensitive)");
    }
    assert_eq!(execution.value(), Some(ShownValue::Json("done".into())));
    let history = kitaru.export(&execution).await.unwrap().to_string();
    let secret: String = "hunter2".bytes().map(|byte| format!("{byte:02x}")).collect();
    for shown in [history, format!("{execution:?}"), execution.value().unwrap().to_string()] {
        assert!(!shown.contains("hunter2") && !shown.contains(&secret), "{shown}");
    }
}

#[tokio::test]
async fn result_of_a_flow_is_shown_whichever_checkpoint_it_comes_from() {
    let (kitaru, _) = memory().await;
    shows_no_secrets(true).id("job").on(&kitaru).await.unwrap();
    let execution = execution(&kitaru, "shows_no_secrets").await;
    assert_eq!(value(&execution, "secret"), Some(ShownValue::Sensitive));
    assert_eq!(execution.value(), Some(ShownValue::Json("hunter2-token".into())));
}

#[checkpoint]
async fn gathers(n: usize) -> Vec<u8> {
    vec![7; n]
}

/// As many kinds of parts as serde has.
#[derive(Serialize, Deserialize)]
struct Tree(u8, Option<Box<Tree>>, Option<Box<Tree>>);

fn tree(depth: u8) -> Tree {
    let below = |less: u8| (depth >= less).then(|| Box::new(tree(depth - less)));
    Tree(depth, below(1), below(2))
}

#[checkpoint]
async fn grows() -> Tree {
    tree(16)
}

#[flow]
async fn shows_what_is_large() -> Result<(), Error> {
    gathers(2 << 20).await;
    gathers(1 << 10).await;
    grows().await;
    Ok(())
}

#[tokio::test]
async fn a_value_that_cannot_be_shown_as_a_whole_is_a_preview_that_says_why() {
    let (kitaru, _) = memory().await;
    shows_what_is_large().id("job").on(&kitaru).await.unwrap();
    let execution = execution(&kitaru, "shows_what_is_large").await;
    for (name, why) in [("gathers", NotShown::TooLarge), ("grows", NotShown::Cut)] {
        let Some(ShownValue::Preview { preview, bytes, reason, .. }) = value(&execution, name) else {
            panic!("{name}")
        };
        assert_eq!(reason, why);
        assert!(preview.starts_with('[') && preview.ends_with('…') && bytes > 1_000, "{preview}");
    }
    assert_eq!(json_of(&execution, "gathers_2"), json!(vec![7; 1 << 10]));
}

#[flow]
async fn shows_what_waits() -> Result<u32, Error> {
    kitaru::wait::<u32>("count").question("How many?").await
}

#[tokio::test]
async fn record_without_an_outcome_has_no_value() {
    let (kitaru, _) = memory().await;
    let handle = shows_what_waits().id("job").on(&kitaru).start().await.unwrap();
    let waiting = loop {
        let execution = execution(&kitaru, "shows_what_waits").await;
        if !execution.records().is_empty() && !execution.waits().is_empty() {
            break execution;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((waiting.records()[0].value(), waiting.value()), (None, None));
    kitaru.answer(("shows_what_waits", "job"), "count", &7u32).await.unwrap();
    assert_eq!(handle.await.unwrap(), 7);
    let ended = execution(&kitaru, "shows_what_waits").await;
    assert_eq!(ended.records()[0].value(), Some(ShownValue::Json(json!(7))));
    assert_eq!(ended.value(), Some(ShownValue::Json(json!(7))));
}
