//! Values that flows and bodies publish while they run.

use std::time::Duration;

use kitaru::{Error, Kitaru, checkpoint, flow, testkit};

use crate::support::{disk, log, memory, reopen};

#[checkpoint]
async fn page(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("page {n}"));
    kitaru::log("page", &n)?;
    kitaru::log("source", "draft")?;
    kitaru::log("source", "archive")?;
    kitaru::publish("in the body", &n)?;
    if log(&path).count(&format!("hang {n}")) > 0 {
        std::future::pending::<()>().await;
    }
    if log(&path).count(&format!("fail {n}")) > 0 { Err(Error::msg("torn")) } else { Ok(n) }
}

#[flow]
async fn pages(path: String, count: u32) -> Result<u32, Error> {
    kitaru::log("customer", "ACME")?;
    for n in 1..=count {
        kitaru::publish("progress", &n)?;
        page(path.clone(), n).await?;
    }
    kitaru::publish("progress", &"done")?;
    Ok(count)
}

async fn progress(kitaru: &Kitaru, id: &str) -> serde_json::Value {
    kitaru.published(&("pages", id), "progress").await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn published_value_is_read_and_watched_until_the_execution_ends() {
    let (kitaru, _) = memory().await;
    let handle = pages("publishing: watched".into(), 3).id("job").on(&kitaru).start().await.unwrap();
    let mut watched = kitaru.watch::<serde_json::Value>(&handle, "progress");
    let mut seen = Vec::new();
    while let Some(value) = watched.next().await.unwrap() {
        seen.push(value.to_string());
    }
    assert_eq!(seen.last().unwrap(), "\"done\"", "{seen:?}");
    assert!(seen.is_sorted_by_key(|value| value.parse::<u32>().unwrap_or(u32::MAX)), "{seen:?}");
    assert_eq!(progress(&kitaru, "job").await, "done", "it stays");
    assert_eq!(handle.await.unwrap(), 3);
    assert_eq!(kitaru.published::<u32>(&("pages", "job"), "in the body").await.unwrap(), Some(3));
    assert_eq!(kitaru.published::<u32>(&("pages", "job"), "nothing").await.unwrap(), None);

    let error = kitaru.published::<u32>(&("pages", "job"), "progress").await.unwrap_err();
    assert!(error.is_unreadable() && error.to_string().contains("\"done\""), "{error}");
    let error = kitaru.published::<u32>(&("pages", "absent"), "progress").await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("the store has no execution"), "{error}");
}

#[tokio::test]
async fn replay_does_not_return_to_earlier_published_values() {
    let (kitaru, dir) = disk().await;
    let path = "publishing: replayed";
    log(path).say("hang 3");
    let handle = pages(path.into(), 4).id("job").on(&kitaru).start().await.unwrap();
    log(path).until("page 3").await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    for _ in 0..3 {
        let kitaru = reopen(&dir).await;
        assert_eq!(progress(&kitaru, "job").await, 3);
        log(path).take();
        log(path).say("hang 3");
        let mut watched = kitaru.watch::<u32>(&("pages", "job"), "progress");
        assert_eq!(watched.next().await.unwrap(), Some(3));
        let handle = pages(path.into(), 4).id("job").on(&kitaru).start().await.unwrap();
        log(path).until("page 3").await;
        let next = tokio::time::timeout(Duration::from_millis(20), watched.next()).await;
        assert!(next.is_err(), "nothing is shown again: {next:?}");
        kitaru.close().grace(Duration::ZERO).await.unwrap();
        drop(handle);
        assert!(watched.next().await.unwrap_err().is_closed());
    }
    let kitaru = reopen(&dir).await;
    log(path).take();
    assert_eq!(pages(path.into(), 4).id("job").on(&kitaru).await.unwrap(), 4);
    assert_eq!(progress(&kitaru, "job").await, "done");
    kitaru.close().await.unwrap();
}

