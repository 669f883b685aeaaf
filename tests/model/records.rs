//! Section 3: a record answers only its own call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use kitaru::{Error, RecordStatus, checkpoint, flow};
use serde::{Deserialize, Serialize};

use crate::support::{log, memory, names};

#[checkpoint]
async fn draft(path: String, topic: String) -> Result<String, Error> {
    log(&path).say(&topic);
    Ok(topic.to_uppercase())
}

/// Drafts the topics in the log, and fails, so that the next call resumes as if with other code.
#[flow]
async fn drafts(path: String) -> Result<(), Error> {
    let topics = log(&format!("{path}-topics")).take();
    for topic in topics {
        draft(path.clone(), topic).await?;
    }
    Err(Error::msg("the end"))
}

/// Runs the flow with these topics; returns the topics whose bodies ran.
async fn drafted(kitaru: &kitaru::Kitaru, path: &str, topics: &[&str]) -> Vec<String> {
    let said = log(&format!("{path}-topics"));
    topics.iter().for_each(|topic| said.say(*topic));
    drafts(path.into()).id(path).on(kitaru).await.unwrap_err();
    log(path).take()
}

#[tokio::test]
async fn names_are_numbered_in_the_order_of_calls_and_a_record_keeps_its_name() {
    let (kitaru, _) = memory().await;
    assert_eq!(drafted(&kitaru, "names", &["a", "b"]).await, ["a", "b"]);
    assert_eq!(names(&kitaru, "drafts", "names").await, ["draft", "draft_2"]);
    assert_eq!(drafted(&kitaru, "names", &["b", "c", "a"]).await, ["c"]);
    assert_eq!(names(&kitaru, "drafts", "names").await, ["draft", "draft_2", "draft_3"]);
}

#[tokio::test]
async fn calls_may_be_reordered_inserted_and_removed_and_fitting_records_are_used() {
    let (kitaru, _) = memory().await;
    assert_eq!(drafted(&kitaru, "moves", &["a", "b", "c"]).await, ["a", "b", "c"]);
    assert!(drafted(&kitaru, "moves", &["c", "a", "b"]).await.is_empty(), "reordered");
    assert!(drafted(&kitaru, "moves", &["c", "b"]).await.is_empty(), "removed");
    assert_eq!(drafted(&kitaru, "moves", &["a", "new", "b", "c"]).await, ["new"], "inserted");
}

