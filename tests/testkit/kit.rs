//! Flows on a testkit: time, answers, signals, stubs, and faults on request.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use kitaru::testkit::Testkit;
use kitaru::{Error, Status, checkpoint, flow};
use serde_json::json;

const DAY: Duration = Duration::from_secs(86_400);

#[checkpoint]
async fn research(topic: &str) -> Result<String, Error> {
    Ok(format!("notes on {topic}"))
}

#[checkpoint(retries = 2, backoff = "1s")]
async fn draft(notes: String, words: u32) -> Result<String, Error> {
    Ok(format!("{notes}, in {words} words"))
}

#[flow]
async fn write_report(topic: String) -> Result<String, Error> {
    let notes = research(&topic).await?;
    draft(notes, 300).await
}

#[checkpoint]
async fn mail(to: &str) -> Result<String, Error> {
    Ok(format!("mailed {to}"))
}

#[flow]
async fn remind(to: String) -> Result<String, Error> {
    kitaru::sleep(30 * DAY).await;
    mail(&to).await
}

#[flow]
async fn approve(sum: u64) -> Result<String, Error> {
    let approved: bool = kitaru::wait("approval").question("pay?").await?;
    let note: String = kitaru::signal("note").await?;
    Ok(format!("{sum} {approved} {note}"))
}

#[tokio::test]
async fn a_flow_runs_and_its_bodies_and_replays_are_counted() {
    let kit = Testkit::new();
    kit.fail("draft", 3, "no paper");
    let failed = kit.fast_forward(write_report("tides".into())).await;
    assert_eq!(failed.unwrap_err().to_string(), "no paper");
    assert_eq!((kit.executed("research"), kit.executed("draft")), (1, 3));
    assert_eq!(kit.run(write_report("tides".into())).await.unwrap(), "notes on tides, in 300 words");
    assert_eq!((kit.executed("research"), kit.replayed("research")), (1, 1));
    assert_eq!((kit.executed("draft"), kit.replayed("draft")), (4, 0));
}

#[tokio::test]
async fn flow_that_waits_a_month_resumes_when_the_clock_advances_and_not_before() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        let reminder = kit.start(remind("ada".into())).await.unwrap();
        kit.advance(29 * DAY).await;
        assert_eq!(kit.executed("mail"), 0);
        kit.advance(DAY).await;
        assert_eq!(kit.executed("mail"), 1);
        assert_eq!(reminder.await.unwrap(), "mailed ada");
    }
}

#[flow]
async fn ticks(name: String, every: u64) -> Result<(), Error> {
    for _ in 0..4 {
        kitaru::sleep(Duration::from_secs(every)).await;
        mail(&name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn timers_fire_in_the_order_of_their_times_for_any_advance_of_the_clock() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        let ticking = [("slow", 50), ("fast", 20)].map(|(name, every)| ticks(name.into(), every));
        let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = order.clone();
        kit.stub("mail", move |args| {
            seen.lock().unwrap().push(args["to"].as_str().unwrap().to_owned());
            json!("")
        });
        let mut handles = Vec::new();
        for ticks in ticking {
            handles.push(kit.start(ticks).await.unwrap());
        }
        kit.advance(Duration::from_secs(1_000)).await;
        for handle in handles {
            handle.await.unwrap();
        }
        assert_eq!(order.lock().unwrap().join(" "), "fast fast slow fast fast slow slow slow");
    }
}

#[tokio::test]
async fn a_flow_is_answered_and_sent_signals() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        let order = kit.start(approve(12).id("job")).await.unwrap();
        assert!(kit.answer(&order, "approval", "perhaps").await.unwrap_err().is_unreadable());
        kit.answer(&order, "approval", &true).await.unwrap();
        kit.signal(&order, "note", "thanks").await.unwrap();
        assert_eq!(order.await.unwrap(), "12 true thanks");
    }
}

#[tokio::test]
async fn a_run_in_which_nothing_moves_any_more_says_where_everything_stands() {
    let kit = Testkit::new();
    let run = AssertUnwindSafe(kit.run(remind("ada".into()))).catch_unwind();
    let panic = run.await.expect_err("it waits for a month");
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("kit.advance"), "{message}");
    assert!(message.contains("remind(to=\"ada\") is waiting\n  sleep  waiting"), "{message}");
}

#[tokio::test]
async fn a_run_is_moved_by_another_branch_of_the_test() {
    let kit = Testkit::new();
    let (done, ()) = tokio::join!(kit.run(remind("ada".into())), kit.advance(30 * DAY));
    assert_eq!(done.unwrap(), "mailed ada");
}

