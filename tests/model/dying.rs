//! Attempts whose process crashes: which of them count, which executions begin alone, and how to end a flow whose own code
//! crashes its process.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Recovery, Status, checkpoint, flow};

use crate::support::{Life, Rows, disk, log, reopen};

const SECOND: Duration = Duration::from_secs(1);

#[checkpoint]
async fn works(path: &str) -> u32 {
    log(path).say(if kitaru::may_have_run() { "again?" } else { "first" });
    while log(path).count("continue") == 0 {
        tokio::task::yield_now().await;
    }
    1
}

#[flow]
async fn laborer(path: String) -> Result<u32, Error> {
    Ok(works(&path).await)
}

/// How often the body has begun.
fn begun(path: &str) -> usize {
    log(path).count("first") + log(path).count("again?")
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let arrived = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap_or_else(|_| panic!("it hangs: {what}"));
}

async fn until_begun(path: &str, times: usize) {
    until(path, async || begun(path) >= times).await;
}

async fn until_status(kitaru: &Kitaru, flow: &str, id: &str, status: Status) {
    let is_so = async || kitaru.execution((flow, id)).await.unwrap().is_some_and(|found| found.status() == status);
    until(&format!("{flow} {id} is to be {status}"), is_so).await;
}

/// Nothing begins, although other tasks can run.
async fn stays_at(path: &str, times: usize) {
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(begun(path), times, "{path}");
}

#[tokio::test]
async fn an_attempt_that_is_closed_counts_for_nothing() {
    let (kitaru, dir) = disk().await;
    drop(laborer("closed".into()).id("closed").on(&kitaru).start().await.unwrap());
    until_begun("closed", 1).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    for times in 2..12 {
        // The clock stands still, so there is no pause.
        let builder = Kitaru::builder().dir(dir.path().join("store")).clock(Clock::manual());
        let kitaru = builder.open().await.unwrap();
        until_begun("closed", times).await;
        kitaru.close().grace(Duration::ZERO).await.unwrap();
    }
    assert_eq!(log("closed").count("again?"), 10, "it may have run nevertheless");
}

#[tokio::test]
async fn an_attempt_that_parks_counts_for_nothing() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    drop(asks_once("parks".into()).id("parks").on(&kitaru).start().await.unwrap());
    until_status(&kitaru, "asks_once", "parks", Status::Waiting).await;
    kitaru.signal(("asks_once", "parks"), "other", &1).await.unwrap();
    until("it is replayed", async || log("parks").count("asks") == 2).await;
    until_status(&kitaru, "asks_once", "parks", Status::Waiting).await;
    life.dies(kitaru).await;
    log("parks").take();
    for _ in 0..10 {
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        // Each process checks whether it has taken its messages, and crashes when it is parked.
        until("it is replayed", async || log("parks").take().contains(&"asks".to_owned())).await;
        until_status(&kitaru, "asks_once", "parks", Status::Waiting).await;
        life.dies(kitaru).await;
    }
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    kitaru.signal(("asks_once", "parks"), "amount", &7).await.unwrap();
    until_status(&kitaru, "asks_once", "parks", Status::Completed).await;
}

#[flow]
async fn asks_once(path: String) -> Result<u32, Error> {
    log(&path).say("asks");
    kitaru::signal::<u32>("amount").await
}

#[tokio::test]
async fn executions_that_ran_at_a_second_crash_begin_alone_one_after_another() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let paths = ["alone: a", "alone: b", "alone: c"];
    for deaths in 1..=2 {
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        if deaths == 1 {
            for path in paths {
                drop(laborer(path.into()).id(path).on(&kitaru).start().await.unwrap());
            }
        }
        for path in paths {
            until_begun(path, deaths).await;
        }
        life.dies(kitaru).await;
    }
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    clock.advance(SECOND);
    let all = || paths.iter().map(|path| begun(path)).sum::<usize>();
    let mut done = Vec::new();
    for nth in 1..=3 {
        until("the next one begins", async || all() == 6 + nth).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(all(), 6 + nth, "one at a time");
        let path = paths.into_iter().find(|path| begun(path) == 3 && !done.contains(path)).unwrap();
        done.push(path);
        log(path).say("continue");
        until_status(&kitaru, "laborer", path, Status::Completed).await;
    }
}