#[tokio::test]
async fn equal_calls_differ_by_their_occurrence() {
    let (kitaru, _) = memory().await;
    assert_eq!(drafted(&kitaru, "equal", &["a", "a"]).await, ["a", "a"]);
    assert_eq!(drafted(&kitaru, "equal", &["a", "a", "a"]).await, ["a"]);
    assert!(drafted(&kitaru, "equal", &["a", "a", "a"]).await.is_empty());
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(transparent)]
struct Tags {
    inner: HashSet<String>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
struct Order {
    lines: HashMap<String, HashSet<u32>>,
    tags: Tags,
    note: BTreeMap<u8, String>,
}

static TAKEN: AtomicU32 = AtomicU32::new(0);

#[checkpoint]
async fn takes_order(order: &Order) -> Result<usize, Error> {
    TAKEN.fetch_add(1, Ordering::SeqCst);
    Ok(order.lines.len())
}

fn order() -> Order {
    // Each set and map has its own seed, so that they iterate in another order each time.
    Order {
        lines: (0..20).map(|n| (format!("line {n}"), (0..20).map(|m| m * n).collect())).collect(),
        tags: Tags { inner: (0..30).map(|n| format!("tag {n}")).collect() },
        note: BTreeMap::from([(1, "x".into())]),
    }
}

#[flow]
async fn orders(tries: u32) -> Result<(), Error> {
    let _ = tries;
    takes_order(&order()).await?;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn maps_and_sets_are_the_same_argument_in_any_order() {
    let (kitaru, _) = memory().await;
    for _ in 0..20 {
        orders(1).on(&kitaru).await.unwrap_err();
    }
    assert_eq!(TAKEN.load(Ordering::SeqCst), 1);
}

/// Has no serde, and is not part of the key.
struct Client(AtomicU32);

#[checkpoint(skip(client))]
async fn skips(client: &Client, n: u32) -> u32 {
    client.0.fetch_add(1, Ordering::SeqCst);
    n
}

#[checkpoint(key(n))]
async fn keyed(client: &Client, n: u32, noise: u64) -> u32 {
    client.0.fetch_add(1, Ordering::SeqCst);
    n.wrapping_add(noise as u32)
}

struct Service {
    region: String,
    hits: AtomicU32,
}

impl Service {
    #[checkpoint]
    async fn fetch(&self, n: u32) -> Result<String, Error> {
        self.hits.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{} {n}", self.region))
    }
}

static SERVED: AtomicU32 = AtomicU32::new(0);
static SKIPPED: AtomicU32 = AtomicU32::new(0);

#[flow]
async fn picks_arguments(n: u32) -> Result<(), Error> {
    let client = Client(AtomicU32::new(0));
    skips(&client, n).await;
    keyed(&client, n, crate::support::chance()).await;
    SKIPPED.fetch_add(client.0.load(Ordering::SeqCst), Ordering::SeqCst);
    let service = Service { region: crate::support::chance().to_string(), hits: AtomicU32::new(0) };
    service.fetch(n).await?;
    SERVED.fetch_add(service.hits.load(Ordering::SeqCst), Ordering::SeqCst);
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn key_and_skip_pick_the_arguments_and_self_counts_only_if_picked() {
    let (kitaru, _) = memory().await;
    for _ in 0..3 {
        picks_arguments(1).on(&kitaru).await.unwrap_err();
    }
    assert_eq!(SKIPPED.load(Ordering::SeqCst), 2, "two bodies, once each");
    assert_eq!(SERVED.load(Ordering::SeqCst), 1);
}

#[flow]
async fn looks(n: u32) -> Result<u32, Error> {
    let path = "looks".to_owned();
    draft(path.clone(), "tides".into()).named("intro").await?;
    draft(path, "winds".into()).named("intro").await?;
    secret("hunter2".into()).await?;
    Ok(n)
}

#[checkpoint(sensitive)]
async fn secret(password: String) -> Result<String, Error> {
    Ok(format!("{password}!"))
}

#[tokio::test]
async fn record_shows_its_name_arguments_and_outcome_and_nothing_sensitive() {
    let (kitaru, _) = memory().await;
    looks(1).id("job").on(&kitaru).await.unwrap();
    let execution = kitaru.execution(("looks", "job")).await.unwrap().unwrap();
    let [first, second, secret] = execution.records() else { panic!("{:?}", execution.records()) };
    assert_eq!((first.name(), second.name(), first.checkpoint()), ("intro", "intro_2", "draft"));
    assert_eq!((first.status(), first.attempt(), first.tries()), (RecordStatus::Completed, 1, 1));
    assert_eq!(first.preview(), "\"TIDES\"");
    let arguments: Vec<_> = first.arguments().collect();
    assert_eq!(arguments, [("path", "\"looks\""), ("topic", "\"tides\"")]);
    assert!(!format!("{secret:?}").contains("hunter2"), "{secret:?}");
    assert_eq!(execution.input(), "n=1");
}

#[tokio::test]
async fn a_record_of_an_older_generation_answers_nothing() {
    let (kitaru, _) = memory().await;
    assert_eq!(drafted(&kitaru, "generations", &["a"]).await, ["a"]);
    log("generations-topics").say("a");
    drafts("generations".into()).id("generations").fresh().on(&kitaru).await.unwrap_err();
    assert_eq!(log("generations").take(), ["a"]);
}
