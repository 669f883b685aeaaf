//! Executions that a person resumes, and flows that continue forever in one generation after another.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, RecordStatus, Status, checkpoint, dynamic, flow, signal};

use crate::support::{disk, log, memory, names, reopen};

#[checkpoint]
async fn step(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("step {n}"));
    if log(&path).count(&format!("fail {n}")) > 0 { Err(Error::msg(format!("no luck at {n}"))) } else { Ok(n) }
}

/// Continues past an error of its second step, which is settled by then, and finally fails on it.
#[flow]
async fn goes_past(path: String) -> Result<u32, Error> {
    let first = step(path.clone(), 1).await?;
    let second = step(path.clone(), 2).await;
    let third = step(path, 3).await?;
    Ok(first + second? + third)
}

async fn until_ended(kitaru: &Kitaru, flow: &str, id: &str, status: Status) {
    while kitaru.execution((flow, id)).await.unwrap().is_none_or(|found| found.status() != status) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn person_forgets_one_error_and_its_checkpoint_runs_again() {
    let (kitaru, dir) = disk().await;
    let path = "resuming: one";
    log(path).say("fail 2");
    goes_past(path.into()).id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(log(path).take(), ["fail 2", "step 1", "step 2", "step 3"]);

    // Without that, it has the same result again.
    kitaru.resume(("goes_past", "job")).await.unwrap();
    while kitaru.execution(("goes_past", "job")).await.unwrap().unwrap().attempts() < 2 {
        tokio::task::yield_now().await;
    }
    until_ended(&kitaru, "goes_past", "job", Status::Failed).await;
    assert!(log(path).take().is_empty());

    kitaru.resume(("goes_past", "job")).forget("step_2").await.unwrap();
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    assert_eq!(goes_past(path.into()).id("job").on(&kitaru).await.unwrap(), 6);
    assert_eq!(log(path).take(), ["step 2"], "the others are recorded");
    let execution = kitaru.execution(("goes_past", "job")).await.unwrap().unwrap();
    let shown: Vec<_> =
        execution.records().iter().map(|record| (record.name(), record.status(), record.is_forgotten())).collect();
    assert_eq!(
        shown,
        [
            ("step", RecordStatus::Completed, false),
            ("step_2", RecordStatus::Failed, true),
            ("step_3", RecordStatus::Completed, false),
            ("step_2", RecordStatus::Completed, false),
        ]
    );
    kitaru.close().await.unwrap();
}

#[flow]
async fn asks_in_between(path: String) -> Result<u32, Error> {
    let first = step(path.clone(), 1).await?;
    let came = signal::<u32>("amount").await?;
    let now = kitaru::now();
    let second = step(path.clone(), 2).await?;
    log(&path).say(format!("at {now:?}"));
    step(path, 3).await?;
    Ok(first + second + came)
}

#[tokio::test]
async fn person_forgets_all_after_a_record_and_its_work_runs_again() {
    let (kitaru, clock) = memory().await;
    let path = "resuming: after";
    log(path).say("fail 3");
    let handle = asks_in_between(path.into()).id("job").on(&kitaru).start().await.unwrap();
    kitaru.signal(&handle, "amount", &100).await.unwrap();
    handle.await.unwrap_err();
    let before = log(path).take();
    assert_eq!(before.iter().filter(|line| line.starts_with("step")).count(), 3, "{before:?}");

    clock.advance(Duration::from_secs(60));
    kitaru.resume(("asks_in_between", "job")).after("step").await.unwrap();
    until_ended(&kitaru, "asks_in_between", "job", Status::Completed).await;
    let again = log(path).take();
    assert_eq!(again[0], "step 2", "what came before is recorded: {again:?}");
    assert_ne!(again[1], before[3], "the time is another one");
    assert_eq!(again[2], "step 3");
    let result = asks_in_between(path.into()).id("job").on(&kitaru).await.unwrap();
    assert_eq!(result, 103, "the signal is taken once more");
}

#[flow]
async fn fails_bare() -> Result<u32, Error> {
    Err(Error::msg("no"))
}

#[tokio::test]
async fn resume_that_is_impossible_says_why_and_changes_nothing() {
    let (kitaru, _) = memory().await;
    let refused = async |request: kitaru::ResumeRequest, why: &str| {
        let error = request.await.unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains(why), "{error}");
    };
    refused(kitaru.resume(("goes_past", "absent")), "the store has no execution").await;
    dynamic::flow("own").run(|| async { Err::<(), _>(Error::msg("no")) }).id("job").on(&kitaru).await.unwrap_err();
    refused(kitaru.resume(("own", "job")), "no such #[flow]").await;

    fails_bare().id("job").on(&kitaru).await.unwrap_err();
    refused(kitaru.resume(("fails_bare", "job")).forget("zzz"), "no record `zzz`, and no other; resume it without")
        .await;
    refused(kitaru.resume(("fails_bare", "job")).after("zzz"), "no record `zzz`, and no other; resume it without")
        .await;

    let path = "resuming: refused";
    log(path).say("fail 2");
    goes_past(path.into()).id("job").on(&kitaru).await.unwrap_err();
    refused(kitaru.resume(("goes_past", "job")).forget("charge"), "`step`, `step_2`, `step_3`").await;
    refused(kitaru.resume(("goes_past", "job")).forget("step"), "has no error").await;
    assert_eq!(kitaru.execution(("goes_past", "job")).await.unwrap().unwrap().records().len(), 3);
    log(path).take();
    kitaru.resume(("goes_past", "job")).forget("step_2").await.unwrap();
    until_ended(&kitaru, "goes_past", "job", Status::Completed).await;
    refused(kitaru.resume(("goes_past", "job")), "has ended and is completed").await;

    let waits = asks_in_between("resuming: waits".into()).id("waits").on(&kitaru).start().await.unwrap();
    until_ended(&kitaru, "asks_in_between", "waits", Status::Waiting).await;
    refused(kitaru.resume(&waits), "waiting").await;
    kitaru.signal(&waits, "amount", &1).await.unwrap();
    waits.await.unwrap();
}

