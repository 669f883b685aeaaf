//! Both sides of each `and`, `unless` and bound.

use std::time::Duration;

use kitaru::{Error, Reuse, Status, checkpoint, flow, signal, undo};

use crate::support::{disk, ends, log, memory, names, reopen};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint]
async fn free(path: &str, seat: u32) -> Result<(), Error> {
    log(path).say(format!("free {seat}"));
    Ok(())
}

#[flow]
async fn begun_later(path: String) -> Result<u32, Error> {
    log(&path).say("began");
    Ok(1)
}

#[tokio::test]
async fn job_that_is_to_start_later_is_cancelled_and_never_begins() {
    let (kitaru, clock) = memory().await;
    let path = "edges: queued";
    let call = || begun_later(path.into()).id("job").on(&kitaru);
    let handle = call().start_at(clock.now() + HOUR).start().await.unwrap();
    let job = ("begun_later", "job");
    let error = kitaru.resume(job).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("is queued"), "{error}");
    kitaru.cancel(job).await.unwrap();
    assert!(ends(handle).await.unwrap_err().is_cancelled());
    clock.advance(2 * HOUR);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(kitaru.execution((job.0, job.1)).await.unwrap().unwrap().status(), Status::Cancelled);
    assert!(call().await.unwrap_err().is_cancelled());
    assert_eq!(log(path).count("began"), 0);
}

#[flow]
async fn ran_so_often(path: String) -> Result<usize, Error> {
    log(&path).say("ran");
    Ok(log(&path).count("ran"))
}

#[tokio::test]
async fn fresh_overrides_any_reuse() {
    let (kitaru, _) = memory().await;
    let call = || ran_so_often("edges: fresh".into()).id("job").on(&kitaru);
    assert_eq!(call().await.unwrap(), 1);
    assert_eq!(call().reuse(Reuse::Always).await.unwrap(), 1);
    assert_eq!(call().fresh().reuse(Reuse::Always).await.unwrap(), 2);
    assert_eq!(call().reuse(Reuse::Always).fresh().await.unwrap(), 3);
}

#[flow]
async fn fails_in_its_third_round(path: String, round: u32) -> Result<u32, Error> {
    let at = path.clone();
    undo(move || async move { free(&at, round).await });
    if round < 3 {
        return fails_in_its_third_round(path, round + 1).continue_as_new().await;
    }
    Err(Error::msg("the last round fails"))
}

#[tokio::test]
async fn undo_steps_of_a_generation_do_not_run_after_it_continued_as_new() {
    let (kitaru, _) = memory().await;
    let path = "edges: rounds";
    let error = ends(fails_in_its_third_round(path.into(), 1).id("job").on(&kitaru)).await.unwrap_err();
    assert_eq!(error.to_string(), "the last round fails");
    assert_eq!(log(path).take(), ["free 3"]);
}

#[checkpoint(on_divergence = "fail")]
async fn books(path: &str, seat: usize) -> Result<usize, Error> {
    log(path).say(format!("book {seat}"));
    Ok(seat)
}

#[flow]
async fn contradicts_itself(path: String) -> Result<usize, Error> {
    let at = path.clone();
    undo(move || async move { free(&at, 1).await });
    let begun = log(&path).count("book 1");
    let wrong = log(&path).count("the code is wrong") > log(&path).count("the code is mended");
    let booked = books(&path, if begun > 0 && wrong { 2 } else { 1 }).await?;
    if begun == 0 {
        // The test ends the process here.
        kitaru::signal::<()>("never").await?;
    }
    Ok(booked)
}

#[tokio::test]
async fn divergence_undoes_nothing_so_that_the_code_can_be_mended() {
    let (kitaru, dir) = disk().await;
    let path = "edges: contradicts";
    drop(contradicts_itself(path.into()).id("job").on(&kitaru).start().await.unwrap());
    while names(&kitaru, "contradicts_itself", "job").await.is_empty() {
        tokio::task::yield_now().await;
    }
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    let call = || contradicts_itself(path.into()).id("job").on(&kitaru);
    log(path).say("the code is wrong");
    let error = ends(call()).await.unwrap_err();
    assert!(error.is_divergence(), "{error}");
    log(path).say("the code is mended");
    assert_eq!(ends(call()).await.unwrap(), 1);
    assert_eq!(log(path).count("free 1"), 0);
    kitaru.close().await.unwrap();
}

