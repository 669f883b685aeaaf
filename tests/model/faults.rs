//! Faults of the store, and their effect on flows, callers and records.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kitaru::testkit::store::{Order, Store, Table};
use kitaru::{Clock, Error, Kitaru, RecordStatus, Status, checkpoint, flow};

use crate::faulty::Faulty;
use crate::support::log;

const HOUR: Duration = Duration::from_secs(3_600);

/// Without recovery, which would also read from the store.
async fn opened_by_hand(store: &Faulty, clock: &Clock) -> Result<Kitaru, Error> {
    kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).recovery(kitaru::Recovery::Manual).open().await
}

async fn open(store: &Faulty) -> Kitaru {
    kitaru::testkit::store::builder(store.clone()).open().await.expect("the store opens")
}

#[checkpoint]
async fn noted(path: &str, n: u32) -> Result<u32, Error> {
    log(path).say(format!("ran {n}"));
    if n % 3 == 2 { Err(Error::msg(format!("no {n}"))) } else { Ok(n) }
}

/// Catches any error, and notes it.
#[flow]
async fn steady(path: String) -> Result<u32, Error> {
    let mut sum = 0;
    let mut add = |outcome: Result<u32, Error>| match outcome {
        Ok(n) => sum += n,
        Err(error) => {
            log(&path).say(format!("caught {error}"));
            sum += 100;
        }
    };
    for n in 0..6 {
        add(noted(&path, n).await);
    }
    kitaru::now();
    let (left, right) = tokio::join!(noted(&path, 6), noted(&path, 8));
    add(left);
    add(right);
    Ok(sum)
}

const SUM: u32 = 1 + 3 + 4 + 6 + 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_of_the_store_never_enters_the_flow_and_the_next_call_resumes() {
    let healthy = Faulty::new(i64::MAX, false);
    let kitaru = open(&healthy).await;
    assert_eq!(steady("healthy".into()).on(&kitaru).await.unwrap(), SUM);
    let commits = healthy.commits.load(Ordering::SeqCst) as i64;
    assert!(commits > 9, "{commits}");

    let mut faults = 0;
    for (until, lands) in (1..commits).flat_map(|until| [(until, false), (until, true)]) {
        let path = format!("fault {until} {lands}");
        let kitaru = open(&Faulty::new(until, lands)).await;
        if let Err(error) = steady(path.clone()).id("job").on(&kitaru).await {
            faults += 1;
            assert!(error.is_store(), "{path}: {error:#}");
            assert!(format!("{error:#}").contains("the disk is gone"), "{path}: {error:#}");
            if let Some(execution) = kitaru.execution(("steady", "job")).await.unwrap() {
                let landed = lands && execution.status() == Status::Completed;
                assert!(landed || execution.status() == Status::Interrupted, "{path}: {}", execution.status());
            }
        }
        // The same store, in the same process.
        let sum = steady(path.clone()).id("job").on(&kitaru).await;
        assert_eq!(sum.as_ref().ok(), Some(&SUM), "{path}: {sum:?}");
        let said = log(&path).take();
        let count = |line: &str| said.iter().filter(|said| *said == line).count();
        assert_eq!(said.iter().filter(|said| said.contains("the disk")).count(), 0, "{path}: {said:?}");
        for n in [0, 1, 2, 3, 4, 5, 6, 8] {
            assert!((1..=2).contains(&count(&format!("ran {n}"))), "{path}: {said:?}");
        }
        // The work of the failed commit runs again, and nothing before it.
        let again = said.iter().filter(|said| said.starts_with("ran")).count() - 8;
        assert!(again <= 2, "{path}: {said:?}");
    }
    assert!(faults >= commits, "{faults} of {commits}");
}

#[checkpoint(at_most_once)]
async fn pay(path: &str) -> Result<u32, Error> {
    log(path).say("paid");
    if log(path).count("hang") > 0 {
        std::future::pending::<()>().await;
    }
    Ok(1)
}

