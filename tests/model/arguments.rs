//! Section 3: the arguments that decide whether a record answers a call.

use std::collections::{BTreeSet, HashSet};

use kitaru::{Error, checkpoint, flow};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::support::{log, memory};

/// A set of another crate with a hand-written `Serialize`: serde sees a list.
#[derive(Clone, Deserialize)]
struct ByHand(Vec<u32>);

impl Serialize for ByHand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|item| list.serialize_element(item))?;
        list.end()
    }
}

#[checkpoint(skip(path))]
async fn takes_a_set(path: &str, set: HashSet<u32>) -> usize {
    log(path).say("set");
    set.len()
}

#[checkpoint(skip(path))]
async fn takes_a_set_by_hand(path: &str, set: ByHand) -> usize {
    log(path).say("by hand");
    set.0.len()
}

#[checkpoint(skip(path))]
async fn takes_a_list(path: &str, list: Vec<u32>) -> usize {
    log(path).say("list");
    list.len()
}

/// The arguments of this attempt. No real flow should change them between attempts.
fn turn(path: &str) -> Vec<u32> {
    let mut numbers = vec![1, 2, 3];
    numbers.rotate_left(log(&format!("{path}-turn")).count("turn"));
    numbers
}

#[flow]
async fn turns(path: String) -> Result<(), Error> {
    let numbers = turn(&path);
    takes_a_set(&path, numbers.iter().copied().collect()).await;
    takes_a_list(&path, numbers.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()).await;
    takes_a_set_by_hand(&path, ByHand(numbers.clone())).await;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn the_order_of_a_list_counts_and_of_a_set_that_is_written_by_hand() {
    let (kitaru, _) = memory().await;
    let path = "arguments: turns";
    turns(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).take(), ["set", "list", "by hand"]);
    turns(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(log(path).take().is_empty());
    log("arguments: turns-turn").say("turn");
    turns(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).take(), ["by hand"]);
}

#[derive(Serialize)]
struct Service {
    region: String,
}

impl Service {
    #[checkpoint(key(self, n))]
    async fn fetches_by_region(&self, path: &str, n: u32, noise: u64) -> u64 {
        log(path).say(format!("region {} {n}", self.region));
        noise
    }

    #[checkpoint(skip(path))]
    async fn fetches_anywhere(&self, path: &str, n: u32) -> u32 {
        log(path).say(format!("anywhere {n}"));
        n
    }
}

#[flow]
async fn fetches(path: String) -> Result<(), Error> {
    let said = log(&format!("{path}-is"));
    let service = Service { region: if said.count("south") > 0 { "south" } else { "north" }.to_owned() };
    let n = said.count("more") as u32;
    service.fetches_by_region(&path, n, crate::support::chance()).await;
    service.fetches_anywhere(&path, n).await;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn arguments_picked_by_a_key_count_and_self_only_if_picked() {
    let (kitaru, _) = memory().await;
    let path = "arguments: fetches";
    let said = log("arguments: fetches-is");
    for (turn, runs) in [
        ("first", &["region north 0", "anywhere 0"][..]),
        ("noise alone", &[]),
        ("south", &["region south 0"]),
        ("more", &["region south 1", "anywhere 1"]),
    ] {
        said.say(turn);
        fetches(path.into()).id("job").on(&kitaru).await.unwrap_err();
        assert_eq!(log(path).take(), runs, "{turn}");
    }
}

#[checkpoint(skip(path))]
async fn must_agree(path: &str, n: usize) -> Result<usize, Error> {
    log(path).say(format!("ran {n}"));
    if n == 0 { Err(Error::msg("not 0")) } else { Ok(n) }
}

#[flow(on_divergence = "fail")]
async fn disagrees(path: String) -> Result<usize, Error> {
    must_agree(&path, log(&format!("{path}-n")).count("n")).await?;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn error_that_is_not_settled_is_not_a_divergence() {
    let (kitaru, _) = memory().await;
    let path = "arguments: disagrees";
    let call = || disagrees(path.into()).id("job").on(&kitaru);
    assert_eq!(call().await.unwrap_err().to_string(), "not 0");
    log("arguments: disagrees-n").say("n");
    assert_eq!(call().await.unwrap_err().to_string(), "the end", "another argument than that of the error");
    log("arguments: disagrees-n").say("n");
    assert!(call().await.unwrap_err().is_divergence(), "another one than that of the value");
    assert_eq!(log(path).take(), ["ran 0", "ran 1"]);
}
