//! The undo of flows that fail or are cancelled, and flows with a deadline.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, flow, undo};

use crate::support::{disk, log, memory, names, reopen};

const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint]
async fn reserve(path: &str, seat: u32) -> Result<u32, Error> {
    log(path).say(format!("reserve {seat}"));
    Ok(seat)
}

#[checkpoint]
async fn release(path: &str, seat: u32) -> Result<(), Error> {
    if log(path).count("the desk is closed") > log(path).count("the desk is open") {
        return Err(Error::msg("the desk is empty"));
    }
    log(path).say(format!("release {seat}"));
    Ok(())
}

#[checkpoint]
async fn pay(path: &str) -> Result<(), Error> {
    log(path).say("pay");
    if path.contains("hangs") {
        std::future::pending::<()>().await;
    }
    if path.contains("panics") {
        panic!("the till is on fire");
    }
    if path.contains("fails") { Err(Error::msg("no money")) } else { Ok(()) }
}

/// Reserves some seats, and pays for them.
#[flow]
async fn booking(path: String, seats: u32) -> Result<u32, Error> {
    for seat in 1..=seats {
        let at = path.clone();
        undo(move || async move { release(&at, seat).await });
        reserve(&path, seat).await?;
    }
    if path.contains("asks") {
        kitaru::wait::<bool>("paid").await?;
    }
    if path.contains("sleeps") {
        kitaru::sleep(HOUR).await;
    }
    pay(&path).await?;
    Ok(seats)
}

fn undone(path: &str) -> Vec<String> {
    log(path).take().into_iter().filter(|line| line.starts_with("release")).collect()
}

async fn until_parked(kitaru: &Kitaru, id: &str) {
    while kitaru.execution(("booking", id)).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn failed_flow_is_undone_in_reverse_and_stays_undone() {
    let (kitaru, _) = memory().await;
    let path = "undo: fails";
    let error = booking(path.into(), 3).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(error.to_string(), "no money");
    assert_eq!(undone(path), ["release 3", "release 2", "release 1"]);
    let recorded = names(&kitaru, "booking", "job").await;
    assert_eq!(recorded, ["reserve", "reserve_2", "reserve_3", "pay", "release", "release_2", "release_3"]);

    // It has ended: nothing is paid for again, and nothing is undone again.
    let error = booking(path.into(), 3).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(error.to_string(), "no money");
    assert_eq!((log(path).count("pay"), log(path).count("release 1")), (0, 0));
    let execution = kitaru.execution(("booking", "job")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Failed);
}

#[tokio::test]
async fn panicked_flow_is_undone_and_a_successful_one_is_not() {
    let (kitaru, _) = memory().await;
    let path = "undo: panics";
    let error = booking(path.into(), 2).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.to_string().contains("the till is on fire"), "{error}");
    assert_eq!(undone(path), ["release 2", "release 1"]);

    let path = "undo: goes well";
    assert_eq!(booking(path.into(), 2).id("well").on(&kitaru).await.unwrap(), 2);
    assert!(undone(path).is_empty());
}

#[tokio::test]
async fn a_cancelled_flow_is_undone_whether_it_runs_waits_or_was_interrupted() {
    let (kitaru, dir) = disk().await;
    let hangs = "undo: hangs";
    let running = booking(hangs.into(), 2).id("runs").on(&kitaru).start().await.unwrap();
    log(hangs).until("pay").await;
    running.cancel().await.unwrap();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(undone(hangs), ["release 2", "release 1"]);

    let asks = "undo: asks";
    let waiting = booking(asks.into(), 2).id("waits").on(&kitaru).start().await.unwrap();
    until_parked(&kitaru, "waits").await;
    assert!(undone(asks).is_empty());
    kitaru.cancel(&waiting).await.unwrap();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(undone(asks), ["release 2", "release 1"]);

    let cut = "undo: hangs and is cut";
    drop(booking(cut.into(), 2).id("cut").on(&kitaru).start().await.unwrap());
    log(cut).until("pay").await;
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    kitaru.cancel(("booking", "cut")).await.unwrap();
    assert_eq!(undone(cut), ["release 2", "release 1"]);
    assert_eq!(log(cut).count("pay"), 0, "no body runs in a replay that cancels");
    for id in ["runs", "waits", "cut"] {
        assert_eq!(kitaru.execution(("booking", id)).await.unwrap().unwrap().status(), Status::Cancelled);
    }
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn failed_undo_step_is_tried_again_when_its_flow_is_called_or_cancelled() {
    let (kitaru, _) = memory().await;
    let path = "undo: fails at the desk";
    let call = || booking(path.into(), 2).id("job").on(&kitaru);
    log(path).say("the desk is closed");
    let error = call().await.unwrap_err();
    let chain = format!("{error:#}");
    assert!(chain.contains("could not be undone") && chain.contains("the desk is empty"), "{chain}");
    assert_eq!(kitaru.execution(("booking", "job")).await.unwrap().unwrap().status(), Status::Failed);
    let error = kitaru.cancel(("booking", "job")).await.unwrap_err();
    assert!(format!("{error:#}").contains("the desk is empty"), "{error:#}");

    log(path).say("the desk is open");
    assert_eq!(call().await.unwrap_err().to_string(), "no money");
    assert_eq!(undone(path), ["release 2", "release 1"]);
}

/// Cancels at every moment, with several concurrent flows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_flow_releases_its_reservation_at_any_moment() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).park_after(Duration::ZERO).open().await.unwrap();
    let mut cancelled = 0;
    for n in 0..200u32 {
        let path = format!("undo: any {n}{}", if n % 2 == 0 { " sleeps" } else { "" });
        let handle = booking(path.clone(), 3).id(&path).on(&kitaru).start().await.unwrap();
        for _ in 0..n % 29 {
            tokio::task::yield_now().await;
        }
        if n % 3 == 0 {
            clock.advance(HOUR);
        }
        let told = tokio::time::timeout(Duration::from_secs(20), handle.cancel()).await.expect("it hangs");
        let ended = tokio::time::timeout(Duration::from_secs(20), handle).await.expect("it hangs");
        let lines = log(&path).take();
        let count = |line: &str| lines.iter().filter(|said| *said == line).count();
        if told.is_ok() {
            cancelled += 1;
            assert!(ended.unwrap_err().is_cancelled());
            for seat in 1..=3 {
                // The undo step is registered before the reservation: a seat may be released that was not reserved.
                let (reserved, released) = (count(&format!("reserve {seat}")), count(&format!("release {seat}")));
                assert!(released <= 1 && reserved <= released, "{lines:?}");
            }
        } else {
            assert_eq!((ended.unwrap(), count("pay")), (3, 1));
        }
    }
    assert!(cancelled > 30, "{cancelled}");
}