/// Fails at first; from its second attempt on, it makes calls that it has not made before.
#[flow]
async fn comes_back(path: String) -> Result<String, Error> {
    let first = noted(&path, 0).await?;
    if log(&path).count("back") == 0 {
        return Err(Error::msg("come back"));
    }
    kitaru::now();
    let paid = pay(&path).await;
    let caught = noted(&path, 2).await.is_err();
    Ok(format!("{first} {} {caught} {}", paid.is_ok(), noted(&path, 1).await?))
}

#[tokio::test]
async fn later_attempt_cut_off_at_any_commit_leaves_an_execution_that_resumes() {
    for (until, lands) in (0..12).flat_map(|until| [(until, false), (until, true)]) {
        let path = format!("back {until} {lands}");
        let store = Faulty::new(i64::MAX, lands);
        let kitaru = open(&store).await;
        let call = || comes_back(path.clone()).id("job").on(&kitaru);
        call().await.unwrap_err();
        log(&path).say("back");
        store.until.store(until, Ordering::SeqCst);
        let cut_off = call().await.is_err();
        let execution = kitaru.execution(("comes_back", "job")).await.unwrap().unwrap();
        if cut_off && !lands {
            let status = execution.status();
            assert!(matches!(status, Status::Interrupted | Status::Failed), "{path}: {status}");
        }
        assert_eq!(kitaru.executions().await.unwrap().len(), 1);
        store.until.store(i64::MAX, Ordering::SeqCst);
        let done = call().await.unwrap();
        assert!(done == "0 true true 1" || done == "0 false true 1", "{path}: {done}");
        assert!(log(&path).count("paid") <= 1, "{path}");
    }
}

#[tokio::test]
async fn a_store_that_fails_while_it_is_opened_can_be_opened_again() {
    let store = Faulty::new(0, false);
    let error = kitaru::testkit::store::builder(store.clone()).open().await.err().unwrap();
    assert!(error.is_store(), "{error:#}");
    let kitaru = open(&store).await;
    assert_eq!(steady("opened".into()).on(&kitaru).await.unwrap(), SUM);
}

