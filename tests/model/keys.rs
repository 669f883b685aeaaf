//! Idempotency keys of checkpoints that are called in a body.

use kitaru::testkit::Testkit;
use kitaru::{Error, Kitaru, checkpoint, flow};

use crate::support::log;

#[checkpoint]
async fn pay(path: &str, to: &str) -> Result<(), Error> {
    log(path).say(format!("{to} {}", kitaru::idempotency_key()));
    Ok(())
}

/// Pays one of them twice in each try, and fails in the first two tries.
#[checkpoint(retries = 2, backoff = "1ms")]
async fn pays_all(path: &str) -> Result<(), Error> {
    log(path).say(format!("own {}", kitaru::idempotency_key()));
    pay(path, "Ada").await?;
    pay(path, "Bob").await?;
    pay(path, "Ada").await?;
    log(path).say("tried");
    if log(path).count("tried").is_multiple_of(3) { Ok(()) } else { Err(Error::msg("once more")) }
}

#[flow]
async fn payday(path: String) -> Result<(), Error> {
    pays_all(&path).await
}

/// The log of each try.
fn tries(path: &str) -> Vec<Vec<String>> {
    let said = log(path).take();
    said.split(|line| line == "tried").map(<[String]>::to_vec).filter(|said| !said.is_empty()).collect()
}

#[tokio::test]
async fn keys_of_checkpoints_in_a_body_are_distinct_and_the_same_on_every_try() {
    let kit = Testkit::new();
    let path = "keys: tries";
    kit.fast_forward(payday(path.into()).id("job")).await.unwrap();
    let mut tries = tries(path);
    assert_eq!(tries.len(), 3);
    let first = tries.remove(0);
    assert!(tries.iter().all(|tried| *tried == first), "{first:#?} {tries:#?}");
    let keys: std::collections::HashSet<_> = first.iter().map(|said| said.rsplit_once(' ').unwrap().1).collect();
    assert_eq!(keys.len(), 4, "the body, its two calls for Ada, the one for Bob: {first:#?}");
}

#[tokio::test]
async fn the_keys_of_checkpoints_in_a_body_differ_in_another_execution() {
    let kit = Testkit::new();
    let mut seen = Vec::new();
    let path = "keys: two executions";
    for id in ["one", "two"] {
        kit.fast_forward(payday(path.into()).id(id)).await.unwrap();
        seen.extend(tries(path).remove(0).iter().map(|said| said.rsplit_once(' ').unwrap().1.to_owned()));
    }
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:#?}");
}

/// The pause of the outer checkpoint parks the flow: the next try belongs to a new attempt.
#[checkpoint(retries = 1, backoff = "1h", max_backoff = "1h")]
async fn pays_late(path: &str) -> Result<(), Error> {
    pay(path, "Ada").await?;
    log(path).say("tried");
    if log(path).count("tried") == 2 { Ok(()) } else { Err(Error::msg("once more")) }
}

#[flow]
async fn late_payday(path: String) -> Result<(), Error> {
    pays_late(&path).await
}

#[tokio::test]
async fn keys_of_checkpoints_in_a_body_stay_when_the_flow_is_parked_between_tries() {
    let kit = Testkit::new();
    let path = "keys: parked";
    kit.fast_forward(late_payday(path.into()).id("job")).await.unwrap();
    let tries = tries(path);
    assert!(tries.len() == 2 && tries[0] == tries[1], "{tries:#?}");
}

/// A checkpoint with tries of its own in a body with tries of its own.
#[checkpoint(retries = 1, backoff = "1ms")]
async fn pays_again(path: &str) -> Result<(), Error> {
    pay(path, "Eve").await?;
    log(path).say("inner");
    if log(path).count("inner").is_multiple_of(2) { Ok(()) } else { Err(Error::msg("once more")) }
}

#[checkpoint(retries = 1, backoff = "1ms")]
async fn pays_deep(path: &str) -> Result<(), Error> {
    pays_again(path).await?;
    log(path).say("tried");
    if log(path).count("tried") == 2 { Ok(()) } else { Err(Error::msg("once more")) }
}

#[flow]
async fn deep_payday(path: String) -> Result<(), Error> {
    pays_deep(&path).await
}

#[tokio::test]
async fn a_key_is_the_same_however_deep_the_tries_are() {
    // Its pauses are in a body, and the testkit does not advance the clock for those.
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let path = "keys: deep";
    deep_payday(path.into()).id("job").on(&kitaru).await.unwrap();
    let said = log(path).take();
    let keys: Vec<_> = said.iter().filter(|line| line.starts_with("Eve")).collect();
    assert!(keys.len() == 4 && keys.iter().all(|key| *key == keys[0]), "{said:#?}");
}
