//! Section 7, of values that cannot be kept: which values are kept as they are read, which are refused and with which words,
//! and how deep a value may be, on every way in and out.

use std::collections::HashMap;
use std::time::Duration;

use kitaru::{Error, Kitaru, Resolution, checkpoint, dynamic, flow};
use serde::{Deserialize, Deserializer, Serialize};

use crate::support::{log, memory, reopen};

/// A decimal number as its crate reads it: from a text of any type, and without the sign of a zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Decimal(String);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let serde_json::Value::String(text) = serde_json::Value::deserialize(deserializer)? else {
            return Err(serde::de::Error::custom("no text"));
        };
        Ok(Decimal(if text == "-0" { "0".to_owned() } else { text }))
    }
}

#[checkpoint]
async fn refund(path: String, amount: Decimal) -> Result<Decimal, Error> {
    log(&path).say("refunded");
    Ok(Decimal(format!("-{}", amount.0)))
}

#[flow]
async fn refunds(path: String) -> Result<String, Error> {
    let refunded = refund(path.clone(), Decimal("0".into())).await?;
    log(&path).say(refunded.0.clone());
    if log(&path).count("stop") > 0 {
        return Err(Error::msg("stopped"));
    }
    Ok(refunded.0)
}

#[tokio::test]
async fn value_that_reads_as_itself_the_second_time_is_kept_as_read() {
    let (kitaru, _) = memory().await;
    let path = "values: refund";
    log(path).say("stop");
    refunds(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).take(), ["stop", "refunded", "0"], "the first run, too, is given what a replay is given");
    assert_eq!(refunds(path.into()).id("job").on(&kitaru).await.unwrap(), "0");
    assert_eq!(log(path).take(), ["0"]);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Entry {
    Measured { value: f64 },
    Done { at: Option<()> },
    Twice { at: Option<Option<u32>> },
    Large { n: u128 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    entries: Vec<Entry>,
}

fn bad(path: &str) -> Entry {
    match path {
        "values: nan" => Entry::Measured { value: f64::NAN },
        "values: unit" => Entry::Done { at: Some(()) },
        "values: none" => Entry::Twice { at: Some(None) },
        _ => Entry::Large { n: u128::MAX },
    }
}

#[checkpoint]
async fn measure(path: String) -> Result<Report, Error> {
    log(&path).say("measured");
    let entry = if log(&path).count("mended") > 0 { Entry::Done { at: None } } else { bad(&path) };
    Ok(Report { entries: vec![Entry::Measured { value: 0.5 }, entry] })
}

#[flow]
async fn reports_entries(path: String) -> Result<Report, Error> {
    measure(path).await
}

#[tokio::test]
async fn value_that_is_lost_is_refused_with_its_path_and_runs_again_once_mended() {
    let (kitaru, _) = memory().await;
    for (path, at) in
        [("values: nan", ".value"), ("values: unit", ".at"), ("values: none", ".at"), ("values: large", ".n")]
    {
        let error = reports_entries(path.into()).id(path).on(&kitaru).await.unwrap_err();
        assert!(error.is_unreadable(), "{error:?}");
        let message = error.to_string();
        for part in ["checkpoint `measure`", "Report`", &format!("`.entries[1]{at}`"), "#[serde(with", "call the flow"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        let execution = kitaru.execution(("reports_entries", path)).await.unwrap().unwrap();
        let shown = execution.error().unwrap().trim_end_matches('…');
        assert!(message.starts_with(shown) && shown.contains(&format!("`.entries[1]{at}`: json: ")), "{shown}");
        assert!(!execution.records()[0].is_settled());
        log(path).say("mended");
        let report = reports_entries(path.into()).id(path).on(&kitaru).await.unwrap();
        assert_eq!(report.entries[1], Entry::Done { at: None });
        assert_eq!(log(path).count("measured"), 2);
    }
}

#[flow]
async fn goes_past_the_refusal(path: String) -> Result<bool, Error> {
    let refused = measure(path.clone()).await.is_err_and(|error| error.is_unreadable());
    refund(path, Decimal("1".into())).await?;
    Ok(refused)
}

#[tokio::test]
async fn a_refusal_that_the_flow_went_past_is_settled_and_can_be_forgotten() {
    let (kitaru, _) = memory().await;
    let path = "values: past";
    assert!(goes_past_the_refusal(path.into()).id("job").on(&kitaru).await.unwrap());
    let execution = kitaru.execution(("goes_past_the_refusal", "job")).await.unwrap().unwrap();
    assert!(execution.records()[0].is_settled());
    let told = execution.records()[0].preview().to_owned();
    assert!(told.starts_with("cannot record the outcome of checkpoint `measure`"), "{told}");
}

#[checkpoint(sensitive)]
async fn keeps_secrets(n: u32) -> Result<HashMap<String, Entry>, Error> {
    let _ = n;
    Ok(HashMap::from([("hunter2".to_owned(), Entry::Measured { value: f64::NAN })]))
}

#[flow]
async fn has_secrets(n: u32) -> Result<usize, Error> {
    Ok(keeps_secrets(n).await?.len())
}

#[tokio::test]
async fn a_refusal_of_a_sensitive_checkpoint_quotes_nothing_of_its_value() {
    let (kitaru, _) = memory().await;
    let error = has_secrets(1).on(&kitaru).await.unwrap_err();
    assert!(error.is_unreadable() && error.to_string().contains("checkpoint `keeps_secrets`"), "{error}");
    assert!(!format!("{error:#?}").contains("hunter2"), "{error}");
}

/// Boxes in boxes, which are dropped one after another.
#[derive(Default, Serialize, Deserialize)]
struct List {
    next: Option<Box<List>>,
}

impl List {
    fn of(length: usize) -> Self {
        (1..length).fold(List::default(), |list, _| List { next: Some(Box::new(list)) })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut list) = next {
            next = list.next.take();
        }
    }
}

#[checkpoint]
async fn gives_list(path: String, length: usize) -> Result<List, Error> {
    log(&path).say("ran");
    Ok(List::of(length))
}

#[checkpoint(codec = "json")]
async fn gives_list_as_json(length: usize) -> Result<List, Error> {
    Ok(List::of(length))
}

#[checkpoint]
async fn takes_list(list: List) -> Result<bool, Error> {
    Ok(list.next.is_some())
}

#[flow]
async fn lists_of_boxes(path: String, length: usize) -> Result<(), Error> {
    gives_list(path, length).await?;
    gives_list_as_json(length).await?;
    takes_list(List::of(length)).await?;
    kitaru::publish("list", &List::of(length))?;
    kitaru::log("list", &List::of(length))
}

#[flow]
async fn is_given_list(list: List) -> Result<List, Error> {
    kitaru::signal::<u32>("go").await?;
    let _ = list;
    Ok(List::of(120))
}

#[flow]
async fn takes_list_alone(length: usize) -> Result<bool, Error> {
    takes_list(List::of(length)).await
}

#[flow]
async fn shows_list(length: usize) -> Result<String, Error> {
    let shown = [kitaru::publish("list", &List::of(length)), kitaru::log("list", &List::of(length))];
    Ok(shown.map(|shown| shown.map_or_else(|error| error.to_string(), |()| "shown".to_owned())).join("; "))
}

#[flow]
async fn asks_with_list(length: usize) -> Result<bool, Error> {
    let wait = kitaru::wait::<bool>("list").metadata("list", &List::of(length));
    wait.deadline(Duration::from_secs(1)).await
}

const DEEP: &str = "nested deeper than 128 levels";

fn says_deep<T>(came: Result<T, Error>, what: &str) {
    let error = came.err().unwrap_or_else(|| panic!("{what}: it was taken"));
    assert!(format!("{error:#}").contains(DEEP), "{what}: {error:#}");
}

#[tokio::test]
async fn a_value_of_as_many_levels_as_are_allowed_goes_every_way() {
    let (kitaru, _) = memory().await;
    lists_of_boxes("values: shallow".into(), 126).on(&kitaru).await.unwrap();
    let handle = is_given_list(List::of(126)).id("job").on(&kitaru).start().await.unwrap();
    kitaru.signal(&handle, "list", &List::of(126)).await.unwrap();
    kitaru.answer(&handle, "list", &List::of(126)).await.unwrap();
    kitaru.signal(&handle, "go", &1).await.unwrap();
    handle.await.unwrap();
}

#[tokio::test]
async fn value_nested_too_deep_is_refused_everywhere_before_the_stack_is_at_risk() {
    let (kitaru, _) = memory().await;
    let handle = is_given_list(List::of(1)).id("open").on(&kitaru).start().await.unwrap();
    for length in [128, 3_000, 100_000] {
        let path = format!("values: deep {length}");
        says_deep(lists_of_boxes(path.clone(), length).on(&kitaru).await, "an outcome");
        assert_eq!(log(&path).take(), ["ran"]);
        says_deep(takes_list_alone(length).on(&kitaru).await, "an argument");
        says_deep(is_given_list(List::of(length)).on(&kitaru).await, "an input");
        let shown = shows_list(length).on(&kitaru).await.unwrap();
        assert_eq!(shown.matches(DEEP).count(), 2, "{shown}");
        says_deep(asks_with_list(length).on(&kitaru).await, "the metadata of a wait");
        says_deep(kitaru.signal(&handle, "list", &List::of(length)).await, "a signal");
        says_deep(kitaru.answer(&handle, "list", &List::of(length)).await, "an answer");
        says_deep(Resolution::happened(&List::of(length)), "what happened");
        let flow = dynamic::flow("deep").input("list", &List::of(length)).run(|| async { Ok::<_, Error>(()) });
        says_deep(flow.on(&kitaru).await, "an input without an attribute");
        let flow = dynamic::flow("deep").id_of(length).run(move || async move {
            dynamic::checkpoint("takes").arg("list", &List::of(length)).run(|| async { Ok::<_, Error>(()) }).await
        });
        says_deep(flow.on(&kitaru).await, "an argument without an attribute");
    }
    kitaru.signal(&handle, "go", &1).await.unwrap();
    handle.await.unwrap();
}

/// A key of its own for each length.
trait IdOf {
    fn id_of(self, length: usize) -> Self;
}

impl IdOf for dynamic::DynamicFlow {
    fn id_of(self, length: usize) -> Self {
        self.input("length", &length)
    }
}

#[checkpoint]
async fn grows(path: String, bytes: usize) -> Result<String, Error> {
    log(&path).say("ran");
    Ok("x".repeat(bytes))
}

#[flow]
async fn keeps_what_grows(path: String, bytes: usize) -> Result<usize, Error> {
    Ok(grows(path, bytes).await?.len())
}

#[flow]
async fn goes_past_what_is_too_large(path: String, bytes: usize) -> Result<String, Error> {
    let first = grows(path.clone(), bytes).await.map_or_else(|_| "too large".to_owned(), |text| text.len().to_string());
    grows(path, 1).await?;
    if log("values: stops").count("stop") > 0 { Err(Error::msg(first)) } else { Ok(first) }
}

async fn bounded(dir: &tempfile::TempDir, bytes: usize) -> Kitaru {
    Kitaru::builder()
        .dir(dir.path().join("store"))
        .max_outcome_bytes(bytes)
        .recovery(kitaru::Recovery::Manual)
        .open()
        .await
        .unwrap()
}

#[tokio::test]
async fn outcome_over_the_bound_is_tried_again_only_under_a_higher_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = "values: outgrown";
    for bound in [1_000, 2_000, 4_999] {
        let kitaru = bounded(&dir, bound).await;
        let error = keeps_what_grows(path.into(), 5_000).id("job").on(&kitaru).await.unwrap_err();
        assert!(error.is_too_large(), "{error:?}");
        let message = error.to_string();
        for part in
            ["checkpoint `grows`", "500", "1000", "max_outcome_bytes", "call the flow again", "forget(\"grows\")"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        kitaru.close().await.unwrap();
    }
    assert_eq!(log(path).take(), ["ran"], "it is not run again for the same end");
    let kitaru = reopen(&dir).await;
    assert_eq!(keeps_what_grows(path.into(), 5_000).id("job").on(&kitaru).await.unwrap(), 5_000);
    assert_eq!(log(path).take(), ["ran"]);
}

#[tokio::test]
async fn settled_outcome_over_the_bound_stays_too_large_under_a_higher_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = "values: past large";
    log("values: stops").say("stop");
    let kitaru = bounded(&dir, 1_000).await;
    let flow = || goes_past_what_is_too_large(path.into(), 5_000).id("job");
    assert_eq!(flow().on(&kitaru).await.unwrap_err().to_string(), "too large");
    kitaru.close().await.unwrap();
    log("values: stops").take();
    let kitaru = reopen(&dir).await;
    assert_eq!(flow().on(&kitaru).await.unwrap(), "too large");
    assert_eq!(log(path).take(), ["ran", "ran"], "one of them is the call behind");
}

