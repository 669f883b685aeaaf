//! Services that are away for a while, and executions that cannot resume.

use std::time::Duration;

use futures::FutureExt as _;
use kitaru::testkit::Testkit;
use kitaru::{Error, Handle, Kitaru, Status, checkpoint, dynamic, flow, undo};

use crate::support::log;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Is away until its log says `back`; asks for a pause, or panics, or hangs at its second try.
#[checkpoint]
async fn rate(path: String) -> Result<u32, Error> {
    let log = log(&path);
    log.say("tried");
    if log.count("back") > 0 {
        return Ok(7);
    }
    if path.contains("panics") && log.count("tried") == 2 {
        panic!("no such rate");
    }
    if path.contains("hangs") && log.count("tried") == 2 {
        dynamic::checkpoint("hangs").run(std::future::pending::<Result<(), Error>>).timeout(HOUR * 10).await.ok();
        return Ok(8);
    }
    let away = Error::msg("status 503");
    Err(if path.contains("asks") && log.count("tried") == 2 { away.retry_after(HOUR) } else { away })
}

#[flow]
async fn quotes(path: String) -> Result<u32, Error> {
    rate(path).wait_out("the bank", HOUR, |error| error.retry_delay()).await
}

async fn paused(kitaru: &Kitaru) -> Vec<String> {
    let execution = kitaru.execution(("quotes", "job")).await.unwrap().unwrap();
    execution.pauses().map(|pause| pause.to_string()).collect()
}

/// The result of a job, once nothing moves any more.
fn ended<R: Send + 'static>(job: Handle<R>) -> R {
    job.now_or_never().expect("the job has ended")
}

#[tokio::test]
async fn outage_is_waited_out_for_a_time_and_the_last_try_begins_at_its_end() {
    for (kit, path) in [(Testkit::new(), "outage: plain"), (Testkit::always_parking(), "outage: parked")] {
        let job = kit.start(quotes(path.into()).id("job")).await.unwrap();
        kit.advance(HOUR - SECOND).await;
        let tried = log(path).count("tried");
        assert!(tried > 20, "{tried} tries in an hour, a minute apart at the most");
        kit.advance(SECOND).await;
        assert_eq!(ended(job).unwrap_err().to_string(), "status 503");
        assert_eq!(log(path).count("tried"), tried + 1);

        let job = kit.start(quotes(format!("{path}, again")).id("again")).await.unwrap();
        kit.advance(HOUR - SECOND).await;
        log(&format!("{path}, again")).say("back");
        kit.advance(SECOND).await;
        assert_eq!(ended(job).unwrap(), 7);
    }
}

#[tokio::test]
async fn service_that_asks_for_longer_than_there_is_left_ends_the_wait() {
    let (kit, path) = (Testkit::new(), "outage: asks");
    let job = kit.start(quotes(path.into()).id("job")).await.unwrap();
    kit.advance(SECOND).await;
    assert_eq!(ended(job).unwrap_err().to_string(), "status 503");
    assert_eq!(log(path).count("tried"), 2);
}

#[tokio::test]
async fn panic_ends_the_wait_for_a_service() {
    let (kit, path) = (Testkit::new(), "outage: panics");
    let job = kit.start(quotes(path.into()).id("job")).await.unwrap();
    kit.advance(SECOND).await;
    assert!(ended(job).unwrap_err().to_string().contains("no such rate"));
    assert_eq!(log(path).count("tried"), 2);
}

#[tokio::test]
async fn try_under_way_is_not_cut_off_when_the_time_for_an_outage_is_over() {
    let (kit, path) = (Testkit::new(), "outage: hangs");
    let job = kit.start(quotes(path.into()).id("job")).await.unwrap();
    kit.advance(HOUR * 11).await;
    assert_eq!(ended(job).unwrap(), 8);
}

#[tokio::test]
async fn pause_of_an_execution_shows_its_service_and_its_end() {
    let (kit, path) = (Testkit::new(), "outage: shown");
    let job = kit.start(quotes(path.into()).id("job")).await.unwrap();
    assert!(paused(kit.kitaru()).await.is_empty(), "a short pause is not recorded");
    kit.advance(MINUTE * 10).await;
    let lines = paused(kit.kitaru()).await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let next = line.strip_prefix("waits for the bank: status 503, next try 00:1").unwrap_or_else(|| panic!("{line}"));
    assert!(next.ends_with(" UTC") && next.len() == "0:30 UTC".len(), "{line}");
    let execution = kit.kitaru().execution(("quotes", "job")).await.unwrap().unwrap();
    let pause = execution.pauses().next().unwrap();
    assert_eq!((pause.awaited(), pause.error(), pause.record().checkpoint()), (Some("the bank"), "status 503", "rate"));
    let wait = pause.next_try().duration_since(execution.created()).unwrap();
    assert!((MINUTE * 10..=MINUTE * 12).contains(&wait), "{wait:?}");

    log(path).say("back");
    kit.advance(MINUTE * 2).await;
    assert_eq!(ended(job).unwrap(), 7);
    assert!(paused(kit.kitaru()).await.is_empty());
}

#[checkpoint]
async fn releases(path: String) -> Result<(), Error> {
    log(&path).say("released");
    if log(&path).count("fails") > 0 { Err(Error::msg("the desk is closed")) } else { Ok(()) }
}

#[flow]
async fn reserves(path: String) -> Result<(), Error> {
    undo(move || releases(path.clone()));
    Err(Error::msg("sold out"))
}

#[tokio::test]
async fn resuming_an_undoing_that_stopped_begins_at_that_step() {
    let (kit, path) = (Testkit::new(), "outage: undoing");
    log(path).say("fails");
    kit.run(reserves(path.into()).id("job")).await.unwrap_err();
    log(path).take();
    kit.resume(("reserves", "job")).await.unwrap();
    assert_eq!(log(path).count("released"), 1);
    let execution = kit.kitaru().execution(("reserves", "job")).await.unwrap().unwrap();
    assert_eq!((execution.status(), execution.error()), (Status::Failed, Some("sold out")));

    for _ in 0..2 {
        let refused = kit.kitaru().resume(("reserves", "job")).await.unwrap_err();
        assert!(refused.is_misuse() && refused.to_string().contains(".fresh()"), "{refused}");
    }
    assert_eq!(log(path).count("released"), 1, "nothing has run");
}