#[tokio::test]
async fn flow_that_misses_its_deadline_is_undone_and_fails() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
    for path in ["undo: hangs too long", "undo: asks too long"] {
        let handle = booking(path.into(), 1).id(path).deadline(HOUR).on(&kitaru).start().await.unwrap();
        if path.contains("asks") {
            until_parked(&kitaru, path).await;
        } else {
            log(path).until("pay").await;
        }
        clock.advance(HOUR - Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(undone(path).is_empty());
        clock.advance(Duration::from_millis(1));
        let error = handle.await.unwrap_err();
        assert!(error.is_timeout() && error.to_string().contains("deadline"), "{error}");
        assert_eq!(undone(path), ["release 1"]);
        assert_eq!(kitaru.execution(("booking", path)).await.unwrap().unwrap().status(), Status::Failed);
    }
    let error = booking("undo: late".into(), 1).deadline(Duration::ZERO).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("deadline"), "{error}");
}

#[tokio::test]
async fn deadline_that_passes_while_no_process_runs_still_holds() {
    let clock = Clock::manual();
    let dir = tempfile::tempdir().unwrap();
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open();
    let kitaru = open().await.unwrap();
    let path = "undo: asks for ever";
    drop(booking(path.into(), 1).id("job").deadline(HOUR).on(&kitaru).start().await.unwrap());
    until_parked(&kitaru, "job").await;
    kitaru.close().await.unwrap();
    clock.advance(HOUR * 2);
    let kitaru = open().await.unwrap();
    log(path).until("release 1").await;
    let error = kitaru.handle::<u32, Error>(("booking", "job")).await.unwrap().await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    kitaru.close().await.unwrap();
}

/// An undo step that makes mistakes.
#[flow]
async fn confused() -> Result<(), Error> {
    undo(|| async {
        undo(|| async { Ok::<_, Error>(()) });
        Ok::<_, Error>(())
    });
    Err(Error::msg("no"))
}

#[checkpoint]
async fn registers_a_step() -> Result<u32, Error> {
    undo(|| async { Ok::<_, Error>(()) });
    Ok(1)
}

#[flow]
async fn confused_in_a_body(path: String) -> Result<String, Error> {
    let error = registers_a_step().await.unwrap_err();
    log(&path).say("has the error");
    Err(error)
}

#[tokio::test]
async fn a_step_cannot_register_steps_nor_can_a_body() {
    let (kitaru, _) = memory().await;
    let error = confused().on(&kitaru).await.unwrap_err();
    assert!(format!("{error:#}").contains("is not undone"), "{error:#}");
    let outside = std::panic::catch_unwind(|| undo(|| async { Ok::<_, Error>(()) })).unwrap_err();
    let message = outside.downcast_ref::<&str>().unwrap();
    assert!(message.contains("needs a flow"), "{message}");
    let error = confused_in_a_body("undo: in a body".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.to_string().contains("needs a flow"), "{error}");
    assert_eq!(log("undo: in a body").take(), ["has the error"]);
    let execution = kitaru.execution(("confused_in_a_body", "job")).await.unwrap().unwrap();
    let records: Vec<_> = execution.records().iter().map(|record| record.name().to_owned()).collect();
    assert_eq!(records, ["registers_a_step"], "no step was registered");
}

#[checkpoint(blocking)]
fn grinds(path: String) -> u32 {
    let cancellation = kitaru::cancellation();
    assert_eq!(kitaru::idempotency_key().len(), 32);
    log(&path).say("grinds");
    while !cancellation.is_cancelled() {
        std::thread::yield_now();
    }
    log(&path).say("stops");
    1
}

#[flow]
async fn mill(path: String) -> Result<u32, Error> {
    Ok(grinds(path).await)
}

#[flow]
async fn hasty(path: String) -> Result<u32, Error> {
    match kitaru::timeout(HOUR, grinds(path)).await {
        Ok(n) => Ok(n),
        Err(_) => Ok(0),
    }
}

#[tokio::test]
async fn a_body_on_the_blocking_pool_learns_that_it_was_cancelled() {
    let (kitaru, clock) = memory().await;
    let handle = mill("mill".into()).on(&kitaru).start().await.unwrap();
    log("mill").until("grinds").await;
    handle.cancel().await.unwrap();
    log("mill").until("stops").await;

    let handle = hasty("hasty".into()).on(&kitaru).start().await.unwrap();
    log("hasty").until("grinds").await;
    clock.advance(HOUR);
    assert_eq!(handle.await.unwrap(), 0);
    log("hasty").until("stops").await;
}
