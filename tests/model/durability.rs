//! Section 5: received outcomes are durable; bodies run at least once, or at most once if set.

use std::time::Duration;

use kitaru::{Error, Handle, Kitaru, RecordStatus, Resolution, Status, checkpoint, flow};

use crate::support::{disk, log, memory, reopen};

#[checkpoint(at_most_once)]
async fn charges(path: String) -> Result<u32, Error> {
    let path = log(&path);
    path.say("charged");
    if path.count("hang") > 0 {
        std::future::pending::<()>().await;
    }
    if path.count("fail") > 0 {
        return Err(Error::msg("declined"));
    }
    Ok(1)
}

#[flow]
async fn pays(path: String) -> Result<u32, Error> {
    charges(path).await
}

#[tokio::test]
async fn an_at_most_once_body_that_was_cut_off_is_not_run_again() {
    let (kitaru, dir) = disk().await;
    log("cut").say("hang");
    let cut = pays("cut".into()).id("job").on(&kitaru).start().await.unwrap();
    while log("cut").count("charged") == 0 {
        tokio::task::yield_now().await;
    }
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(cut);
    let kitaru = reopen(&dir).await;
    let begun = kitaru.execution(("pays", "job")).await.unwrap().unwrap();
    assert_eq!(begun.records()[0].status(), RecordStatus::Begun);
    log("cut").take();
    for _ in 0..2 {
        let error = pays("cut".into()).id("job").on(&kitaru).await.unwrap_err();
        assert!(error.is_interrupted() && error.to_string().contains("`charges`"), "{error}");
        assert!(error.to_string().ends_with("use Kitaru::resume(…).forget(\"charges\")"), "{error}");
    }
    assert!(log("cut").take().is_empty());
    let execution = kitaru.execution(("pays", "job")).await.unwrap().unwrap();
    assert_eq!(execution.records().len(), 1, "the outcome takes the place of the intent");
    assert!(execution.records()[0].is_settled());
}

#[tokio::test]
async fn error_of_an_at_most_once_body_is_settled_immediately() {
    let (kitaru, _) = memory().await;
    log("declined").say("fail");
    for _ in 0..2 {
        assert_eq!(pays("declined".into()).on(&kitaru).await.unwrap_err().to_string(), "declined");
    }
    assert_eq!(log("declined").count("charged"), 1);
}

#[flow]
async fn pays_with_retries(path: String) -> Result<u32, Error> {
    charges(path).retries(1).await
}