#[tokio::test]
async fn a_body_that_waits_for_something_outside_is_waited_for() {
    #[flow]
    async fn asks() -> Result<u32, Error> {
        Ok(outside().await)
    }
    #[checkpoint]
    async fn outside() -> u32 {
        let (send, receive) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            std::thread::yield_now();
            send.send(7)
        });
        receive.await.unwrap()
    }
    assert_eq!(Testkit::new().run(asks()).await.unwrap(), 7);
}

#[tokio::test]
async fn a_stub_plays_a_part_with_the_arguments_by_name_and_may_fail() {
    let kit = Testkit::new();
    kit.stub("draft", |args| json!(format!("{} and {}", args["notes"], args["words"])));
    let done = kit.run(write_report("tides".into())).await;
    assert_eq!(done.unwrap(), "\"notes on tides\" and 300");
    kit.stub("research", |_| Err::<serde_json::Value, _>(Error::msg("the library is closed")));
    let failed = kit.run(write_report("moons".into())).await;
    assert_eq!(failed.unwrap_err().to_string(), "the library is closed");
}

#[tokio::test]
async fn stub_that_returns_another_type_than_its_checkpoint_says_so() {
    let kit = Testkit::new();
    kit.stub("research", |_| json!(12));
    let run = AssertUnwindSafe(kit.run(write_report("tides".into()))).catch_unwind();
    let panic = run.await.expect_err("the stub is wrong");
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("what the stub of checkpoint `research` gives is not what it returns"), "{message}");
}

#[checkpoint(timeout = "5s")]
async fn slow() -> Result<u32, Error> {
    Ok(1)
}

#[flow]
async fn calls_slow(again: bool) -> Result<u32, Error> {
    match slow().await {
        Err(error) if again && error.is_timeout() => slow().await,
        came => came,
    }
}

#[tokio::test]
async fn a_body_hangs_until_its_timeout_and_panics_on_order() {
    let kit = Testkit::new();
    kit.hang("slow");
    assert_eq!(kit.fast_forward(calls_slow(true)).await.unwrap(), 1);
    kit.panic("slow", "out of cheese");
    let failed = kit.run(calls_slow(false)).await.unwrap_err();
    assert!(failed.is_panic() && failed.to_string().contains("out of cheese"), "{failed}");
}

#[tokio::test]
async fn refusing_or_full_store_interrupts_a_flow_that_resumes_when_called() {
    for full in [false, true] {
        let kit = Testkit::new();
        let report = || write_report("tides".into()).id("job");
        if full {
            kit.fill_disk(1)
        } else {
            kit.refuse_writes(1)
        }
        let failed = kit.run(report()).await.unwrap_err();
        assert_eq!((failed.is_storage_full(), failed.is_store()), (full, true), "{failed}");
        assert_eq!(kit.run(report()).await.unwrap(), "notes on tides, in 300 words");
    }
}

#[tokio::test]
async fn a_store_that_is_slow_or_acknowledges_late_holds_a_flow_up() {
    for late in [false, true] {
        let kit = Testkit::new();
        let by = Duration::from_secs(3);
        if late {
            kit.late_acknowledgements(by)
        } else {
            kit.slow_writes(by)
        }
        assert_eq!(
            kit.fast_forward(write_report("tides".into()).id("job")).await.unwrap(),
            "notes on tides, in 300 words"
        );
        let report = kit.kitaru().execution(("write_report", "job")).await.unwrap().unwrap();
        let draft = report.records().last().unwrap();
        assert_eq!(
            draft.started().duration_since(report.created()).unwrap(),
            2 * by,
            "the flow begins when it is durable, and nothing is seen before that is"
        );
    }
}

#[tokio::test]
async fn the_journal_is_a_table_that_is_the_same_for_the_same_test() {
    let run = || async {
        let kit = Testkit::new();
        kit.fail("mail", 1, "no stamps");
        let job = kit.start(ticks("x".into(), 5)).await.unwrap();
        kit.advance(Duration::from_secs(20)).await;
        assert!(job.await.is_err());
        assert_eq!(
            kit.kitaru().execution(("remind", "none")).await.unwrap().map(|found| found.status()),
            None::<Status>
        );
        kit.journal().to_string()
    };
    let journal = run().await;
    assert_eq!(
        journal,
        "ticks(name=\"x\", every=5) is failed: no stamps\n  sleep  completed  for_ms=5000  null\n  mail   failed     to=\"x\"       no stamps\n"
    );
    assert_eq!(run().await, journal);
}