#[tokio::test]
async fn a_start_that_cannot_be_made_durable_is_an_error_and_no_execution() {
    // The first commit is the store's secret.
    let kitaru = open(&Faulty::new(1, false)).await;
    let error = steady("start".into()).id("job").on(&kitaru).start().await.err().unwrap();
    assert!(error.is_store(), "{error:#}");
    assert!(kitaru.execution(("steady", "job")).await.unwrap().is_none());
    let handle = steady("start".into()).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(handle.await.unwrap(), SUM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_commit_leaves_no_hole_in_a_journal_and_no_journal_without_its_head() {
    for until in 1..14 {
        let store = Faulty::new(until, false);
        let kitaru = open(&store).await;
        let path = format!("hole {until}");
        // More than one, so that the queue already has work after the failed commit.
        let calls = (0..6).map(|n| steady(format!("{path} {n}")).on(&kitaru));
        let done = futures::future::join_all(calls).await;
        let failed = done.iter().filter(|done| done.is_err()).count();
        kitaru.close().await.unwrap();
        let (mut heads, mut journals) = (Vec::new(), Vec::<(u64, u64)>::new());
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let see = |table, see: &mut dyn FnMut(&[u8])| {
            store.scan(table, all, Order::Ascending, &mut |key, _| {
                see(key);
                std::ops::ControlFlow::Continue(())
            })
        };
        see(Table::Execution, &mut |key| heads.push(number(key))).unwrap();
        see(Table::Journal, &mut |key| journals.push((number(&key[..8]), number(&key[8..])))).unwrap();
        for (journal, record) in &journals {
            assert!(heads.contains(journal), "{path}: record {record} of journal {journal}, which has no head");
            assert!(*record == 1 || journals.contains(&(*journal, record - 1)), "{path}: a hole before {record}");
        }
        assert!(failed > 0 || until > 6, "{path}: no commit failed");
    }
}

#[flow]
pub(crate) async fn sleeps(path: String) -> Result<u32, Error> {
    kitaru::sleep(HOUR).await;
    noted(&path, 0).await?;
    noted(&path, 1).await
}

#[tokio::test]
async fn automatic_resume_is_tried_again_after_a_fault_of_the_store() {
    let store = Faulty::new(i64::MAX, false);
    let clock = Clock::manual();
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
    drop(sleeps("sleeps".into()).id("job").on(&kitaru).start().await.unwrap());
    let status = async || kitaru.execution(("sleeps", "job")).await.unwrap().unwrap().status();
    while status().await != Status::Waiting {
        tokio::task::yield_now().await;
    }
    store.until.store(1, Ordering::SeqCst);
    clock.advance(HOUR);
    while log("sleeps").count("ran 0") == 0 || status().await == Status::Running {
        tokio::task::yield_now().await;
    }
    assert_eq!(status().await, Status::Interrupted);
    clock.advance(Duration::from_secs(10));
    while status().await != Status::Completed {
        tokio::task::yield_now().await;
    }
}

/// Long enough that it is listed as unfinished before it has an outcome.
#[checkpoint]
async fn slow(path: &str) -> Result<u32, Error> {
    log(path).say("slow");
    while log(path).count("go") == 0 {
        tokio::task::yield_now().await;
    }
    Ok(1)
}

#[flow]
async fn sleeps_and_is_slow(path: String) -> Result<u32, Error> {
    kitaru::sleep(HOUR).await;
    slow(&path).await
}

#[tokio::test]
async fn store_that_takes_no_records_for_long_does_not_make_an_execution_stuck() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
    drop(sleeps_and_is_slow("full".into()).id("full").on(&kitaru).start().await.unwrap());
    waits(&kitaru, "sleeps_and_is_slow", "full").await;
    clock.advance(HOUR);
    while log("full").count("slow") == 0 {
        tokio::task::yield_now().await;
    }
    store.full_for.store(20, Ordering::SeqCst);
    log("full").say("go");
    completes(&kitaru, &clock, "sleeps_and_is_slow", "full").await;
    assert_eq!(store.full_for.load(Ordering::SeqCst), 0);
    assert!(log("full").count("slow") > 8, "{} attempts", log("full").count("slow"));
}

/// Advances the clock until an execution is completed.
pub(crate) async fn completes(kitaru: &Kitaru, clock: &Clock, flow: &str, id: &str) {
    let completed = async {
        // Failing reads are the subject of these tests.
        while !kitaru.execution((flow, id)).await.is_ok_and(|found| found.unwrap().status() == Status::Completed) {
            clock.advance(Duration::from_secs(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), completed).await.unwrap_or_else(|_| panic!("{id} does not resume"));
}

pub(crate) async fn waits(kitaru: &Kitaru, flow: &str, id: &str) {
    while kitaru.execution((flow, id)).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn execution_that_cannot_be_read_does_not_stop_others_from_resuming() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let open = || kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open();
    let kitaru = open().await.unwrap();
    for id in ["one", "two"] {
        drop(sleeps(format!("damaged: {id}")).id(id).on(&kitaru).start().await.unwrap());
        waits(&kitaru, "sleeps", id).await;
    }
    kitaru.close().await.unwrap();
    store.damaged.store(1, Ordering::SeqCst);
    let kitaru = open().await.unwrap();
    assert!(kitaru.execution(("sleeps", "one")).await.is_err());
    completes(&kitaru, &clock, "sleeps", "two").await;
}

#[flow]
async fn sleeps_in_a_child(path: String) -> Result<u32, Error> {
    let id = path.clone();
    sleeps(path).id(id).await
}

#[tokio::test]
async fn failed_read_at_any_moment_does_not_prevent_automatic_resuming() {
    for n in 0..40 {
        let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
        let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
        let path = format!("read {n}");
        drop(sleeps_in_a_child(path.clone()).id(&path).on(&kitaru).start().await.unwrap());
        waits(&kitaru, "sleeps_in_a_child", &path).await;
        store.reads_until.store(n, Ordering::SeqCst);
        clock.advance(HOUR);
        completes(&kitaru, &clock, "sleeps_in_a_child", &path).await;
        assert!(store.reads_until.load(Ordering::SeqCst) < 0, "{path}: no read failed");
    }
}

#[flow]
async fn takes_one(path: String) -> Result<u32, Error> {
    let n = kitaru::timeout(1_000 * HOUR, kitaru::signal::<u32>("go")).await??;
    log(&path).say(format!("took {n}"));
    Ok(n)
}

#[tokio::test]
async fn failed_read_when_a_signal_arrives_does_not_lose_the_signal() {
    for n in 0..12 {
        let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
        let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
        let path = format!("signal {n}");
        drop(takes_one(path.clone()).id(&path).on(&kitaru).start().await.unwrap());
        waits(&kitaru, "takes_one", &path).await;
        store.reads_until.store(n, Ordering::SeqCst);
        if kitaru.signal(("takes_one", &*path), "go", &7).await.is_err() {
            kitaru.signal(("takes_one", &*path), "go", &7).await.unwrap();
        }
        completes(&kitaru, &clock, "takes_one", &path).await;
        assert_eq!(log(&path).take(), ["took 7"]);
    }
}

#[flow]
async fn goes_when_told(path: String) -> Result<u32, Error> {
    is_told(&path).await?;
    noted(&path, 1).await
}

#[checkpoint]
async fn is_told(path: &str) -> Result<u32, Error> {
    log(path).say("asks");
    while log(path).count("go") == 0 {
        tokio::task::yield_now().await;
    }
    Ok(1)
}

#[tokio::test]
async fn started_execution_without_callers_resumes_after_a_fault_of_the_store() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
    drop(goes_when_told("told".into()).id("job").on(&kitaru).start().await.unwrap());
    while log("told").count("asks") == 0 {
        tokio::task::yield_now().await;
    }
    store.until.store(0, Ordering::SeqCst);
    log("told").say("go");
    completes(&kitaru, &clock, "goes_when_told", "job").await;
    assert!(log("told").count("asks") > 1, "no commit failed");
}

/// Waits until other threads are idle.
async fn rests() {
    drop(tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await);
}

#[tokio::test]
async fn execution_stopped_by_a_fault_of_the_store_resumes_after_ten_seconds() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
    let path = "ten seconds";
    drop(goes_when_told(path.into()).id("ten").on(&kitaru).start().await.unwrap());
    while log(path).count("asks") == 0 {
        tokio::task::yield_now().await;
    }
    store.until.store(0, Ordering::SeqCst);
    log(path).say("go");
    while kitaru.execution(("goes_when_told", "ten")).await.unwrap().unwrap().status() != Status::Interrupted {
        tokio::task::yield_now().await;
    }
    rests().await;
    clock.advance(Duration::from_millis(9_999));
    rests().await;
    assert_eq!(log(path).count("asks"), 1, "not before its time");
    for _ in 0..100 {
        // On a slow machine the wait may have begun after the first advance of the clock.
        clock.advance(Duration::from_millis(1));
        rests().await;
        if log(path).count("asks") > 1 {
            return;
        }
    }
    panic!("it does not resume");
}

#[flow]
async fn takes_many() -> Result<u32, Error> {
    let mut taken = 0;
    while kitaru::timeout(HOUR, kitaru::signal::<u32>("go")).await.is_ok() {
        taken += 1;
    }
    Ok(taken)
}

/// Waits until the flow waits in that call.
async fn waits_in(kitaru: &Kitaru, call: &str) {
    loop {
        let job = kitaru.execution(("takes_many", "job")).await.unwrap().unwrap();
        let record = job.records().iter().find(|record| record.name() == call);
        if job.status() == Status::Waiting && record.is_some_and(|record| record.status() == RecordStatus::Waiting) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn flow_woken_repeatedly_for_other_reasons_keeps_only_its_last_timer() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let kitaru = kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open().await.unwrap();
    let mut handle = takes_many().id("job").on(&kitaru).start().await.unwrap();
    for n in 1..=100 {
        let call = if n == 1 { "go".to_owned() } else { format!("go_{n}") };
        waits_in(&kitaru, &call).await;
        clock.advance(Duration::from_millis(1));
        kitaru.signal(("takes_many", "job"), "go", &n).await.unwrap();
    }
    waits_in(&kitaru, "go_101").await;
    store.reads_until.store(i64::MAX, Ordering::SeqCst);
    // The task reads every execution that it wakes from the store.
    clock.advance(HOUR - Duration::from_millis(1));
    if let Ok(early) = tokio::time::timeout(Duration::from_millis(20), &mut handle).await {
        panic!("it has not waited: {early:?}");
    }
    let reads = i64::MAX - store.reads_until.load(Ordering::SeqCst);
    assert!(reads < 100, "{reads} reads");
    clock.advance(HOUR);
    assert_eq!(handle.await.unwrap(), 100);
}

#[tokio::test]
async fn call_that_attaches_to_an_execution_that_just_ended_gets_its_result() {
    let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
    let kitaru = opened_by_hand(&store, &clock).await.unwrap();
    let path = "ended meanwhile";
    drop(sleeps(path.into()).id("job").on(&kitaru).start().await.unwrap());
    waits(&kitaru, "sleeps", "job").await;
    // Its timer is over, and it still waits when it is read.
    store.gate.shut(Table::Unfinished);
    clock.advance(HOUR);
    store.gate.until_arrived(1).await;
    kitaru.cancel(("sleeps", "job")).await.unwrap();
    // So it has to resume, and is read again.
    store.gate.shut(Table::Name);
    store.gate.open();
    store.gate.until_arrived(2).await;
    let call = tokio::spawn(sleeps(path.into()).id("job").on(&kitaru));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    store.gate.open();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
}

#[flow]
async fn sleeps_and_breaks(path: String) -> Result<u32, Error> {
    kitaru::sleep(HOUR).await;
    if log(&path).count("mended") == 0 { Err(Error::msg("broken")) } else { Ok(1) }
}

#[tokio::test]
async fn request_to_a_failed_execution_is_done_despite_a_late_wake_up() {
    for ask in ["call", "fresh", "cancel"] {
        let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
        let kitaru = opened_by_hand(&store, &clock).await.unwrap();
        let path = format!("late: {ask}");
        let job = ("sleeps_and_breaks", "job");
        let call = || sleeps_and_breaks(path.clone()).id("job").on(&kitaru);
        drop(call().start().await.unwrap());
        waits(&kitaru, "sleeps_and_breaks", "job").await;
        // Its timer is over, and it still waits when it is read. A call is first.
        store.gate.shut(Table::Unfinished);
        clock.advance(HOUR);
        store.gate.until_arrived(1).await;
        call().await.unwrap_err();
        log(&path).say("mended");
        // So it is read again, without effect.
        store.gate.shut(Table::Name);
        store.gate.open();
        store.gate.until_arrived(2).await;
        match ask {
            "call" => assert_eq!(call().await.unwrap(), 1),
            "fresh" => drop(call().fresh().start().await.unwrap()),
            _ => kitaru.cancel(job).await.unwrap(),
        }
        store.gate.open();
        let wanted = match ask {
            "fresh" => Status::Waiting,
            "cancel" => Status::Cancelled,
            _ => Status::Completed,
        };
        while kitaru.execution((job.0, job.1)).await.unwrap().unwrap().status() != wanted {
            tokio::task::yield_now().await;
        }
    }
}