/// Takes three signals in each generation, and ends with the signal 0.
#[flow]
async fn poller(path: String, page: u32) -> Result<u32, Error> {
    for _ in 0..3 {
        let amount = signal::<u32>("amount").await?;
        step(path.clone(), amount).await?;
        if amount == 0 {
            return Ok(page);
        }
    }
    poller(path, page + 1).continue_as_new().await
}

#[tokio::test]
async fn endless_flow_continues_in_new_generations_and_loses_no_signal() {
    let (kitaru, dir) = disk().await;
    let path = "resuming: poller";
    let handle = poller(path.into(), 1).id("job").on(&kitaru).start().await.unwrap();
    for amount in (1..=10).rev() {
        kitaru.signal(&handle, "amount", &amount).key(format!("payment {amount}")).await.unwrap();
    }
    // A key counts for all generations.
    for amount in (1..=10).rev() {
        kitaru.signal(&handle, "amount", &amount).key(format!("payment {amount}")).await.unwrap();
    }
    while log(path).count("step 1") == 0 {
        tokio::task::yield_now().await;
    }
    kitaru.close().await.unwrap();
    drop(handle);

    // The call that began it attaches to it, in another process and another generation.
    let kitaru = reopen(&dir).await;
    let handle = poller(path.into(), 1).id("job").on(&kitaru).start().await.unwrap();
    kitaru.signal(&handle, "amount", &1).key("payment 1").await.unwrap();
    kitaru.signal(&handle, "amount", &0).await.unwrap();
    assert_eq!(handle.await.unwrap(), 4);
    let steps: Vec<String> = (0..=10).rev().map(|amount| format!("step {amount}")).collect();
    assert_eq!(log(path).take(), steps);
    for generation in 1..=4 {
        let found = kitaru.execution(("poller", "job")).generation(generation).await.unwrap().unwrap();
        let status = if generation < 4 { Status::ContinuedAsNew } else { Status::Completed };
        assert_eq!(found.status(), status);
        assert!(found.input().contains(&format!("page={generation}")), "{}", found.input());
        assert!(found.records().len() <= 6, "{}", found.records().len());
    }
    let error = poller(path.into(), 2).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_conflict(), "it goes by its first arguments: {error}");
    assert_eq!(poller(path.into(), 1).id("job").on(&kitaru).await.unwrap(), 4);
    kitaru.close().await.unwrap();
}

