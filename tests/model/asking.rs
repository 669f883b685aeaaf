//! Messages to an execution: answers and signals. Also changes of code during executions.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kitaru::testkit::store::{Memory, Order, Range, Row, Store, Table, Visit};
use kitaru::{Clock, Error, Handle, Kitaru, RecordStatus, Status, checkpoint, dynamic, flow, signal, wait};

use crate::support::{disk, log, memory, reopen};

const HOUR: Duration = Duration::from_secs(3_600);

async fn until_waiting(kitaru: &Kitaru, flow: &str) {
    let arrived = async {
        while kitaru.execution((flow, "job")).await.unwrap().is_none_or(|job| job.status() != Status::Waiting) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
}

async fn in_time<T>(what: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what.into_future()).await.expect("it hangs")
}

#[checkpoint]
async fn prepare(path: &str) -> u32 {
    log(path).say("prepared");
    1
}

#[flow]
async fn order(path: String) -> Result<u32, Error> {
    prepare(&path).await;
    let first: u32 = wait("approval").question("how much?").metadata("path", &path).deadline(HOUR).await?;
    let second: u32 = wait("approval").await?;
    log(&path).say("approved");
    Ok(first + second)
}

#[tokio::test]
async fn flow_is_parked_until_it_is_answered_by_name() {
    let (kitaru, _) = memory().await;
    let handle = order("asks".into()).id("job").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "order").await;
    let execution = kitaru.execution(("order", "job")).await.unwrap().unwrap();
    let open = &execution.waits()[0];
    assert_eq!((open.name(), open.question()), ("approval", "how much?"));
    assert_eq!(open.metadata(), serde_json::json!({"path": "asks"}));
    assert_eq!(open.schema()["type"], "integer");
    assert!(open.deadline().is_some() && open.refused().is_none());

    in_time(kitaru.answer(&execution, "approval", &40)).await.unwrap();
    until_waiting(&kitaru, "order").await;
    let error = in_time(kitaru.answer(&execution, "approval", &1)).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("answered already"), "{error}");
    in_time(kitaru.answer(&execution, "approval_2", &2)).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), 42);
    assert_eq!(log("asks").take(), ["prepared", "approved"]);

    let execution = kitaru.execution(("order", "job")).await.unwrap().unwrap();
    let records: Vec<_> = execution.records().iter().map(|record| (record.name(), record.preview())).collect();
    assert_eq!(records, [("prepare", "1"), ("approval", "40"), ("approval_2", "2")]);
    assert!(execution.waits().is_empty());
    let error = kitaru.answer(&execution, "approval_3", &1).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("is completed"), "{error}");
    let error = kitaru.answer(("order", "absent"), "approval", &1).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("the store has no execution"), "{error}");
}

#[tokio::test]
async fn answer_that_does_not_fit_is_refused_with_a_reason_and_the_wait_stays_open() {
    let (kitaru, _) = memory().await;
    let handle = order("refuses".into()).id("job").on(&kitaru).start().await.unwrap();
    for _ in 0..2 {
        until_waiting(&kitaru, "order").await;
        let error = in_time(kitaru.answer(&handle, "approval", "plenty")).await.unwrap_err();
        assert!(error.is_unreadable() && error.to_string().contains("expected u32"), "{error}");
        assert!(error.to_string().contains("still open"), "{error}");
    }
    until_waiting(&kitaru, "order").await;
    let execution = kitaru.execution(("order", "job")).await.unwrap().unwrap();
    assert!(execution.waits()[0].refused().unwrap().contains("expected u32"));
    in_time(kitaru.answer(&handle, "approval", &1)).await.unwrap();
    in_time(kitaru.answer(&handle, "approval_2", &2)).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), 3);
}

