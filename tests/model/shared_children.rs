//! Children of more than one parent, and children whose parents end before them.

use std::time::Duration;

use futures::future::try_join;
use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow, signal, undo};

use crate::support::{disk, log, memory, reopen};

const SECOND: Duration = Duration::from_secs(1);
/// A parent that is not notified waits forever.
const LONG: Duration = Duration::from_secs(20);

/// A child, which ends with the answer, and continues as new on the answer 0.
#[flow]
async fn asks(path: String) -> Result<u32, Error> {
    match kitaru::wait::<u32>("continue").await? {
        0 => asks(path).continue_as_new().await,
        n => Ok(n),
    }
}

#[checkpoint]
async fn hangs(path: String) -> Result<u32, Error> {
    log(&path).say("hangs");
    std::future::pending().await
}

#[flow]
async fn shares(path: String) -> Result<u32, Error> {
    asks(path.clone()).id(path).await
}

async fn status(kitaru: &Kitaru, flow: &str, id: &str) -> Option<Status> {
    kitaru.execution((flow, id)).await.unwrap().map(|execution| execution.status())
}

async fn until(kitaru: &Kitaru, flow: &str, id: &str, wanted: Status) {
    while status(kitaru, flow, id).await != Some(wanted) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_parent_that_is_cancelled_leaves_a_child_alone_that_it_has_not_begun() {
    let (kitaru, _) = memory().await;
    let path = "shared: cancelled";
    let child = asks(path.into()).id(path).on(&kitaru).start().await.unwrap();
    until(&kitaru, "asks", path, Status::Waiting).await;
    let parent = shares(path.into()).id("job").on(&kitaru).start().await.unwrap();
    until(&kitaru, "shares", "job", Status::Waiting).await;
    parent.cancel().await.unwrap();
    assert_eq!(status(&kitaru, "asks", path).await, Some(Status::Waiting));
    kitaru.answer(&child, "continue", &7).await.unwrap();
    assert_eq!(child.await.unwrap(), 7);
}

/// The status of an execution that was woken, once it has checked whether it has to wait.
async fn at_rest(kitaru: &Kitaru, flow: &str, id: &str) -> Option<Status> {
    loop {
        match status(kitaru, flow, id).await {
            Some(Status::Running) => tokio::task::yield_now().await,
            rests => return rests,
        }
    }
}

/// Its child loses against a second.
#[flow]
async fn impatient(path: String, parks: bool) -> Result<u32, Error> {
    let child = async { asks(path.clone()).id(path.clone()).await.map(drop) };
    let time = async {
        kitaru::sleep(SECOND).await;
        Ok(())
    };
    kitaru::race((child, time)).await?;
    log(&path).say("lost");
    if parks { signal("never").await } else { hangs(path).await }
}

#[tokio::test]
async fn child_that_lost_a_race_keeps_running_when_its_parent_is_cancelled() {
    for (path, parks) in [("shared: loser", false), ("shared: loser parks", true)] {
        let (kitaru, clock) = memory().await;
        let parent = impatient(path.into(), parks).id("job").on(&kitaru).start().await.unwrap();
        until(&kitaru, "asks", path, Status::Waiting).await;
        clock.advance(SECOND);
        log(path).until("lost").await;
        if parks {
            until(&kitaru, "impatient", "job", Status::Waiting).await;
        } else {
            log(path).until("hangs").await;
        }
        parent.cancel().await.unwrap();
        assert_eq!(at_rest(&kitaru, "asks", path).await, Some(Status::Waiting), "{path}");
    }
}

/// Crashes the first time, at the chosen place.
#[checkpoint]
async fn take_back(path: String) -> Result<u32, Error> {
    log(&path).say("takes back");
    if path.contains("dies") && log(&path).count("takes back") == 1 {
        std::future::pending::<()>().await;
    }
    Ok(1)
}

/// Fails next to a child, whose call it drops itself or leaves in a branch.
#[flow]
async fn sold_out(path: String) -> Result<u32, Error> {
    let at = path.clone();
    undo(move || take_back(at));
    let child = asks(path.clone()).id(path.clone());
    let fails = async {
        signal::<u32>("fail").await?;
        Err(Error::msg("sold out"))
    };
    if path.contains("branch") {
        let _branch = kitaru::spawn(child);
        return fails.await;
    }
    try_join(child, fails).await.map(|(came, _): (u32, u32)| came)
}

#[tokio::test]
async fn child_of_a_failing_flow_ends_the_same_wherever_the_undo_crashed() {
    let dropped_by = [("itself", Status::Waiting), ("the end, in a branch", Status::Cancelled)];
    for (dropped, child) in dropped_by {
        for dies in ["lives", "dies"] {
            let path = format!("shared: dropped by {dropped}, {dies}");
            let (mut kitaru, dir) = disk().await;
            let parent = sold_out(path.clone()).id("job").on(&kitaru).start().await.unwrap();
            until(&kitaru, "asks", &path, Status::Waiting).await;
            kitaru.signal(&parent, "fail", &1).await.unwrap();
            if dies == "dies" {
                log(&path).until("takes back").await;
                kitaru.close().grace(Duration::ZERO).await.unwrap();
                drop((parent, kitaru));
                kitaru = reopen(&dir).await;
            }
            let error = sold_out(path.clone()).id("job").on(&kitaru).await.unwrap_err();
            assert_eq!(error.to_string(), "sold out");
            assert_eq!(at_rest(&kitaru, "asks", &path).await, Some(child), "{path}");
            kitaru.close().await.unwrap();
        }
    }
}

/// Waits until this generation of the child waits.
async fn until_asked(kitaru: &Kitaru, path: &str, generation: u32) {
    let is_asked = async || {
        let child = kitaru.execution(("asks", path)).await.unwrap().unwrap();
        child.generation() == generation && child.status() == Status::Waiting
    };
    while !is_asked().await {
        tokio::task::yield_now().await;
    }
    drop(kitaru.handle::<u32, Error>(("asks", path)).await.unwrap());
}

#[tokio::test]
async fn parked_parent_is_notified_of_any_end_of_a_child_that_another_began() {
    for becomes in ["looked at", "continued", "begun over"] {
        let (kitaru, _) = memory().await;
        let path = &*format!("shared: {becomes}");
        drop(asks(path.into()).id(path).on(&kitaru).start().await.unwrap());
        until(&kitaru, "asks", path, Status::Waiting).await;
        let parent = shares(path.into()).id("job").on(&kitaru).start().await.unwrap();
        until(&kitaru, "shares", "job", Status::Waiting).await;
        until_asked(&kitaru, path, 1).await;
        match becomes {
            "continued" => kitaru.answer(&("asks", path), "continue", &0).await.unwrap(),
            "begun over" => drop(asks(path.into()).id(path).fresh().on(&kitaru).start().await.unwrap()),
            _ => {}
        }
        if becomes != "looked at" {
            until_asked(&kitaru, path, 2).await;
        }
        kitaru.answer(&("asks", path), "continue", &7).await.unwrap();
        let came = tokio::time::timeout(LONG, parent).await;
        assert_eq!(came.expect(becomes).unwrap(), 7);
    }
}

/// Resumes automatically, and awaits the child.
#[flow]
async fn shares_later(path: String) -> Result<u32, Error> {
    kitaru::sleep(SECOND * 3_600).await;
    asks(path.clone()).id(path).await
}

#[tokio::test]
async fn every_parent_of_a_parked_child_is_parked_and_lets_others_run() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).max_concurrent_recoveries(1).open().await.unwrap();
    let path = "shared: one at a time";
    drop(asks(path.into()).id(path).on(&kitaru).start().await.unwrap());
    until(&kitaru, "asks", path, Status::Waiting).await;
    let mut parents = Vec::new();
    for id in ["one", "two", "three"] {
        parents.push(shares_later(path.into()).id(id).on(&kitaru).start().await.unwrap());
        until(&kitaru, "shares_later", id, Status::Waiting).await;
    }
    clock.advance(SECOND * 3_600);
    let come = async {
        for parent in &parents {
            while kitaru.execution(("shares_later", parent.id())).await.unwrap().unwrap().children().is_empty() {
                tokio::task::yield_now().await;
            }
            until(&kitaru, "shares_later", parent.id(), Status::Waiting).await;
        }
        kitaru.answer(&("asks", path), "continue", &7).await.unwrap();
        for parent in parents {
            assert_eq!(parent.await.unwrap(), 7);
        }
    };
    tokio::time::timeout(LONG, come).await.expect("each has its turn");
}