#[tokio::test]
async fn an_at_most_once_call_with_retries_is_refused_before_anything_runs() {
    let (kitaru, _) = memory().await;
    let error = pays_with_retries("retried".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
    assert!(log("retried").take().is_empty());
}

#[checkpoint(retries = 1, backoff = "1ms")]
async fn keyed(path: String, n: u32) -> Result<u32, Error> {
    let path = log(&path);
    path.say(format!("{n} {}", kitaru::idempotency_key()));
    if path.count("fail") > 0 { Err(Error::msg("busy")) } else { Ok(n) }
}

#[flow]
async fn sends(path: String) -> Result<u32, Error> {
    let first = keyed(path.clone(), 1).await?;
    Ok(first + keyed(path.clone(), 1).await? + keyed(path, 2).await?)
}

#[tokio::test]
async fn idempotency_key_is_the_same_on_every_attempt_and_try_and_differs_otherwise() {
    // Its retries wait by the system's clock, for a millisecond.
    let kitaru = kitaru::Kitaru::builder().in_memory().open().await.unwrap();
    let path = log("keys");
    path.say("fail");
    sends("keys".into()).id("job").on(&kitaru).await.unwrap_err();
    let mut tried = path.take();
    tried.remove(0);
    assert_eq!(tried.len(), 2);
    assert_eq!(tried[0], tried[1], "another try");
    sends("keys".into()).id("job").on(&kitaru).await.unwrap();
    let second = path.take();
    assert_eq!(second[0], tried[0], "another attempt");
    assert_eq!(second.len(), 3);
    assert_ne!(second[0], second[1], "another occurrence");
    assert_ne!(second[1][2..], second[2][2..], "other arguments");
    sends("keys".into()).id("job").fresh().on(&kitaru).await.unwrap();
    let fresh = path.take();
    assert!(fresh.iter().all(|key| !second.contains(key)), "another generation");
}

#[checkpoint(skip(path))]
async fn ships(path: String, parcel: &str) -> Result<u32, Error> {
    let path = log(&path);
    path.say(format!("{parcel} {}", if kitaru::may_have_run() { "again?" } else { "first" }));
    if path.count(&format!("hang at {parcel}")) > 0 {
        std::future::pending::<()>().await;
    }
    if path.count(&format!("fail at {parcel}")) > 0 { Err(Error::msg("lost")) } else { Ok(1) }
}

#[flow]
async fn delivers(path: String) -> Result<u32, Error> {
    let first = ships(path.clone(), "a").await?;
    let (b, rest) = tokio::join!(ships(path.clone(), "b"), async {
        let shipped = ships(path.clone(), "c").await?;
        Ok::<_, Error>(shipped + ships(path.clone(), "d").await?)
    });
    let both = b? + rest?;
    Ok(first + both + ships(path, "f").await?)
}

#[tokio::test]
async fn body_may_have_run_only_where_the_journal_of_a_killed_process_ends() {
    let (kitaru, dir) = disk().await;
    let path = log("parcels");
    path.say("hang at b");
    path.say("hang at d");
    let handle = delivers("parcels".into()).id("job").on(&kitaru).start().await.unwrap();
    while path.count("b first") + path.count("d first") < 2 {
        tokio::task::yield_now().await;
    }
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    assert_eq!(path.take()[2..], ["a first", "b first", "c first", "d first"]);

    // Both interrupted bodies may have run, and the later ones have not.
    let kitaru = reopen(&dir).await;
    path.say("fail at f");
    delivers("parcels".into()).id("job").on(&kitaru).await.unwrap_err();
    let mut again = path.take().split_off(1);
    again.sort();
    assert_eq!(again, ["b again?", "d again?", "f first"]);
    assert_eq!(delivers("parcels".into()).id("job").on(&kitaru).await.unwrap(), 5);
    assert_eq!(path.take(), ["f first"], "a failure is known, and no crash");
}

#[flow]
async fn fails_in_front(path: String) -> Result<u32, Error> {
    if log(&path).count("fail in front") > 0 {
        return Err(Error::msg("not yet"));
    }
    ships(path, "g").await
}

#[tokio::test]
async fn body_may_have_run_although_another_attempt_has_failed_in_front_of_it() {
    let (kitaru, dir) = disk().await;
    let path = log("in front");
    let call = || fails_in_front("in front".into()).id("job");
    path.say("fail in front");
    call().on(&kitaru).await.unwrap_err();
    path.take();
    path.say("hang at g");
    let handle = call().on(&kitaru).start().await.unwrap();
    while path.count("g first") + path.count("g again?") == 0 {
        tokio::task::yield_now().await;
    }
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    assert_eq!(path.take()[1..], ["g first"], "no attempt crashed before");

    let kitaru = reopen(&dir).await;
    for _ in 0..2 {
        path.say("fail in front");
        call().on(&kitaru).await.unwrap_err();
    }
    path.take();
    assert_eq!(call().on(&kitaru).await.unwrap(), 1);
    assert_eq!(path.take(), ["g again?"]);
}

#[checkpoint(skip(path))]
async fn signs(path: String) -> Result<u32, Error> {
    log(&path).say("signed");
    std::future::pending::<()>().await;
    Ok(1)
}

#[flow]
async fn delivers_behind_a_signature(path: String) -> Result<u32, Error> {
    // Unsigned in the first attempt.
    if log(&path).count("no signature") == 0 {
        signs(path.clone()).await?;
    }
    kitaru::now();
    ships(path, "e").await
}

#[tokio::test]
async fn body_that_begins_after_a_new_outcome_has_not_run_before() {
    let (kitaru, dir) = disk().await;
    let path = log("signature");
    let handle = delivers_behind_a_signature("signature".into()).id("job").on(&kitaru).start().await.unwrap();
    while path.count("signed") == 0 {
        tokio::task::yield_now().await;
    }
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    let kitaru = reopen(&dir).await;
    path.say("no signature");
    delivers_behind_a_signature("signature".into()).id("job").on(&kitaru).await.unwrap();
    assert_eq!(path.take()[2..], ["e first"], "the time in front of it is new");
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn transfers(path: String) -> Result<u32, Error> {
    if kitaru::may_have_run() {
        log(&path).say("perhaps for a second time");
    }
    log(&path).say("transferred");
    if log(&path).count("hang") > 0 {
        std::future::pending::<()>().await;
    }
    Ok(1)
}

#[flow]
async fn settles(path: String) -> Result<u32, Error> {
    transfers(path).await
}

/// An execution whose process ended during the body.
async fn interrupted(path: &str, id: &str) -> (Kitaru, tempfile::TempDir) {
    let (kitaru, dir) = disk().await;
    log(path).say("hang");
    let handle = settles(path.into()).id(id).on(&kitaru).start().await.unwrap();
    while log(path).count("transferred") == 0 {
        tokio::task::yield_now().await;
    }
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    log(path).take();
    (reopen(&dir).await, dir)
}

async fn asked(kitaru: &Kitaru, path: &str, id: &str) -> Handle<Result<u32, Error>> {
    let handle = settles(path.into()).id(id).on(kitaru).start().await.unwrap();
    while kitaru.execution(("settles", id)).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    handle
}

#[tokio::test]
async fn person_decides_about_an_interrupted_body() {
    let path = "asked: happened";
    let (kitaru, dir) = interrupted(path, "job").await;
    let handle = asked(&kitaru, path, "job").await;
    let execution = kitaru.execution(("settles", "job")).await.unwrap().unwrap();
    let [wait] = execution.waits() else { panic!("{:?}", execution.waits()) };
    assert!(wait.name() == "transfers" && wait.question().contains("at most once"), "{wait:?}");
    // An answer that does not fit is refused, and the question stays open.
    let happened = Resolution::happened("no number").unwrap();
    let error = kitaru.answer(&execution, "transfers", &happened).await.unwrap_err();
    assert!(error.is_unreadable() && error.to_string().contains("transfers"), "{error}");
    let error = kitaru.answer(&execution, "transfers", &7).await.unwrap_err();
    assert!(error.to_string().contains("run_again"), "{error}");
    kitaru.answer(&execution, "transfers", &Resolution::happened(&7).unwrap()).await.unwrap();
    assert_eq!(handle.await.unwrap(), 7);
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    assert_eq!(settles(path.into()).id("job").on(&kitaru).await.unwrap(), 7, "it is recorded");
    assert!(log(path).take().is_empty(), "the body did not run again");
}

#[tokio::test]
async fn a_body_that_was_cut_off_runs_again_or_fails_as_a_person_says() {
    let path = "asked: again";
    let (kitaru, dir) = interrupted(path, "job").await;
    let handle = asked(&kitaru, path, "job").await;
    log(path).say("hang");
    kitaru.answer(&handle, "transfers", &Resolution::run_again()).await.unwrap();
    while log(path).count("transferred") == 0 {
        tokio::task::yield_now().await;
    }
    // After another interruption, its question is open again.
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    log(path).take();
    let kitaru = reopen(&dir).await;
    let handle = asked(&kitaru, path, "job").await;
    assert!(log(path).take().is_empty(), "the earlier answer was for the earlier time");
    kitaru.answer(&handle, "transfers", &Resolution::run_again()).await.unwrap();
    assert_eq!(handle.await.unwrap(), 1);
    assert_eq!(log(path).take(), ["perhaps for a second time", "transferred"]);
    kitaru.close().await.unwrap();

    let path = "asked: fails";
    let (kitaru, _dir) = interrupted(path, "job").await;
    let handle = asked(&kitaru, path, "job").await;
    kitaru.answer(&handle, "transfers", &Resolution::fail("the bank knows nothing")).await.unwrap();
    let error = handle.await.unwrap_err();
    assert!(error.is_interrupted() && error.to_string().contains("the bank knows nothing"), "{error}");
    let error = settles(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_interrupted(), "it is settled: {error}");
    assert!(log(path).take().is_empty());
}
