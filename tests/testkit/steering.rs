//! Actions of a person, done by a test, and wrong stubs.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use kitaru::testkit::{Testkit, crash_everywhere};
use kitaru::{Error, Resolution, Status, checkpoint, flow};
use serde_json::json;

#[checkpoint(retries = 2)]
async fn debit(euros: u32) -> Result<u32, Error> {
    Ok(euros)
}

#[checkpoint]
async fn release(seat: &str) -> Result<(), Error> {
    drop(seat.to_owned());
    Ok(())
}

#[flow]
async fn holds(seat: String) -> Result<u32, Error> {
    let undone = seat.clone();
    kitaru::undo(async move || release(&undone).await);
    debit(7).await?;
    Ok(kitaru::wait::<u32>("paid").await? + seat.len() as u32)
}

/// Continues past the cancellation of its child, and then waits.
#[flow]
async fn parent(seat: String) -> Result<bool, Error> {
    let child = holds(seat).id("child").await;
    kitaru::sleep(Duration::from_secs(60)).await;
    Ok(child.unwrap_err().is_cancelled())
}

#[tokio::test]
async fn parent_whose_child_is_cancelled_continues_in_a_testkit() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        let handle = kit.start(parent("a".into())).await.unwrap();
        kit.cancel(("holds", "child")).await.unwrap();
        assert_eq!(kit.executed("release"), 1);
        kit.advance(Duration::from_secs(60)).await;
        assert!(handle.await.unwrap());
    }
}

#[tokio::test]
async fn a_failed_execution_is_resumed_in_a_testkit_and_may_forget() {
    let kit = Testkit::new();
    #[flow]
    async fn rent(euros: u32) -> Result<u32, Error> {
        let debited = debit(euros).await;
        release("flat").await?;
        debited
    }
    kit.stub("debit", |_| Err(Error::msg("no money").fatal()));
    assert_eq!(kit.run(rent(900).id("may")).await.unwrap_err().to_string(), "no money");
    assert!(kit.resume(("rent", "may")).forget("nothing").await.unwrap_err().is_misuse());
    kit.stub("debit", |_| json!(900));
    kit.resume(("rent", "may")).forget("debit").await.unwrap();
    let execution = kit.kitaru().execution(("rent", "may")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Completed);
}

#[test]
fn cancellation_and_resume_are_made_once_however_often_the_process_crashes() {
    #[flow]
    async fn fails_once(n: u32) -> Result<u32, Error> {
        let debited = debit(n).await?;
        if kitaru::wait::<bool>("fail").await? {
            return Err(Error::msg("on request"));
        }
        Ok(debited)
    }
    crash_everywhere(|kit| async move {
        let seat = kit.start(holds("a".into()).id("seat")).await;
        kit.cancel(("holds", "seat")).await.unwrap();
        let seat = match seat {
            Ok(seat) => seat.await.unwrap_err(),
            // The process crashed after it.
            Err(cancelled) => cancelled,
        };
        let failing = kit.start(fails_once(1).id("one")).await.unwrap();
        kit.answer(&failing, "fail", &true).await.unwrap();
        let failed = failing.await.unwrap_err().to_string();
        kit.resume(("fails_once", "one")).after("debit").await.unwrap();
        (seat.is_cancelled(), failed)
    });
}

async fn panics<F: Future>(future: F) -> String {
    let ended = AssertUnwindSafe(future).catch_unwind().await;
    let Err(panic) = ended else { panic!("it has not panicked") };
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[tokio::test]
async fn a_stub_that_is_wrong_fails_the_test_where_it_is_and_is_not_tried_again() {
    let kit = Testkit::new();
    kit.stub("debit", |args| {
        assert_eq!(args["euros"], 8, "the wrong sum");
        json!(8)
    });
    let message = panics(kit.start(holds("a".into()))).await;
    assert!(message.contains("the stub of checkpoint `debit`") && message.contains("the wrong sum"), "{message}");
    assert_eq!(kit.executed("debit"), 1);

    let kit = Testkit::new();
    kit.stub("debit", |_| json!("seven"));
    let message = panics(kit.fast_forward(holds("a".into()))).await;
    assert!(message.contains("what the stub of checkpoint `debit` gives is not what it returns"), "{message}");

    #[checkpoint]
    async fn plain(n: u32) -> u32 {
        n
    }
    #[flow]
    async fn calls_plain(n: u32) -> Result<u32, Error> {
        Ok(plain(n).await)
    }
    let kit = Testkit::new();
    kit.stub("plain", |_| Err::<serde_json::Value, _>(Error::msg("no")));
    let message = panics(kit.run(calls_plain(1))).await;
    assert!(message.contains("gives an error"), "{message}");
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn wire_once(euros: u32) -> Result<u32, Error> {
    Ok(euros)
}

#[flow]
async fn wires(euros: u32) -> Result<u32, Error> {
    let wired = wire_once(euros).await?;
    debit(wired).await
}

#[test]
fn flow_that_waits_for_a_person_after_a_crash_is_not_a_mistake() {
    crash_everywhere(|kit| async move { kit.run(wires(7)).await });
}

#[test]
fn flow_whose_question_the_scenario_answers_reaches_the_same_end() {
    crash_everywhere(|kit| async move {
        let job = kit.start(wires(7).id("job")).await.unwrap();
        let execution = kit.kitaru().execution(("wires", "job")).await.unwrap().unwrap();
        if !execution.waits().is_empty() {
            kit.answer(&job, "wire_once", &Resolution::happened(&7).unwrap()).await.unwrap();
        }
        job.await
    });
}