/// Once an hour, three times.
#[flow]
async fn hourly(path: String, hour: u64) -> Result<u64, Error> {
    step(path.clone(), hour as u32).await?;
    if hour == 3 {
        return Ok(hour);
    }
    let next = kitaru::now() + Duration::from_secs(3_600);
    hourly(path, hour + 1).start_at(next).continue_as_new().await
}

#[tokio::test]
async fn flow_continues_as_new_at_a_time_and_its_parent_awaits_the_last_generation() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open();
    let kitaru = open().await.unwrap();
    let path = "resuming: hourly";
    let parent = waits_for_hourly(path.into()).id("job").on(&kitaru).start().await.unwrap();
    while names(&kitaru, "waits_for_hourly", "job").await.is_empty() {
        tokio::task::yield_now().await;
    }
    let child = kitaru.execution(("waits_for_hourly", "job")).await.unwrap().unwrap().children()[0].clone();
    until_ended(&kitaru, child.flow(), child.id(), Status::Queued).await;
    kitaru.close().await.unwrap();
    drop(parent);
    let kitaru = open().await.unwrap();
    let parent = kitaru.handle::<u64, Error>(("waits_for_hourly", "job")).await.unwrap();
    for hour in 2..=3 {
        until_ended(&kitaru, child.flow(), child.id(), Status::Queued).await;
        assert_eq!(log(path).count(&format!("step {hour}")), 0, "not before its time");
        clock.advance(Duration::from_secs(3_600));
        while log(path).count(&format!("step {hour}")) == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(parent.await.unwrap(), 3);
    let last = kitaru.execution((child.flow(), child.id())).await.unwrap().unwrap();
    assert_eq!((last.generation(), last.parent().map(|parent| parent.id())), (3, Some("job")));
    kitaru.close().await.unwrap();
}

#[flow]
async fn waits_for_hourly(path: String) -> Result<u64, Error> {
    hourly(path, 1).await
}

/// Returns a continuation of another flow or id.
#[flow]
async fn continues_wrongly(path: String) -> Result<u64, Error> {
    match path.as_str() {
        "other" => hourly(path, 1).continue_as_new().await,
        _ => continues_wrongly(path).id("another").continue_as_new().await.map(|_: u64| 0),
    }
}

#[tokio::test]
async fn a_continuation_of_another_flow_or_id_is_refused() {
    let (kitaru, _) = memory().await;
    let error = continues_wrongly("other".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("of another flow"), "{error}");
    let error = continues_wrongly("id".into()).on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("keeps its id"), "{error}");
    let own = dynamic::flow("own").run(|| dynamic::flow("own").run(|| async { Ok::<_, Error>(1) }).continue_as_new());
    assert!(own.on(&kitaru).await.unwrap_err().to_string().contains("no #[flow]"));
}

#[tokio::test]
async fn continuation_and_cancellation_meet_at_any_moment_and_one_of_them_counts() {
    for n in 0..60u32 {
        let (kitaru, _) = memory().await;
        let path = format!("resuming: cancelled {n}");
        let handle = poller(path.clone(), 1).id("job").on(&kitaru).start().await.unwrap();
        for amount in 1..=4u32 {
            kitaru.signal(&handle, "amount", &amount).await.unwrap();
        }
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        handle.cancel().await.unwrap();
        assert!(handle.await.unwrap_err().is_cancelled());
        let execution = kitaru.execution(("poller", "job")).await.unwrap().unwrap();
        assert_eq!(execution.status(), Status::Cancelled);
    }
}