#[tokio::test]
async fn a_flow_that_stays_in_memory_is_answered_there() {
    let (kitaru, _) = memory().await;
    let asking = dynamic::flow("asking").run(|| async { wait::<String>("name").await });
    let handle = asking.id("job").on(&kitaru).start().await.unwrap();
    while kitaru.execution(("asking", "job")).await.unwrap().unwrap().waits().is_empty() {
        tokio::task::yield_now().await;
    }
    let error = in_time(kitaru.answer(&handle, "name", &7)).await.unwrap_err();
    assert!(error.is_unreadable(), "{error}");
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        kitaru.execution(("asking", "job")).await.unwrap().unwrap().status(),
        Status::Running,
        "it is not parked"
    );
    in_time(kitaru.answer(&handle, "name", "Ada")).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), "Ada");
}

#[tokio::test]
async fn early_answer_is_kept_and_shown_if_it_does_not_fit_the_opened_wait() {
    let (kitaru, dir) = disk().await;
    let start = order("early".into()).id("job").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "order").await;
    in_time(kitaru.answer(&start, "approval_2", "not a number")).await.unwrap();
    kitaru.close().await.unwrap();

    let kitaru = Kitaru::builder().dir(dir.path().join("store")).open().await.unwrap();
    in_time(kitaru.answer(("order", "job"), "approval", &5)).await.unwrap();
    let refused = async {
        loop {
            let execution = kitaru.execution(("order", "job")).await.unwrap().unwrap();
            if let Some(open) = execution.waits().iter().find(|open| open.refused().is_some()) {
                return open.name().to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(in_time(refused).await, "approval_2");
    let handle: Handle<Result<u32, Error>> = kitaru.handle(("order", "job")).await.unwrap();
    in_time(kitaru.answer(("order", "job"), "approval_2", &6)).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), 11);
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn deadline_of_a_wait_is_an_outcome_that_stays() {
    let (kitaru, clock) = memory().await;
    let handle = order("late".into()).id("job").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "order").await;
    clock.advance(HOUR);
    let error = in_time(handle).await.unwrap_err();
    assert!(
        error.is_timeout()
            && error.to_string().contains("the wait `approval` of execution `job` of flow `order`: no answer"),
        "{error}"
    );
    // It is settled: the next attempt has the same result, and an answer is too late.
    let handle = order("late".into()).id("job").on(&kitaru).start().await.unwrap();
    assert!(in_time(handle).await.unwrap_err().is_timeout());
    let no_time = dynamic::flow("no time").run(|| async { wait::<u32>("x").deadline(Duration::ZERO).await });
    let error = in_time(no_time.on(&kitaru)).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("the deadline is zero"), "{error}");
}

#[flow]
async fn till(path: String, count: u32) -> Result<Vec<u32>, Error> {
    let mut paid = Vec::new();
    for _ in 0..count {
        paid.push(signal::<u32>("paid").await?);
    }
    prepare(&path).await;
    Ok(paid)
}

#[tokio::test]
async fn signals_are_taken_in_the_order_of_sending_and_one_key_counts_once() {
    let (kitaru, dir) = disk().await;
    let handle = till("till".into(), 5).id("job").on(&kitaru).start().await.unwrap();
    for (n, key) in [(1, "a"), (2, "b"), (99, "a")] {
        in_time(kitaru.signal(&handle, "paid", &n).key(key)).await.unwrap();
    }
    until_waiting(&kitaru, "till").await;
    kitaru.close().await.unwrap();
    drop(handle);
    let kitaru = Kitaru::builder().dir(dir.path().join("store")).open().await.unwrap();
    for (n, key) in [(98, "b"), (3, "c"), (4, "d"), (5, "e")] {
        in_time(kitaru.signal(("till", "job"), "paid", &n).key(key)).await.unwrap();
    }
    let handle = till("till".into(), 5).id("job").on(&kitaru).await.unwrap();
    assert_eq!(handle, [1, 2, 3, 4, 5]);
    let error = kitaru.signal(("till", "job"), "paid", &6).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("is completed"), "{error}");
    let error = kitaru.signal(("till", "absent"), "paid", &6).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("the store has no execution"), "{error}");
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn signal_is_shown_by_its_name_and_recorded_under_its_first_name() {
    let (kitaru, _) = memory().await;
    let handle = till("shown".into(), 1).id("job").on(&kitaru).start().await.unwrap();
    in_time(kitaru.signal(&handle, "paid", &1)).await.unwrap();
    in_time(handle).await.unwrap();
    let execution = kitaru.execution(("till", "job")).await.unwrap().unwrap();
    let paid = &execution.records()[0];
    assert_eq!((paid.name(), paid.checkpoint()), ("paid", "kitaru::signal"));
    let recorded: String = "kitaru::event".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(kitaru.export(("till", "job")).await.unwrap().to_string().contains(&recorded));
}