#[flow]
async fn takes_text(text: String) -> Result<usize, Error> {
    Ok(text.len())
}

#[flow]
async fn calls_with_text(bytes: usize) -> Result<usize, Error> {
    takes_text("x".repeat(bytes)).await
}

#[flow]
async fn continues_with_text(text: String) -> Result<usize, Error> {
    if text.is_empty() {
        return continues_with_text("x".repeat(5_000)).continue_as_new().await;
    }
    Ok(text.len())
}

#[tokio::test]
async fn the_bound_of_a_store_bounds_inputs_too_lowered_and_raised() {
    let low = Kitaru::builder().in_memory().max_outcome_bytes(1_000).open().await.unwrap();
    let text = || "x".repeat(5_000);
    let error = takes_text(text()).id("job").on(&low).await.unwrap_err();
    assert!(error.is_too_large(), "{error:?}");
    for part in ["flow `takes_text`", "500", "1000", "max_outcome_bytes"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(low.execution(("takes_text", "job")).await.unwrap().is_none(), "nothing of it was begun");
    assert!(takes_text(text()).on(&low).start().await.unwrap_err().is_too_large());
    assert!(calls_with_text(5_000).on(&low).await.unwrap_err().is_too_large(), "a child's");
    assert!(continues_with_text(String::new()).on(&low).await.unwrap_err().is_too_large(), "of the next generation");
    let own = || dynamic::flow("own").input("text", &text()).run(|| async { Ok::<_, Error>(1) });
    assert!(own().on(&low).await.unwrap_err().is_too_large());
    assert_eq!(takes_text("x".repeat(900)).on(&low).await.unwrap(), 900);

    let high = Kitaru::builder().in_memory().max_outcome_bytes(80 << 20).open().await.unwrap();
    assert_eq!(takes_text("x".repeat(65 << 20)).on(&high).await.unwrap(), 65 << 20);
}
