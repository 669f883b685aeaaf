//! Tests that wait for something that does not happen: they end with a picture, and never hang.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use kitaru::testkit::Testkit;
use kitaru::{Error, checkpoint, flow};

/// The panic message of a future.
async fn panics<F: Future>(future: F) -> String {
    let ended = AssertUnwindSafe(future).catch_unwind().await;
    let Err(panic) = ended else { panic!("it has not panicked") };
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[checkpoint(timeout = "10s")]
async fn never_ends(n: u32) -> Result<u32, Error> {
    let _ = n;
    std::future::pending().await
}

#[checkpoint]
async fn outer(n: u32) -> Result<u32, Error> {
    never_ends(n).await
}

#[checkpoint(timeout = "10s")]
async fn waits_for_a_server(n: u32) -> Result<u32, Error> {
    let (never, answer) = tokio::sync::oneshot::channel::<u32>();
    std::mem::forget(never);
    let _ = n;
    Ok(answer.await.unwrap_or_default())
}

#[flow]
async fn bounds(kind: String) -> Result<bool, Error> {
    let ended = match &*kind {
        "pending" => never_ends(1).await,
        "in a body" => outer(1).await,
        _ => waits_for_a_server(1).await,
    };
    Ok(ended.unwrap_err().is_timeout())
}

/// Fails instead of hanging.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(5), future).await.expect("it hangs")
}

#[tokio::test]
async fn fast_forward_advances_the_clock_to_the_timeout_of_an_idle_body() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        // Nothing can wake it any more, so that the test need not wait.
        assert!(within(kit.fast_forward(bounds("pending".into()))).await.unwrap());
        assert!(within(kit.fast_forward(bounds("in a body".into()))).await.unwrap());
        kit.patience(Duration::from_millis(20));
        assert!(within(kit.fast_forward(bounds("server".into()))).await.unwrap());
    }
}

#[tokio::test]
async fn a_run_of_a_body_that_never_ends_says_so() {
    let kit = Testkit::new();
    let message = within(panics(kit.run(bounds("pending".into())))).await;
    assert!(message.contains("nothing moves any more") && message.contains("bounds(kind=\"pending\")"), "{message}");
}

#[tokio::test]
async fn run_waits_for_outside_work_and_then_names_what_to_use() {
    let kit = Testkit::new();
    kit.patience(Duration::from_millis(20));
    let message = within(panics(kit.run(bounds("server".into())))).await;
    assert!(message.contains("has not arrived for 20ms") && message.contains("kit.hang"), "{message}");
    let message = within(panics(kit.wait_for_bodies())).await;
    assert!(message.contains("has not arrived for 20ms"), "{message}");
}

#[flow]
async fn patient() -> Result<(), Error> {
    kitaru::sleep(Duration::from_secs(1)).await;
    Ok(())
}

#[tokio::test]
async fn a_handle_that_is_awaited_in_vain_shows_where_everything_stands() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        let handle = kit.start(patient()).await.unwrap();
        let message = within(panics(handle)).await;
        assert!(message.contains("kit.advance"), "{message}");
        assert!(message.contains("\n  sleep  waiting  for_ms=1000"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_is_moved_by_another_branch_or_thread_of_the_test() {
    let kit = Testkit::new();
    let handle = kit.start(patient()).await.unwrap();
    let (ended, ()) = tokio::join!(handle, kit.advance(Duration::from_secs(1)));
    ended.unwrap();
    let handle = kit.start(patient().id("again")).await.unwrap();
    let waiting = tokio::spawn(handle);
    kit.advance(Duration::from_secs(1)).await;
    waiting.await.unwrap().unwrap();
}

#[checkpoint]
async fn asks_a_server(n: u32) -> Result<u32, Error> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(n)
}

#[checkpoint]
async fn follow_up(n: u32) -> Result<u32, Error> {
    Ok(n)
}

#[flow]
async fn serves(n: u32) -> Result<u32, Error> {
    let n = asks_a_server(n).await?;
    follow_up(n).await?;
    kitaru::wait::<u32>("answer").await
}

#[tokio::test]
async fn a_test_waits_for_bodies_that_wait_for_something_outside() {
    for kit in [Testkit::new(), Testkit::always_parking()] {
        let handle = kit.start(serves(1)).await.unwrap();
        kit.wait_for_bodies().await;
        assert_eq!((kit.executed("asks_a_server"), kit.executed("follow_up")), (1, 1));
        kit.answer(&handle, "answer", &7).await.unwrap();
        assert_eq!(handle.await.unwrap(), 7);
    }
}