#[tokio::test]
async fn a_signal_that_does_not_fit_is_an_error_that_the_flow_sees() {
    let (kitaru, _) = memory().await;
    let handle = till("unfit".into(), 1).id("job").on(&kitaru).start().await.unwrap();
    in_time(kitaru.signal(&handle, "paid", "nothing")).await.unwrap();
    let error = in_time(handle).await.unwrap_err();
    assert!(error.is_unreadable() && error.to_string().contains(": \"nothing\" is not what the flow takes"), "{error}");
}

/// The loser of the race may hold a signal. The next call takes it in any case.
#[flow]
async fn fickle(path: String) -> Result<(u32, Vec<u32>), Error> {
    let mut rounds = 0;
    loop {
        rounds += 1;
        let taken = kitaru::race([
            Box::pin(async { Some(signal::<u32>("paid").await) }) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>,
            Box::pin(async {
                prepare(&path).await;
                None
            }),
        ]);
        if let Some(first) = taken.await {
            let mut all = vec![first?];
            while all.len() < 4 {
                all.push(signal::<u32>("paid").await?);
            }
            return Ok((rounds, all));
        }
        kitaru::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signal_is_taken_when_it_is_released_so_a_dropped_call_loses_none() {
    for n in 0..60u32 {
        let (kitaru, dir) = disk().await;
        let path = format!("fickle {n}");
        let handle = fickle(path.clone()).id("job").on(&kitaru).start().await.unwrap();
        for amount in 0..4u32 {
            for _ in 0..(n * 7 + amount) % 11 {
                tokio::task::yield_now().await;
            }
            if amount == n % 4 {
                // Wherever it is.
                kitaru.close().await.unwrap();
                let again = reopen(&dir).await;
                in_time(again.signal(("fickle", "job"), "paid", &amount)).await.unwrap();
                for late in amount + 1..4 {
                    in_time(again.signal(("fickle", "job"), "paid", &late)).await.unwrap();
                }
                let (_, all) = in_time(fickle(path.clone()).id("job").on(&again)).await.unwrap();
                assert_eq!(all, [0, 1, 2, 3], "{n}");
                again.close().await.unwrap();
                break;
            }
            in_time(kitaru.signal(&handle, "paid", &amount)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_sent_while_a_flow_parks_is_not_missed() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock).open().await.unwrap();
    for n in 0..200u32 {
        let id = format!("job {n}");
        let handle = till(id.clone(), 3).id(&id).on(&kitaru).start().await.unwrap();
        for amount in 0..3u32 {
            for _ in 0..(n + amount * 5) % 17 {
                tokio::task::yield_now().await;
            }
            in_time(kitaru.signal(("till", &*id), "paid", &amount)).await.unwrap();
        }
        assert_eq!(in_time(handle).await.unwrap(), [0, 1, 2]);
    }
}

#[tokio::test]
async fn a_wait_outside_a_flows_own_code_says_where_it_belongs() {
    let outside = std::panic::catch_unwind(|| drop(wait::<u32>("x")));
    let said = *outside.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("outside a flow's own code"), "{said}");
    assert!(std::panic::catch_unwind(|| drop(signal::<u32>("x"))).is_err());
}

fn greeting(new_code: bool) -> kitaru::FlowCall<Result<String, Error>> {
    let body = move || async move {
        let name = dynamic::checkpoint("name").run(|| async { Ok::<_, Error>("Ada".to_owned()) }).await?;
        // The old code does not ask.
        if new_code && kitaru::patched("politely") {
            dynamic::checkpoint("politeness").run(|| async { Ok::<_, Error>(()) }).await?;
            assert!(kitaru::patched("politely"), "the first answer counts");
            return Ok(format!("Dear {name}"));
        }
        dynamic::checkpoint("haste").run(|| async { Ok::<_, Error>(()) }).await?;
        match std::env::var_os("NEVER") {
            None if !new_code => pending().await,
            _ => Ok(format!("Hi {name}")),
        }
    };
    dynamic::flow("greeting").run(body)
}

#[tokio::test]
async fn executions_past_a_change_take_the_old_path_and_others_the_new_one() {
    let (kitaru, dir) = disk().await;
    drop(greeting(false).id("old").on(&kitaru).start().await.unwrap());
    while crate::support::names(&kitaru, "greeting", "old").await.len() < 2 {
        tokio::task::yield_now().await;
    }
    kitaru.close().await.unwrap();
    let kitaru = reopen(&dir).await;
    assert_eq!(in_time(greeting(true).id("old").on(&kitaru)).await.unwrap(), "Hi Ada");
    assert_eq!(in_time(greeting(true).id("new").on(&kitaru)).await.unwrap(), "Dear Ada");
    let execution = kitaru.execution(("greeting", "new")).await.unwrap().unwrap();
    assert!(execution.records().iter().all(|record| record.status() == RecordStatus::Completed));
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn answer_to_a_wait_that_lost_a_race_is_kept_without_blocking_its_sender() {
    let (kitaru, _) = memory().await;
    let flow = dynamic::flow("races").run(|| async {
        let lost = async { kitaru::wait::<bool>("approval").await.unwrap() };
        let won = kitaru::race((lost, async { kitaru::signal::<bool>("news").await.unwrap() })).await;
        kitaru::signal::<()>("end").await?;
        Ok::<_, Error>(won)
    });
    let handle = flow.id("job").on(&kitaru).start().await.unwrap();
    kitaru.signal(&handle, "news", &true).await.unwrap();
    until_record(&kitaru, "news").await;
    let answered = kitaru.answer(&handle, "approval", &false);
    tokio::time::timeout(std::time::Duration::from_secs(20), answered).await.expect("it hangs").unwrap();
    kitaru.signal(&handle, "end", &()).await.unwrap();
    assert!(handle.await.unwrap());
}

/// Waits until the record of `races` is there.
async fn until_record(kitaru: &Kitaru, name: &str) {
    let is_there = async || {
        let execution = kitaru.execution(("races", "job")).await.unwrap().unwrap();
        execution.records().iter().any(|record| record.name() == name && record.status() == RecordStatus::Completed)
    };
    while !is_there().await {
        tokio::task::yield_now().await;
    }
}

/// A store that shows the row of a wait only to the second who looks, as if the wait had begun between the two.
struct Late {
    store: Memory,
    looked: AtomicBool,
}

impl Store for Late {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.store.commit(rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let is_wait = table == Table::Aside && key.get(8) == Some(&b'w');
        let found = self.store.get(table, key)?;
        Ok(found.filter(|_| !is_wait || self.looked.swap(true, Ordering::SeqCst)))
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.store.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        self.store.close()
    }
}

#[tokio::test]
async fn answer_to_a_wait_that_begins_while_it_is_looked_for_is_taken() {
    let store = Late { store: Memory::new(), looked: AtomicBool::new(false) };
    let kitaru = kitaru::testkit::store::builder(store).open().await.unwrap();
    let asks = dynamic::flow("asks").run(|| async { wait::<u32>("number").await });
    let job = asks.id("job").on(&kitaru).start().await.unwrap();
    while kitaru.execution(&job).await.unwrap().is_none_or(|shown| shown.waits().is_empty()) {
        tokio::task::yield_now().await;
    }
    kitaru.answer(&job, "number", &7).await.unwrap();
    assert_eq!(job.await.unwrap(), 7);
}