/// Has its child's result, and may ask for it again after a crash.
#[flow]
async fn has_asked(path: String) -> Result<u32, Error> {
    let n = asks(path.clone()).id(path.clone()).await?;
    log(&path).say("has it");
    signal::<u32>("end").await?;
    Ok(n)
}

#[tokio::test]
async fn a_child_stays_as_long_as_a_parent_that_has_not_begun_it_may_ask_for_it() {
    let clock = Clock::manual();
    let builder = Kitaru::builder().in_memory().clock(clock.clone()).retention(SECOND);
    let kitaru = builder.open().await.unwrap();
    let path = "shared: kept";
    for id in [path, "other", "newest"] {
        drop(asks(path.into()).id(id).on(&kitaru).start().await.unwrap());
        until(&kitaru, "asks", id, Status::Waiting).await;
    }
    let parent = has_asked(path.into()).id("job").on(&kitaru).start().await.unwrap();
    until(&kitaru, "has_asked", "job", Status::Waiting).await;
    for id in [path, "other"] {
        kitaru.answer(&("asks", id), "continue", &7).await.unwrap();
    }
    log(path).until("has it").await;
    while status(&kitaru, "asks", "other").await.is_some() {
        clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&kitaru, "asks", path).await, Some(Status::Completed), "it is looked at before the other one");
    kitaru.signal(&parent, "end", &1).await.unwrap();
    assert_eq!(parent.await.unwrap(), 7);
    while status(&kitaru, "asks", path).await.is_some() {
        clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
}
