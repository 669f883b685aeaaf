//! Closing a store: running bodies finish, waiting flows are parked, and nothing that was recorded is lost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow};
use tokio::sync::oneshot;

use crate::support::{log, memory};

const HOUR: Duration = Duration::from_secs(3_600);

/// Lets a waiting body finish.
static GATES: Mutex<Vec<(String, oneshot::Sender<()>)>> = Mutex::new(Vec::new());

fn open_gate(path: &str) {
    let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
    let nth = gates.iter().position(|(known, _)| known == path).expect("a body waits");
    let _ = gates.swap_remove(nth).1.send(());
}

#[checkpoint]
async fn gated(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("began {n}"));
    if n == 1 {
        let (send, receive) = oneshot::channel();
        GATES.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), send));
        let _ = receive.await;
    }
    Ok(n)
}

#[flow]
async fn in_turn(path: String) -> Result<u32, Error> {
    if path.contains("sleeps") {
        kitaru::sleep(Duration::from_secs(1)).await;
        return gated(path, 2).await;
    }
    let first = gated(path.clone(), 1).await?;
    if path.contains("returns") {
        return Ok(first);
    }
    Ok(first + gated(path, 2).await?)
}

/// Closes the store while the first body runs, and lets that body finish.
async fn closed_in_the_first(path: &str) -> (tempfile::TempDir, Clock, Result<u32, Error>) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open().await.unwrap();
    let handle = in_turn(path.into()).id("job").on(&kitaru).start().await.unwrap();
    log(path).until("began 1").await;
    let closing = tokio::spawn({
        let kitaru = kitaru.clone();
        async move { kitaru.close().await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished(), "it waits for the body");
    open_gate(path);
    closing.await.unwrap().unwrap();
    (dir, clock, handle.await)
}

#[tokio::test]
async fn closing_lets_running_bodies_finish_and_begins_no_other() {
    let path = "closing: body";
    let (dir, clock, came) = closed_in_the_first(path).await;
    assert!(came.unwrap_err().is_closed());
    assert_eq!(log(path).take(), ["began 1"]);
    let kitaru = Kitaru::builder()
        .dir(dir.path().join("store"))
        .clock(clock)
        .recovery(kitaru::Recovery::Manual)
        .open()
        .await
        .unwrap();
    let execution = kitaru.execution(("in_turn", "job")).await.unwrap().unwrap();
    assert_eq!((execution.status(), execution.records().len()), (Status::Interrupted, 1), "what ran is recorded");
    assert_eq!(in_turn(path.into()).id("job").on(&kitaru).await.unwrap(), 3);
    assert_eq!(log(path).take(), ["began 2"], "and not paid for again");
}

#[tokio::test]
async fn closing_lets_a_flow_return_and_parks_one_that_waits_however_short() {
    let path = "closing: returns";
    let (_dir, _, came) = closed_in_the_first(path).await;
    assert_eq!(came.unwrap(), 1);

    let path = "closing: sleeps";
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual());
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).park_after(HOUR).open();
    let kitaru = open().await.unwrap();
    let handle = in_turn(path.into()).id("job").on(&kitaru).start().await.unwrap();
    while kitaru.execution(("in_turn", "job")).await.unwrap().unwrap().records().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(kitaru.execution(("in_turn", "job")).await.unwrap().unwrap().status(), Status::Running, "it is short");
    kitaru.close().await.unwrap();
    assert!(handle.await.unwrap_err().is_closed());
    let kitaru = open().await.unwrap();
    let execution = kitaru.execution(("in_turn", "job")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Waiting);
    let handle = kitaru.handle::<u32, Error>(("in_turn", "job")).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(handle.await.unwrap(), 2);
}

#[tokio::test]
async fn execution_that_outlasts_the_grace_time_is_interrupted_where_it_is() {
    let (kitaru, clock) = memory().await;
    let path = "closing: hangs";
    let handle = in_turn(path.into()).on(&kitaru).start().await.unwrap();
    log(path).until("began 1").await;
    let turner = tokio::spawn(async move {
        loop {
            clock.advance(HOUR);
            tokio::task::yield_now().await;
        }
    });
    kitaru.close().grace(HOUR).await.unwrap();
    turner.abort();
    assert!(handle.await.unwrap_err().is_closed());
    assert!(in_turn(path.into()).on(&kitaru).await.unwrap_err().is_closed(), "nothing begins any more");
    kitaru.close().await.unwrap();
}