#[checkpoint]
async fn reads(path: &str, page: u32) -> Result<u32, Error> {
    log(path).say(format!("read {page}"));
    Ok(page)
}

#[checkpoint(on_divergence = "rerun")]
async fn reads_any(path: &str, page: u32) -> Result<u32, Error> {
    log(path).say(format!("read {page}"));
    Ok(page)
}

#[checkpoint(at_most_once)]
async fn pays(path: &str, euros: u32) -> Result<u32, Error> {
    log(path).say(format!("paid {euros}"));
    Ok(euros)
}

/// An argument that differs from attempt to attempt.
fn attempt(path: &str) -> u32 {
    log(path).say("began");
    log(path).count("began") as u32
}

#[flow(on_divergence = "fail")]
async fn strict_but_for_one(path: String) -> Result<u32, Error> {
    let nth = attempt(&path);
    reads_any(&path, nth).await?;
    Err(Error::msg("the end"))
}

#[flow(on_divergence = "rerun")]
async fn lenient_with_two(path: String, pay: bool) -> Result<u32, Error> {
    let nth = attempt(&path);
    if pay {
        pays(&path, nth).await?
    } else {
        reads(&path, nth).await?
    };
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn on_divergence_of_a_checkpoint_overrides_that_of_its_flow() {
    let (kitaru, _) = memory().await;
    let path = "edges: strict";
    for _ in 0..2 {
        let error = strict_but_for_one(path.into()).id("job").on(&kitaru).await.unwrap_err();
        assert_eq!(error.to_string(), "the end");
    }
    assert_eq!((log(path).count("read 1"), log(path).count("read 2")), (1, 1));
}

#[tokio::test]
async fn flow_that_runs_divergences_again_does_not_pay_again_at_most_once() {
    let (kitaru, _) = memory().await;
    let path = "edges: lenient";
    for _ in 0..2 {
        let error = lenient_with_two(path.into(), false).id("reads").on(&kitaru).await.unwrap_err();
        assert_eq!(error.to_string(), "the end");
    }
    let path = "edges: pays";
    lenient_with_two(path.into(), true).id("pays").on(&kitaru).await.unwrap_err();
    let error = lenient_with_two(path.into(), true).id("pays").on(&kitaru).await.unwrap_err();
    assert!(error.is_divergence(), "{error}");
    assert_eq!((log(path).count("paid 1"), log(path).count("paid 2")), (1, 0));
}

#[flow]
async fn takes_two(path: String) -> Result<(u32, u32), Error> {
    let _ = path;
    let first = signal::<u32>("first").await?;
    Ok((first, signal::<u32>("second").await?))
}

#[tokio::test]
async fn idempotency_key_of_a_signal_counts_among_signals_of_its_name() {
    let (kitaru, _) = memory().await;
    let handle = takes_two("edges: keys".into()).id("job").on(&kitaru).start().await.unwrap();
    kitaru.signal(&handle, "first", &1).key("one").await.unwrap();
    kitaru.signal(&handle, "first", &9).key("one").await.unwrap();
    // The last signal: the flow ends with it.
    kitaru.signal(&handle, "second", &2).key("one").await.unwrap();
    assert_eq!(ends(handle).await.unwrap(), (1, 2));
    for (id, why) in [("job", "is completed and takes nothing more"), ("unknown", "the store has no execution")] {
        let error = kitaru.signal(("takes_two", id), "first", &1).key("other").await.unwrap_err();
        let message = error.to_string();
        assert!(error.is_misuse() && message.contains("cannot send") && message.contains(why), "{message}");
    }
}

#[checkpoint(memo(max_age = "1h"))]
async fn rate(path: &str) -> Result<usize, Error> {
    log(path).say("asked");
    Ok(log(path).count("asked"))
}

#[flow]
async fn prices_of_the_hour(path: String, job: u32) -> Result<usize, Error> {
    let _ = job;
    rate(&path).await
}

#[tokio::test]
async fn memo_is_as_old_as_its_result_however_often_it_was_used() {
    let (kitaru, clock) = memory().await;
    let price = |job: u32| prices_of_the_hour("edges: memo".into(), job).on(&kitaru);
    assert_eq!(price(1).await.unwrap(), 1);
    clock.advance(40 * MINUTE);
    assert_eq!(price(2).await.unwrap(), 1);
    clock.advance(20 * MINUTE);
    assert_eq!(price(3).await.unwrap(), 1, "an hour is within an hour");
    clock.advance(Duration::from_millis(1));
    assert_eq!(price(4).await.unwrap(), 2);
}

fn never(_: &Error) -> bool {
    false
}

#[checkpoint(retries = 1, backoff = "0ms", retry_if = never)]
async fn panics_first(path: &str) -> Result<u32, Error> {
    log(path).say("tried");
    assert!(log(path).count("tried") > 1, "the first try");
    Ok(7)
}

#[checkpoint(retries = 1, backoff = "0ms", retry_if = never, timeout = "1s")]
async fn hangs_first(path: &str) -> Result<u32, Error> {
    log(path).say("hangs");
    if log(path).count("hangs") == 1 {
        std::future::pending::<()>().await;
    }
    Ok(8)
}

#[flow]
async fn tries_again(path: String) -> Result<u32, Error> {
    Ok(panics_first(&path).await? + hangs_first(&path).await?)
}

#[tokio::test]
async fn panics_and_timeouts_are_tried_again_despite_the_predicate() {
    let (kitaru, clock) = memory().await;
    let path = "edges: predicate";
    let handle = tries_again(path.into()).id("job").on(&kitaru).start().await.unwrap();
    let ended = tokio::spawn(handle.into_future());
    let begun = std::time::Instant::now();
    while !ended.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
        if log(path).count("hangs") == 1 {
            clock.advance(Duration::from_secs(1));
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(ends(ended).await.unwrap().unwrap(), 15);
}

#[flow]
async fn asks_for_no_time(path: String) -> Result<bool, Error> {
    let _ = path;
    kitaru::wait::<bool>("approval").deadline(Duration::ZERO).await
}

#[tokio::test]
async fn wait_with_a_deadline_of_zero_is_a_mistake_and_not_a_timeout() {
    let (kitaru, _) = memory().await;
    let error = ends(asks_for_no_time("edges: no time".into()).id("job").on(&kitaru)).await.unwrap_err();
    assert!(error.is_misuse() && !error.is_timeout(), "{error}");
}

#[flow]
async fn undone_part(path: String) -> Result<u32, Error> {
    let at = path.clone();
    undo(move || async move { free(&at, 2).await });
    log(&path).say("the part waits");
    signal::<u32>("never").await
}

#[flow]
async fn undone_whole(path: String) -> Result<u32, Error> {
    let at = path.clone();
    undo(move || async move { free(&at, 1).await });
    let begun = undone_part(path.clone());
    let at = path.clone();
    undo(move || async move { free(&at, 3).await });
    begun.await
}

#[tokio::test]
async fn child_is_undone_before_all_that_its_parent_has_done() {
    let (kitaru, _) = memory().await;
    let path = "edges: whole";
    let handle = undone_whole(path.into()).id("job").on(&kitaru).start().await.unwrap();
    while log(path).count("the part waits") == 0 {
        tokio::task::yield_now().await;
    }
    kitaru.cancel(&handle).await.unwrap();
    assert!(ends(handle).await.unwrap_err().is_cancelled());
    let said = log(path).take();
    let freed: Vec<_> = said.iter().filter(|line| line.starts_with("free")).collect();
    assert_eq!(freed, ["free 2", "free 3", "free 1"]);
}

mod first {
    #[kitaru::checkpoint(version = "1")]
    pub(super) async fn told(path: &str, n: u32) -> Result<u32, super::Error> {
        super::log(path).say("told");
        Ok(n)
    }
}

#[derive(Clone, Copy)]
struct Version(&'static str);

impl Version {
    fn tell(self, path: &str) -> impl Future<Output = Result<u32, Error>> {
        let path = path.to_owned();
        let call = kitaru::dynamic::checkpoint("tells").version(self.0).arg("n", &7);
        call.run(move || {
            log(&path).say(format!("told by {}", self.0));
            async { Ok::<_, Error>(7) }
        })
    }
}

#[flow]
async fn tells_in_two_versions(path: String) -> Result<u32, Error> {
    let version = Version(if attempt(&path) < 3 { "1" } else { "2" });
    version.tell(&path).await?;
    first::told(&path, 1).await?;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn checkpoint_of_another_version_runs_again_and_does_not_diverge() {
    let (kitaru, _) = memory().await;
    let path = "edges: versions";
    for _ in 0..4 {
        let error = tells_in_two_versions(path.into()).id("job").on(&kitaru).await.unwrap_err();
        assert_eq!(error.to_string(), "the end");
    }
    let told: Vec<_> = log(path).take().into_iter().filter(|line| line.starts_with("told")).collect();
    assert_eq!(told, ["told by 1", "told", "told by 2"]);
}

#[flow]
async fn asks_and_waits_on(path: String) -> Result<u32, Error> {
    let late = kitaru::wait::<bool>("approval").deadline(HOUR).await.unwrap_err();
    log(&path).say(if late.is_timeout() { "late" } else { "otherwise" });
    signal::<u32>("never").await
}

#[tokio::test]
async fn wait_that_is_over_is_no_longer_shown() {
    let (kitaru, clock) = memory().await;
    let path = "edges: over";
    let job = ("asks_and_waits_on", "job");
    drop(asks_and_waits_on(path.into()).id(job.1).on(&kitaru).start().await.unwrap());
    let open = async || kitaru.execution((job.0, job.1)).await.unwrap().unwrap().waits().len();
    while open().await == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(HOUR);
    while log(path).count("late") == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..5_000 {
        if open().await == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it is shown although no answer is possible");
}

#[checkpoint(retries = 1, backoff = "0ms")]
async fn takes_its_time(path: &str) -> Result<u32, Error> {
    tokio::time::sleep(Duration::from_millis(3)).await;
    log(path).say("tried");
    if log(path).count("tried") == 1 { Err(Error::msg("not yet")) } else { Ok(1) }
}

#[flow]
async fn takes_its_time_twice(path: String) -> Result<u32, Error> {
    takes_its_time(&path).await
}

#[tokio::test]
async fn failed_try_says_how_long_it_took() {
    let (kitaru, _) = memory().await;
    assert_eq!(takes_its_time_twice("edges: took".into()).id("job").on(&kitaru).await.unwrap(), 1);
    let execution = kitaru.execution(("takes_its_time_twice", "job")).await.unwrap().unwrap();
    let took: Vec<_> = execution.records()[0].failed_tries().map(|failed| failed.duration()).collect();
    assert!(took.len() == 1 && took[0] >= Duration::from_millis(3), "{took:?}");
}

#[flow]
async fn shows_and_fails(path: String) -> Result<u32, Error> {
    kitaru::publish("progress", &path)?;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn watch_ends_with_an_execution_that_fails() {
    let (kitaru, _) = memory().await;
    let path = "edges: watched";
    let handle = shows_and_fails(path.into()).id("job").on(&kitaru).start().await.unwrap();
    let mut watch = kitaru.watch::<String>(&handle, "progress");
    assert_eq!(ends(watch.next()).await.unwrap().as_deref(), Some(path));
    assert_eq!(ends(watch.next()).await.unwrap(), None);
    assert_eq!(ends(handle).await.unwrap_err().to_string(), "the end");
}

#[flow]
async fn takes_a_text(n: u32) -> Result<usize, Error> {
    let _ = n;
    Ok(signal::<String>("text").await?.len())
}

#[tokio::test]
async fn message_may_have_all_the_bytes_of_the_bound_and_not_more() {
    let kitaru = kitaru::Kitaru::builder().in_memory().max_outcome_bytes(100).open().await.unwrap();
    let handle = takes_a_text(1).id("job").on(&kitaru).start().await.unwrap();
    // Two bytes are quotes.
    let error = kitaru.signal(&handle, "text", &"a".repeat(99)).await.unwrap_err();
    assert!(error.is_too_large(), "{error}");
    kitaru.signal(&handle, "text", &"a".repeat(98)).await.unwrap();
    assert_eq!(ends(handle).await.unwrap(), 98);
}

#[flow]
async fn shows_a_mebibyte(more: usize) -> Result<usize, Error> {
    kitaru::publish("text", &"a".repeat((1 << 20) - 2 + more))?;
    Ok(more)
}

#[tokio::test]
async fn published_value_may_have_a_mebibyte_and_no_byte_more() {
    let (kitaru, _) = memory().await;
    assert_eq!(shows_a_mebibyte(0).on(&kitaru).await.unwrap(), 0);
    assert!(shows_a_mebibyte(1).on(&kitaru).await.unwrap_err().is_too_large());
}