/// Two executions with two crashes each. One of them crashes any process that it begins in.
async fn died_twice(rows: &Rows, clock: &Clock, paths: [&str; 2]) {
    for deaths in 1..=2 {
        let (builder, life) = rows.process(clock);
        let kitaru = builder.open().await.unwrap();
        if deaths == 1 {
            for path in paths {
                drop(laborer(path.into()).id(path).on(&kitaru).start().await.unwrap());
            }
        }
        for path in paths {
            until_begun(path, deaths).await;
        }
        life.dies(kitaru).await;
    }
}

#[tokio::test]
async fn attempt_that_crashes_alone_counts_and_its_neighbour_is_not_starved_or_blamed() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (deadly, neighbour) = ("deadly", "its neighbour");
    died_twice(&rows, &clock, [deadly, neighbour]).await;
    let mut deaths = 2;
    loop {
        assert!(deaths < 30, "it is never given up");
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        let before = begun(deadly);
        clock.advance(SECOND);
        let ends = async || {
            // The neighbour takes its time.
            if begun(neighbour) == 3 && log(neighbour).count("continue") == 0 {
                assert_eq!(begun(deadly), before, "it is alone");
                log(neighbour).say("continue");
            }
            // Only while no attempt is alone.
            let is_done =
                kitaru.execution(("laborer", neighbour)).await.unwrap().unwrap().status() == Status::Completed;
            clock.advance(if is_done { SECOND } else { Duration::ZERO });
            let found = kitaru.execution(("laborer", deadly)).await.unwrap().unwrap();
            begun(deadly) > before || found.status() == Status::Stuck
        };
        until("it dies or is given up", ends).await;
        if begun(deadly) == before {
            break until_status(&kitaru, "laborer", neighbour, Status::Completed).await;
        }
        life.dies(kitaru).await;
        deaths += 1;
    }
    assert_eq!(begun(deadly), 8);
    assert!(begun(neighbour) <= 4, "{}", begun(neighbour));
}

#[tokio::test]
async fn attempts_wait_for_a_lone_attempt_until_its_first_record_or_its_time_is_over() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    died_twice(&rows, &clock, ["slow", "slower"]).await;
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
    drop(laborer("slow".into()).id("slow").on(&kitaru).start().await.unwrap());
    until_begun("slow", 3).await;
    let call = laborer("a call".into()).id("a call").on(&kitaru);
    let started = tokio::spawn(call.start());
    stays_at("a call", 0).await;
    assert!(kitaru.execution(("laborer", "a call")).await.unwrap().is_none());
    clock.advance(3 * SECOND);
    // Its time is a duration: what the clock shows does not matter.
    clock.set_back(3_600 * SECOND);
    stays_at("a call", 0).await;
    clock.advance(SECOND);
    until_begun("a call", 1).await;
    drop(started.await.unwrap().unwrap());
    // From then on either execution may cause a crash, so that it counts for neither.
    life.dies(kitaru).await;
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
    drop(laborer("slow".into()).id("slow").on(&kitaru).start().await.unwrap());
    until_begun("slow", 4).await;
    let started = tokio::spawn(laborer("another".into()).id("another").on(&kitaru).start());
    clock.advance(7 * SECOND);
    stays_at("another", 0).await;
    // It is alone for twice as long this time, unless its first record ends that.
    log("slow").say("continue");
    until_begun("another", 1).await;
    drop(started.await.unwrap().unwrap());
}

