//! Section 4: the recorded forms of time and chance.

use std::time::{Duration, UNIX_EPOCH};

use kitaru::{Error, checkpoint, flow};

use crate::support::{disk, log, memory, reopen};

#[checkpoint]
async fn seen(at: u64, number: u64, id: String) -> String {
    format!("{at} {number} {id}")
}

#[flow]
async fn draws(path: String) -> Result<(), Error> {
    let at = kitaru::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let (number, id) = (kitaru::random(), kitaru::uuid());
    let seen = seen(at, number, id.to_string()).await;
    log(&path).say(seen);
    log(&path).say(format!("{} {}", kitaru::random(), kitaru::uuid()));
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn now_random_and_uuid_repeat_on_every_replay_and_differ_between_executions() {
    let (kitaru, clock) = memory().await;
    let mut first = Vec::new();
    for replay in 0..4 {
        draws("draws".into()).on(&kitaru).await.unwrap_err();
        let said = log("draws").take();
        if replay == 0 {
            first = said;
        } else {
            assert_eq!(said, first);
        }
        clock.advance(Duration::from_secs(60));
    }
    draws("draws-2".into()).on(&kitaru).await.unwrap_err();
    assert_ne!(log("draws-2").take(), first);
    draws("draws".into()).fresh().on(&kitaru).await.unwrap_err();
    assert_ne!(log("draws").take(), first);
}

#[flow]
async fn keeps_the_time(path: String) -> Result<(), Error> {
    let at = kitaru::now();
    // The time is durable before this body starts: the attempt that is interrupted here has received the time.
    may_hang(path.clone()).await?;
    log(&path).say(at.duration_since(UNIX_EPOCH).unwrap().as_millis().to_string());
    Ok(())
}

#[checkpoint]
async fn may_hang(path: String) -> Result<(), Error> {
    log(&path).say("started");
    if log(&path).count("continue") == 0 {
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_time_that_was_seen_is_durable_before_a_later_body_starts() {
    let (kitaru, dir) = disk().await;
    let call = keeps_the_time("time".into()).id("job").on(&kitaru).start().await.unwrap();
    while log("time").count("started") == 0 {
        tokio::task::yield_now().await;
    }
    let before = std::time::SystemTime::now();
    kitaru.close().await.unwrap();
    drop(call);
    let kitaru = reopen(&dir).await;
    log("time").take();
    log("time").say("continue");
    std::thread::sleep(Duration::from_millis(2));
    keeps_the_time("time".into()).id("job").on(&kitaru).await.unwrap();
    let said: u128 = log("time").take().pop().unwrap().parse().unwrap();
    let bound = before.duration_since(UNIX_EPOCH).unwrap().as_millis();
    assert!(said <= bound, "{said} was seen before {bound}");
}

#[tokio::test]
async fn outside_a_flow_they_panic_and_name_the_way_out() {
    let functions: [fn() -> String; 3] =
        [|| format!("{:?}", kitaru::now()), || kitaru::random().to_string(), || kitaru::uuid().to_string()];
    for function in functions {
        let panic = std::panic::catch_unwind(function).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("kitaru::spawn"), "{message}");
    }
}
