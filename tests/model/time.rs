//! Timers, parked flows, and executions that resume automatically.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use kitaru::{Clock, Error, Handle, Kitaru, RecordStatus, Status, checkpoint, dynamic, flow};

use crate::support::{Rows, log, until_it_holds};

const HOUR: Duration = Duration::from_secs(3_600);

/// A store on disk, with a manual clock.
struct Place {
    dir: tempfile::TempDir,
    clock: Clock,
}

impl Place {
    fn new() -> Self {
        Place { dir: tempfile::tempdir().expect("a folder"), clock: Clock::manual() }
    }

    fn builder(&self) -> kitaru::KitaruBuilder {
        Kitaru::builder().dir(self.dir.path()).clock(self.clock.clone())
    }

    async fn open(&self) -> Kitaru {
        self.builder().open().await.expect("the store opens")
    }
}

/// Waits until the log has so many of these lines.
async fn until(path: &str, line: &str, count: usize) {
    let arrived = async {
        while log(path).count(line) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
}

async fn until_status(kitaru: &Kitaru, flow: &str, status: Status) {
    let arrived = async {
        loop {
            let execution = kitaru.execution((flow, "job")).await.expect("it reads");
            if execution.is_some_and(|execution| execution.status() == status) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
}

/// Notes when it is dropped.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        log(&self.0).say("dropped");
    }
}

#[checkpoint]
async fn remind(path: &str) -> u32 {
    log(path).say("reminded");
    1
}

#[flow]
async fn reminder(path: String, minutes: u64) -> Result<u64, Error> {
    let _told = Told(path.clone());
    remind(&path).await;
    let before = kitaru::now();
    log(&path).say("waits");
    kitaru::sleep(Duration::from_secs(60 * minutes)).await;
    remind(&path).await;
    Ok(kitaru::now().duration_since(before).unwrap_or_default().as_secs())
}

#[tokio::test]
async fn waiting_flow_is_parked_and_resumes_automatically_at_its_time() {
    let place = Place::new();
    let kitaru = place.open().await;
    let handle = reminder("parks".into(), 60).id("job").on(&kitaru).start().await.unwrap();
    until("parks", "dropped", 1).await;
    until_status(&kitaru, "reminder", Status::Waiting).await;
    let execution = kitaru.execution(("reminder", "job")).await.unwrap().unwrap();
    let records: Vec<_> = execution.records().iter().map(|record| (record.name(), record.status())).collect();
    assert_eq!(records, [("remind", RecordStatus::Completed), ("sleep", RecordStatus::Waiting)]);

    // Other callers may wait for it too, with or without its input.
    let by_name: Handle<Result<u64, Error>> = kitaru.handle(("reminder", "job")).await.unwrap();
    place.clock.advance(HOUR - Duration::from_secs(1));
    tokio::task::yield_now().await;
    assert_eq!(log("parks").count("reminded"), 1);
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(handle.await.unwrap(), 3_600);
    assert_eq!(by_name.await.unwrap(), 3_600);
    assert_eq!(log("parks").count("reminded"), 2);
    let execution = kitaru.execution(("reminder", "job")).await.unwrap().unwrap();
    assert_eq!(execution.attempts(), 2);
    kitaru.close().grace(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn restart_waits_only_for_the_rest_of_a_timer() {
    let place = Place::new();
    let kitaru = place.open().await;
    drop(reminder("restart".into(), 60).id("job").on(&kitaru).start().await.unwrap());
    until_status(&kitaru, "reminder", Status::Waiting).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    place.clock.advance(HOUR / 2);
    let kitaru = place.open().await;
    until_status(&kitaru, "reminder", Status::Waiting).await;
    place.clock.advance(HOUR / 2);
    until_status(&kitaru, "reminder", Status::Completed).await;
    assert_eq!(log("restart").count("reminded"), 2);
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    // An execution whose timer ended while the store was closed resumes when the store is opened.
    let place = Place::new();
    let kitaru = place.open().await;
    drop(reminder("late".into(), 60).id("job").on(&kitaru).start().await.unwrap());
    until_status(&kitaru, "reminder", Status::Waiting).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    place.clock.advance(2 * HOUR);
    let kitaru = place.open().await;
    until_status(&kitaru, "reminder", Status::Completed).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_short_wait_stays_in_memory_and_is_cut_off_like_anything_else() {
    let place = Place::new();
    let kitaru = place.builder().park_after(HOUR).open().await.unwrap();
    let handle = reminder("short".into(), 10).id("job").on(&kitaru).start().await.unwrap();
    until("short", "waits", 1).await;
    while kitaru.execution(("reminder", "job")).await.unwrap().unwrap().records().len() < 2 {
        tokio::task::yield_now().await;
    }
    until_status(&kitaru, "reminder", Status::Running).await;
    assert_eq!(log("short").count("dropped"), 0);
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    assert!(handle.await.unwrap_err().is_closed());

    let kitaru = place.builder().park_after(HOUR).recovery(kitaru::Recovery::Manual).open().await.unwrap();
    place.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!(reminder("short".into(), 10).id("job").on(&kitaru).await.unwrap(), 600);
}

#[flow]
async fn deadline(path: String) -> Result<String, Error> {
    let (mut call, mut wait) = (Box::pin(remind(&path)), kitaru::sleep(HOUR).named("deadline"));
    let first = tokio::select! {
        biased;
        n = &mut call => format!("reminded {n}"),
        () = &mut wait => "late".to_owned(),
    };
    kitaru::sleep_until(UNIX_EPOCH).await;
    Ok(first)
}

#[tokio::test]
async fn dropped_wait_has_no_outcome_and_a_wait_for_a_past_time_is_not_one() {
    let place = Place::new();
    let kitaru = place.open().await;
    assert_eq!(deadline("deadline".into()).id("job").on(&kitaru).await.unwrap(), "reminded 1");
    let execution = kitaru.execution(("deadline", "job")).await.unwrap().unwrap();
    let records: Vec<_> = execution.records().iter().map(|record| (record.name(), record.status())).collect();
    assert!(records.contains(&("remind", RecordStatus::Completed)), "{records:?}");
    assert!(records.contains(&("sleep", RecordStatus::Completed)), "{records:?}");
    assert!(!records.contains(&("deadline", RecordStatus::Completed)), "{records:?}");
}

#[flow]
async fn many_waits(count: u64) -> Result<Vec<u64>, Error> {
    let waits = (0..count).map(|n| async move {
        kitaru::sleep(Duration::from_secs(60 * (1 + n * 7 % count))).await;
        n
    });
    let mut done = Vec::new();
    let mut waits: futures::stream::FuturesUnordered<_> = waits.collect();
    while let Some(n) = futures::StreamExt::next(&mut waits).await {
        done.push(n);
    }
    Ok(done)
}

#[tokio::test]
async fn concurrent_waits_end_in_the_order_of_their_times_in_memory_and_parked() {
    for park_after in [Duration::ZERO, HOUR * 24] {
        let place = Place::new();
        let kitaru = place.builder().park_after(park_after).open().await.unwrap();
        let handle = many_waits(40).id("job").on(&kitaru).start().await.unwrap();
        let over = async |status: RecordStatus, count: usize| loop {
            let execution = kitaru.execution(("many_waits", "job")).await.unwrap().unwrap();
            if execution.records().iter().filter(|record| record.status() == status).count() == count {
                break;
            }
            tokio::task::yield_now().await;
        };
        over(RecordStatus::Waiting, 40).await;
        for count in 1..=40 {
            // One at a time: timers that end together may end in any order.
            place.clock.advance(Duration::from_secs(60));
            over(RecordStatus::Completed, count).await;
        }
        let done = handle.await.unwrap();
        let mut expected: Vec<u64> = (0..40).collect();
        expected.sort_by_key(|n| n * 7 % 40);
        assert_eq!(done, expected, "parked after {park_after:?}");
        let attempts = kitaru.execution(("many_waits", "job")).await.unwrap().unwrap().attempts();
        assert_eq!(attempts > 20, park_after.is_zero(), "{attempts} attempts");
    }
}

#[checkpoint]
async fn naps() -> u32 {
    kitaru::sleep(HOUR).await;
    1
}

#[tokio::test]
async fn a_wait_in_a_body_or_outside_a_flow_is_an_error_that_names_the_way_out() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let flow = dynamic::flow("naps").run(|| async { Ok::<_, Error>(naps().await) });
    let error = flow.on(&kitaru).await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("use tokio::time::sleep"), "{error}");
    let said = std::panic::catch_unwind(|| drop(kitaru::timeout(HOUR, async {}))).unwrap_err();
    assert!(said.downcast_ref::<String>().unwrap().ends_with("use tokio::time::timeout there"));
}

#[flow]
async fn left_alone(path: String) -> Result<u32, Error> {
    let first = remind(&path).await;
    if log(&path).count("continue") == 0 {
        log(&path).say("hangs");
        std::future::pending::<()>().await;
    }
    Ok(first + remind(&path).await)
}

#[tokio::test]
async fn interrupted_execution_resumes_when_the_store_opens_unless_recovery_is_manual() {
    let place = Place::new();
    let kitaru = place.open().await;
    drop(left_alone("left".into()).id("job").on(&kitaru).start().await.unwrap());
    let unknown = dynamic::flow("unknown").run(|| async { std::future::pending::<Result<(), Error>>().await });
    drop(unknown.id("job").on(&kitaru).start().await.unwrap());
    until("left", "hangs", 1).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    log("left").say("continue");

    let kitaru = place.builder().recovery(kitaru::Recovery::Manual).open().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let execution = kitaru.execution(("left_alone", "job")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Interrupted);
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    let kitaru = place.open().await;
    until_status(&kitaru, "left_alone", Status::Completed).await;
    assert_eq!(log("left").count("reminded"), 2, "nothing is paid for twice");
    // A flow of another program is left as it is.
    let execution = kitaru.execution(("unknown", "job")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Interrupted);
    kitaru.close().grace(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn call_of_an_automatically_resumed_execution_attaches_to_it() {
    let place = Place::new();
    let kitaru = place.open().await;
    drop(left_alone("attach".into()).id("job").on(&kitaru).start().await.unwrap());
    until("attach", "hangs", 1).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    log("attach").say("continue");
    let kitaru = place.open().await;
    assert_eq!(left_alone("attach".into()).id("job").on(&kitaru).await.unwrap(), 2);
    assert_eq!(log("attach").count("reminded"), 2);
}

static AT_ONCE: AtomicU32 = AtomicU32::new(0);
static MOST: AtomicU32 = AtomicU32::new(0);

#[checkpoint]
async fn counts(n: u32, path: &str) -> u32 {
    if log(path).count("continue") == 0 {
        log(path).say("hangs");
        std::future::pending::<()>().await;
    }
    MOST.fetch_max(AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2)).await;
    AT_ONCE.fetch_sub(1, Ordering::SeqCst);
    n
}

#[flow]
async fn one_of_many(n: u32, path: String) -> Result<u32, Error> {
    Ok(counts(n, &path).await)
}

#[tokio::test]
async fn automatic_resuming_is_bounded_and_the_others_follow() {
    let place = Place::new();
    let kitaru = place.open().await;
    for n in 0..30 {
        drop(one_of_many(n, "bound".into()).id(format!("job-{n}")).on(&kitaru).start().await.unwrap());
    }
    until("bound", "hangs", 30).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    log("bound").say("continue");
    let kitaru = place.builder().max_concurrent_recoveries(3).open().await.unwrap();
    for n in 0..30 {
        assert_eq!(one_of_many(n, "bound".into()).id(format!("job-{n}")).on(&kitaru).await.unwrap(), n);
    }
    // The calls above drive executions whose turn has not come yet.
    assert!(MOST.load(Ordering::SeqCst) <= 4, "{MOST:?} concurrently");
}

#[tokio::test]
async fn execution_that_keeps_crashing_is_tried_ever_later_and_then_stuck() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    let (builder, life) = rows.process(&clock);
    let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
    drop(one_of_many(1, "loop".into()).id("job").on(&kitaru).start().await.unwrap());
    until("loop", "hangs", 1).await;
    life.dies(kitaru).await;
    let mut pauses = Vec::new();
    for deaths in 2..=8 {
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.open().await.unwrap();
        let mut pause = Duration::ZERO;
        while log("loop").count("hangs") < deaths {
            clock.advance(Duration::from_millis(500));
            pause += Duration::from_millis(500);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        pauses.push(pause);
        life.dies(kitaru).await;
    }
    assert!(pauses[6] > Duration::from_secs(30), "{pauses:?}");
    let kitaru = rows.process(&clock).0.open().await.unwrap();
    until_status(&kitaru, "one_of_many", Status::Stuck).await;
    let execution = kitaru.execution(("one_of_many", "job")).await.unwrap().unwrap();
    let why = execution.error().unwrap();
    assert!(why.contains("8 attempts crashed") && why.contains(".fresh()"), "{why}");
    assert!(why.contains("in a body that it began"), "{why}");
    let error = one_of_many(1, "loop".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_stuck(), "{error}");
}

#[tokio::test]
async fn watcher_of_an_execution_that_becomes_stuck_is_notified() {
    let (rows, clock) = (Rows::default(), Clock::manual());
    for deaths in 1..=8 {
        let (builder, life) = rows.process(&clock);
        let kitaru = builder.recovery(kitaru::Recovery::Manual).open().await.unwrap();
        if deaths == 1 {
            drop(one_of_many(0, "first".into()).id("first").on(&kitaru).start().await.unwrap());
            until("first", "hangs", 1).await;
        }
        drop(one_of_many(1, "given up".into()).id("job").on(&kitaru).start().await.unwrap());
        until("given up", "hangs", deaths).await;
        life.dies(kitaru).await;
    }
    // One execution resumes at a time, so that this one becomes stuck after the other one.
    let (builder, _life) = rows.process(&clock);
    let kitaru = builder.max_concurrent_recoveries(1).open().await.unwrap();
    until("first", "hangs", 2).await;
    let mut watch = kitaru.watch::<u32>(&("one_of_many", "job"), "progress");
    let mut next = Box::pin(watch.next());
    let early = tokio::time::timeout(Duration::from_millis(20), &mut next).await;
    assert!(early.is_err(), "it is not given up yet: {early:?}");
    kitaru.cancel(("one_of_many", "first")).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), next).await.expect("it is notified");
    assert_eq!(told.unwrap(), None);
    until_status(&kitaru, "one_of_many", Status::Stuck).await;
}

#[tokio::test]
async fn execution_with_start_at_is_recorded_and_begins_automatically() {
    let place = Place::new();
    let kitaru = place.open().await;
    let at = place.clock.now() + HOUR;
    let handle = left_alone("later".into()).id("job").start_at(at).on(&kitaru).start().await.unwrap();
    log("later").say("continue");
    let execution = kitaru.execution(("left_alone", "job")).await.unwrap().unwrap();
    assert_eq!((execution.status(), execution.attempts(), execution.records().len()), (Status::Queued, 0, 0));
    // Another call of the same execution waits for it, too.
    let call = tokio::spawn(left_alone("later".into()).id("job").on(&kitaru));
    place.clock.advance(HOUR - Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(log("later").count("reminded"), 0);
    place.clock.advance(Duration::from_secs(1));
    assert_eq!(handle.await.unwrap(), 2);
    assert_eq!(call.await.unwrap().unwrap(), 2);
    assert_eq!(log("later").count("reminded"), 2);
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    // In a process other than that of the call.
    let place = Place::new();
    let kitaru = place.open().await;
    let at = place.clock.now() + HOUR;
    drop(left_alone("later still".into()).id("job").start_at(at).on(&kitaru).start().await.unwrap());
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    log("later still").say("continue");
    let kitaru = place.open().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(log("later still").count("reminded"), 0);
    place.clock.advance(HOUR);
    until_status(&kitaru, "left_alone", Status::Completed).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let flow = dynamic::flow("own").run(|| async { Ok::<_, Error>(1) }).start_at(UNIX_EPOCH + HOUR);
    let error = flow.on(&kitaru).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("no #[flow]"), "{error}");
    let past = left_alone("past".into()).start_at(UNIX_EPOCH);
    log("past").say("continue");
    assert_eq!(past.on(&kitaru).await.unwrap(), 2, "a time that is over is now");
}

#[checkpoint]
async fn takes(path: &str, minutes: u64) -> u64 {
    log(path).say(format!("takes {minutes}"));
    while log(path).count("continue") == 0 {
        tokio::task::yield_now().await;
    }
    minutes
}

#[flow]
async fn bounded(path: String) -> Result<String, Error> {
    let inner = path.clone();
    let first = kitaru::timeout(HOUR, async move { takes(&inner, 1).await }).await;
    let second = kitaru::timeout(HOUR, kitaru::sleep(2 * HOUR)).await;
    let third = kitaru::timeout(2 * HOUR, kitaru::sleep(HOUR)).await;
    Ok(format!("{} {} {}", first.is_err_and(|error| error.is_timeout()), second.is_err(), third.is_ok()))
}

#[tokio::test]
async fn future_that_exceeds_its_timeout_is_dropped_even_across_restarts() {
    let place = Place::new();
    let kitaru = place.open().await;
    drop(bounded("bounded".into()).id("job").on(&kitaru).start().await.unwrap());
    until("bounded", "takes 1", 1).await;
    until_it_holds(async || !kitaru.execution(("bounded", "job")).await.unwrap().unwrap().records().is_empty()).await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    // Half of the timer is over when the next process begins.
    place.clock.advance(HOUR / 2);
    let kitaru = place.open().await;
    until("bounded", "takes 1", 2).await;
    place.clock.advance(HOUR / 2);
    until_status(&kitaru, "bounded", Status::Waiting).await;
    place.clock.advance(HOUR);
    // An hour that passes before the flow waits does not count.
    let looked_at = async || kitaru.execution(("bounded", "job")).await.unwrap().unwrap();
    let over =
        |of: &kitaru::Execution| of.records().iter().filter(|one| one.status() == RecordStatus::Completed).count();
    until_it_holds(async || looked_at().await.status() == Status::Waiting && over(&looked_at().await) == 2).await;
    place.clock.advance(HOUR);
    let handle = kitaru.handle::<String, Error>(("bounded", "job")).await.unwrap();
    assert_eq!(handle.await.unwrap(), "true true true");
    let execution = looked_at().await;
    let records: Vec<_> = execution.records().iter().map(|record| (record.name(), record.status())).collect();
    assert_eq!(records[0], ("timeout", RecordStatus::Completed), "{records:?}");
    assert!(!records.iter().any(|(name, _)| *name == "takes"), "a loser leaves no outcome: {records:?}");
}

/// Waits for a second signal, and crashes in a body after that.
#[flow]
async fn waits_twice(path: String) -> Result<u32, Error> {
    let first = kitaru::signal::<u32>("amount").await?;
    log(&path).say("took");
    let second = kitaru::signal::<u32>("amount").await?;
    Ok(first + second)
}

#[tokio::test]
async fn an_attempt_that_was_only_replayed_and_waits_on_counts_for_nothing() {
    let place = Place::new();
    let kitaru = place.open().await;
    let handle = waits_twice("counts".into()).id("job").on(&kitaru).start().await.unwrap();
    kitaru.signal(&handle, "amount", &1).await.unwrap();
    until("counts", "took", 1).await;
    until_status(&kitaru, "waits_twice", Status::Waiting).await;
    let before = kitaru.execution(("waits_twice", "job")).await.unwrap().unwrap().attempts();
    kitaru.close().await.unwrap();
    drop(handle);
    // It has a signal in the store, so each opening checks whether it was taken.
    for round in 2..12 {
        let kitaru = place.open().await;
        until("counts", "took", round).await;
        until_status(&kitaru, "waits_twice", Status::Waiting).await;
        assert_eq!(kitaru.execution(("waits_twice", "job")).await.unwrap().unwrap().attempts(), before);
        kitaru.close().await.unwrap();
    }
}