#[tokio::test]
async fn attempt_that_crashed_with_the_clock_ahead_waits_no_longer_than_its_pause() {
    let (rows, ahead) = (Rows::default(), Clock::manual());
    ahead.advance(Duration::from_secs(400 * 365 * 24 * 3_600));
    for deaths in 1..=2 {
        let (builder, life) = rows.process(&ahead);
        let kitaru =
            builder.recovery(if deaths > 1 { Recovery::Automatic } else { Recovery::Manual }).open().await.unwrap();
        if deaths == 1 {
            drop(laborer("ahead".into()).id("ahead").on(&kitaru).start().await.unwrap());
        }
        until_begun("ahead", deaths).await;
        life.dies(kitaru).await;
    }
    let clock = Clock::manual();
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    stays_at("ahead", 2).await;
    clock.advance(SECOND);
    until_begun("ahead", 3).await;
    drop(kitaru);
}

#[checkpoint]
async fn fails_at_first(path: &str) -> Result<u32, Error> {
    log(path).say(if kitaru::may_have_run() { "again?" } else { "first" });
    if log(path).count("fails") > 0 {
        return Err(Error::msg("no luck"));
    }
    std::future::pending().await
}

#[flow]
async fn failed_before(path: String) -> Result<u32, Error> {
    fails_at_first(&path).await
}

#[tokio::test]
async fn body_of_a_failed_execution_may_have_run_if_its_process_crashes_as_it_begins() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let path = "failed before";
    log(path).say("fails");
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
    failed_before(path.into()).id("laborer").on(&kitaru).await.unwrap_err();
    life.dies(kitaru).await;
    assert_eq!(log(path).take(), ["fails", "first"]);
    for looks in ["first", "again?"] {
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
        drop(failed_before(path.into()).id("laborer").on(&kitaru).start().await.unwrap());
        until_begun(path, 1).await;
        life.dies(kitaru).await;
        assert_eq!(log(path).take(), [looks]);
    }
}

/// Ends the process that polls it, as an abort would: the process writes nothing after that.
static LIVES: std::sync::Mutex<Vec<(String, Life)>> = std::sync::Mutex::new(Vec::new());

#[flow]
async fn deadly_code(path: String) -> Result<u32, Error> {
    let undone = path.clone();
    kitaru::undo(move || async move { undoes(&undone).await });
    if log(&path).count("continue") > 0 {
        log(&path).say("dies");
        LIVES.lock().unwrap().iter().filter(|(known, _)| *known == path).for_each(|(_, life)| life.end());
        std::future::pending::<()>().await;
    }
    Ok(works(&path).await)
}

#[checkpoint]
async fn undoes(path: &str) -> Result<(), Error> {
    log(path).say("undone");
    Ok(())
}

/// A process in which the flow of this path crashes in its own code.
async fn process(rows: &Rows, clock: &Clock, path: &str) -> (Kitaru, Life) {
    let (builder, life) = rows.process(clock);
    LIVES.lock().unwrap().push((path.to_owned(), life.clone()));
    (builder.recovery(kitaru::Recovery::Manual).open().await.unwrap(), life)
}

/// Calls or cancels a flow in a process of its own, until the process crashes in the flow's own code.
async fn dies_in_its_code(rows: &Rows, clock: &Clock, path: &str, cancels: bool) {
    let (kitaru, life) = process(rows, clock, path).await;
    let deaths = log(path).count("dies");
    let task = kitaru.clone();
    let id = path.to_owned();
    let task = tokio::spawn(async move {
        match cancels {
            true => task.cancel(("deadly_code", &*id)).await,
            false => deadly_code(id.clone()).id(id).on(&task).await.map(drop),
        }
    });
    until("it dies", async || log(path).count("dies") > deaths).await;
    life.dies(kitaru).await;
    task.abort();
}

#[tokio::test]
async fn cancelling_a_flow_whose_own_code_crashes_fails_and_names_the_way_out() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let path = "deadly code";
    log(path).say("continue");
    dies_in_its_code(&rows, &clock, path, false).await;
    // After these crashes it is not known yet whether the flow's own code is to blame.
    dies_in_its_code(&rows, &clock, path, true).await;
    dies_in_its_code(&rows, &clock, path, true).await;
    let (kitaru, life) = process(&rows, &clock, path).await;
    let error = kitaru.cancel(("deadly_code", path)).await.unwrap_err();
    assert!(error.is_stuck() && error.to_string().contains("without_undo()"), "{error}");
    assert_eq!(log(path).count("dies"), 3, "nothing is replayed for that");
    kitaru.cancel(("deadly_code", path)).without_undo().await.unwrap();
    life.dies(kitaru).await;
    let (kitaru, _life) = process(&rows, &clock, path).await;
    let found = kitaru.execution(("deadly_code", path)).await.unwrap().unwrap();
    assert_eq!((found.status(), found.undo_skipped()), (Status::Cancelled, true));
    assert_eq!(log(path).count("undone"), 0);
}