/// Continues past an error, publishes that, and hangs in its own code.
#[flow]
async fn shows_an_error(path: String) -> Result<u32, Error> {
    let failed = page(path.clone(), 1).await.is_err();
    kitaru::publish("failed", &failed)?;
    if log(&path).count("stop here") > 0 {
        std::future::pending::<()>().await;
    }
    Ok(u32::from(failed))
}

#[tokio::test]
async fn error_is_settled_before_a_value_that_is_published_after_it_is_visible() {
    let (kitaru, dir) = disk().await;
    let path = "publishing: settled";
    log(path).say("fail 1");
    log(path).say("stop here");
    let handle = shows_an_error(path.into()).id("job").on(&kitaru).start().await.unwrap();
    let mut watched = kitaru.watch::<bool>(&handle, "failed");
    assert_eq!(watched.next().await.unwrap(), Some(true));
    let execution = kitaru.execution(("shows_an_error", "job")).await.unwrap().unwrap();
    assert!(execution.records()[0].is_settled());
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop((handle, watched));
    let kitaru = reopen(&dir).await;
    log(path).take();
    assert_eq!(shows_an_error(path.into()).id("job").on(&kitaru).await.unwrap(), 1);
    assert!(log(path).take().is_empty(), "it is the same error on every replay");
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn metadata_is_kept_with_the_record_of_a_body_and_with_the_execution() {
    let (kitaru, _) = memory().await;
    pages("publishing: notes".into(), 2).id("job").on(&kitaru).await.unwrap();
    let execution = kitaru.execution(("pages", "job")).await.unwrap().unwrap();
    assert_eq!(execution.metadata(), &serde_json::json!({ "customer": "ACME" }));
    let noted: Vec<_> = execution.records().iter().map(|record| record.metadata()).collect();
    let note = |n: u32| serde_json::json!({ "page": n, "source": "archive" });
    assert_eq!(noted, [note(1), note(2)]);
}

#[checkpoint]
async fn says_much(path: String) -> Result<String, Error> {
    let much = "x".repeat(40 << 10);
    kitaru::log("first", &much)?;
    log(&path).say(kitaru::log("second", &much).unwrap_err().to_string());
    kitaru::log("first", "less")?;
    kitaru::log("second", &much)?;
    Ok(kitaru::publish("much", &"x".repeat(1 << 20)).unwrap_err().to_string())
}

#[flow]
async fn says_too_much(path: String) -> Result<String, Error> {
    says_much(path).await
}

#[tokio::test]
async fn published_values_and_metadata_are_bounded_and_belong_to_a_flow() {
    let (kitaru, _) = memory().await;
    let path = "publishing: much";
    let refused = says_too_much(path.into()).on(&kitaru).await.unwrap();
    assert!(refused.contains("the bound is 1048576"), "{refused}");
    assert!(log(path).take()[0].contains("the bound is 65536"));

    let error = kitaru::publish("progress", &1).unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("no flow is in scope"), "{error}");
    assert!(kitaru::log("customer", &1).unwrap_err().is_misuse());
    let plain = testkit::plain(async { page("publishing: plain".into(), 1).await });
    assert_eq!(plain.await.unwrap(), 1);
}

/// Publishes in its first generation only.
#[flow]
async fn shows_once(round: u32) -> Result<u32, Error> {
    if round == 2 {
        return Ok(round);
    }
    kitaru::publish("shown", &round)?;
    shows_once(round + 1).continue_as_new().await
}

#[tokio::test]
async fn published_value_stays_when_a_flow_continues_in_a_new_generation() {
    let (kitaru, _) = memory().await;
    assert_eq!(shows_once(1).id("job").on(&kitaru).await.unwrap(), 2);
    assert_eq!(kitaru.execution(("shows_once", "job")).await.unwrap().unwrap().generation(), 2);
    assert_eq!(kitaru.published::<u32>(&("shows_once", "job"), "shown").await.unwrap(), Some(1));
}