#[tokio::test]
async fn stuck_execution_is_cancelled_with_its_undo_unless_its_own_code_crashed() {
    for (path, in_code) in [("given up in a body", false), ("given up in its code", true)] {
        let (rows, clock) = (Rows::default(), Clock::manual());
        if in_code {
            log(path).say("continue");
        }
        for deaths in 1..=8 {
            if in_code {
                dies_in_its_code(&rows, &clock, path, false).await;
            } else {
                let (kitaru, life) = process(&rows, &clock, path).await;
                drop(deadly_code(path.into()).id(path).on(&kitaru).start().await.unwrap());
                until_begun(path, deaths).await;
                life.dies(kitaru).await;
            }
        }
        let (builder, _life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        until_status(&kitaru, "deadly_code", path, Status::Stuck).await;
        let found = kitaru.execution(("deadly_code", path)).await.unwrap().unwrap();
        let place = if in_code { "in its flow's own code" } else { "in a body that it began" };
        assert!(found.error().unwrap().contains(place), "{:?}", found.error());
        let cancelled = kitaru.cancel(("deadly_code", path)).await;
        let found = kitaru.execution(("deadly_code", path)).await.unwrap().unwrap();
        if in_code {
            let refused = cancelled.unwrap_err().to_string();
            assert!(refused.contains("without_undo()"), "{refused}");
            assert_eq!((found.status(), log(path).count("undone")), (Status::Stuck, 0));
        } else {
            cancelled.unwrap();
            assert_eq!((found.status(), found.undo_skipped()), (Status::Cancelled, false));
            assert_eq!(log(path).count("undone"), 1);
        }
    }
}

#[tokio::test]
async fn an_execution_that_runs_is_not_cancelled_without_its_undo() {
    let (kitaru, dir) = disk().await;
    drop(laborer("runs".into()).id("runs").on(&kitaru).start().await.unwrap());
    until_begun("runs", 1).await;
    let error = kitaru.cancel(("laborer", "runs")).without_undo().await.unwrap_err();
    assert!(error.to_string().contains("runs in this process"), "{error}");
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    let kitaru = reopen(&dir).await;
    kitaru.cancel(("laborer", "runs")).without_undo().await.unwrap();
    let error = kitaru.cancel(("laborer", "runs")).without_undo().await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
}

#[tokio::test]
async fn failed_execution_does_not_resume_after_a_crash_while_it_is_cancelled() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (path, job) = ("failed and cancelled", ("failed_before", "job"));
    log(path).say("fails");
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    failed_before(path.into()).id("job").on(&kitaru).await.unwrap_err();
    life.dies(kitaru).await;
    for _ in 1..=3 {
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        // The count of the attempt is the last write.
        life.ends_after(1);
        kitaru.cancel(job).await.unwrap_err();
        life.dies(kitaru).await;
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        stays_at(path, 1).await;
        let found = kitaru.execution((job.0, job.1)).await.unwrap().unwrap();
        assert_eq!((found.status(), found.error()), (Status::Failed, Some("no luck")));
        life.dies(kitaru).await;
    }
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.open().await.unwrap();
    let error = kitaru.cancel(job).await.unwrap_err();
    assert!(error.to_string().contains("without_undo()"), "{error}");
    kitaru.cancel(job).without_undo().await.unwrap();
    let found = kitaru.execution((job.0, job.1)).await.unwrap().unwrap();
    assert_eq!((found.status(), found.undo_skipped()), (Status::Cancelled, true));
}
