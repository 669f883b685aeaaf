//! Unusual but valid flows: none of them hangs, and none of them affects others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use kitaru::{Error, Kitaru, Status, checkpoint, dynamic, flow};
use tokio::sync::{mpsc, oneshot};

use crate::support::{disk, log, memory, reopen};

#[checkpoint]
async fn count(n: u32) -> u32 {
    n
}

#[checkpoint]
async fn yields(n: u32) -> u32 {
    for _ in 0..n % 7 {
        tokio::task::yield_now().await;
    }
    n
}

/// Awaits a future, and fails after a time that is far too long.
async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[checkpoint]
async fn leaves_a_trap(n: u32) -> u32 {
    let _trap = PanicsWhenDropped;
    n
}

#[tokio::test]
async fn a_body_that_panics_in_a_drop_fails_its_attempt_and_nothing_else() {
    let (kitaru, _) = memory().await;
    let trapped = dynamic::flow("trapped").run(|| async { Ok::<_, Error>(leaves_a_trap(1).await) });
    let other = dynamic::flow("other").run(|| async { Ok::<_, Error>(count(1).await) });
    let (trapped, other) = tokio::join!(soon(trapped.on(&kitaru)), soon(other.on(&kitaru)));
    assert!(trapped.unwrap_err().to_string().contains("dropped"));
    assert_eq!(other.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_panics_while_its_bodies_run_can_be_called_again() {
    let (kitaru, _) = memory().await;
    static PANICS: AtomicU32 = AtomicU32::new(0);
    let call = || {
        let flow = dynamic::flow("panics").run(|| async {
            let others = join_all((0..40).map(yields));
            let panics = async {
                count(100).await;
                assert!(PANICS.fetch_add(1, Ordering::SeqCst) > 0, "in the flow");
            };
            let (others, ()) = tokio::join!(others, panics);
            Ok::<_, Error>(others.into_iter().sum::<u32>())
        });
        soon(flow.id("job").on(&kitaru))
    };
    assert!(call().await.unwrap_err().is_panic());
    assert_eq!(call().await.unwrap(), (0..40).sum::<u32>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_may_wait_for_a_task_that_is_none_of_its_own_and_for_raw_time() {
    let (kitaru, _) = memory().await;
    let flow = dynamic::flow("waits").run(|| async {
        let (send, mut receive) = mpsc::channel(1);
        tokio::spawn(async move {
            for n in 0..50u32 {
                tokio::task::yield_now().await;
                let _ = send.send(n).await;
            }
        });
        let mut sum = 0;
        while let Some(n) = receive.recv().await {
            sum += count(n).await;
            if n % 10 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok::<_, Error>(sum)
    });
    assert_eq!(soon(flow.on(&kitaru)).await.unwrap(), (0..50).sum::<u32>());
}

#[tokio::test]
async fn a_flow_that_yields_without_end_starves_no_other() {
    let (kitaru, _) = memory().await;
    let busy = dynamic::flow("busy").run(|| async {
        loop {
            tokio::task::yield_now().await;
        }
        #[allow(unreachable_code)]
        Ok::<u32, Error>(0)
    });
    let busy = busy.on(&kitaru).start().await.unwrap();
    let other = dynamic::flow("other").run(|| async { Ok::<_, Error>(join_all((0..100).map(yields)).await.len()) });
    assert_eq!(soon(other.on(&kitaru)).await.unwrap(), 100);
    drop(busy);
    soon(kitaru.close().grace(Duration::ZERO)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_be_polled_in_one_branch_and_awaited_in_another() {
    let (kitaru, _) = memory().await;
    for attempt in 0..2 {
        let flow = dynamic::flow("moves").run(move || async move {
            let mut call = Box::pin(yields(6));
            let polled = futures::poll!(call.as_mut());
            assert!(polled.is_pending());
            let branch = kitaru::spawn(call);
            let (mut left, right) = (yields(5), yields(4));
            tokio::select! { biased; _ = &mut left => {}, _ = count(7) => {} }
            let sum = branch.await + left.await + right.await;
            if attempt == 0 { Err(Error::msg("again")) } else { Ok(sum) }
        });
        let done = soon(flow.id("job").on(&kitaru)).await;
        assert_eq!(done.ok(), (attempt == 1).then_some(15));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_concurrent_calls_are_recorded_and_replayed() {
    let (kitaru, _) = memory().await;
    for attempt in 0..2 {
        let flow = dynamic::flow("many").run(move || async move {
            let sum: u32 = join_all((0..10_000).map(count)).await.into_iter().sum();
            if attempt == 0 { Err(Error::msg("again")) } else { Ok(sum) }
        });
        let done = soon(flow.id("job").on(&kitaru)).await;
        assert_eq!(done.ok(), (attempt == 1).then_some((0..10_000).sum::<u32>()));
    }
    assert_eq!(kitaru.execution(("many", "job")).await.unwrap().unwrap().records().len(), 10_000);
}

#[tokio::test]
async fn a_branch_that_outlives_its_flow_is_dropped_with_it() {
    let (kitaru, _) = memory().await;
    let (dropped, is_dropped) = oneshot::channel::<()>();
    let flow = dynamic::flow("branches").run(|| async {
        let branch = kitaru::spawn(async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        });
        count(1).await;
        drop(branch);
        Ok::<_, Error>(count(2).await)
    });
    assert_eq!(soon(flow.id("job").on(&kitaru)).await.unwrap(), 2);
    assert!(soon(is_dropped).await.is_err(), "its sender is dropped");
}

#[checkpoint(blocking)]
fn blocks(gate: Gate) -> u32 {
    log("odd: blocks").say("begun");
    gate.0.wait();
    1
}

/// Where a test and a body on the blocking pool meet. It is not part of a key.
#[derive(Clone)]
struct Gate(Arc<std::sync::Barrier>);

impl serde::Serialize for Gate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_closes_while_a_body_on_the_blocking_pool_continues() {
    let (kitaru, dir) = disk().await;
    let gate = Gate(Arc::new(std::sync::Barrier::new(2)));
    let inner = gate.clone();
    let flow = dynamic::flow("blocks").run(move || async move { Ok::<_, Error>(blocks(inner).await) });
    let handle = flow.id("job").on(&kitaru).start().await.unwrap();
    while log("odd: blocks").count("begun") == 0 {
        tokio::task::yield_now().await;
    }
    soon(kitaru.close().grace(Duration::ZERO)).await.unwrap();
    assert!(handle.await.unwrap_err().is_closed());
    gate.0.wait();
    let kitaru = reopen(&dir).await;
    assert_eq!(kitaru.execution(("blocks", "job")).await.unwrap().unwrap().status(), Status::Interrupted);
}

#[flow]
async fn slow(path: String) -> Result<u32, Error> {
    let mut sum = 0;
    for n in 0..200 {
        sum += yields(n).await;
        log(&path).say("step");
    }
    Ok(sum)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_closed_under_load_loses_nothing_and_refuses_later_calls() {
    let (mut kitaru, dir) = disk().await;
    for round in 0.. {
        let calls: Vec<_> = (0..20).map(|n| tokio::spawn(slow(format!("slow {n}")).on(&kitaru))).collect();
        while (0..20).all(|n| log(&format!("slow {n}")).count("step") < 20 * (round + 1)) {
            tokio::task::yield_now().await;
        }
        if round == 4 {
            for call in calls {
                assert_eq!(soon(call).await.unwrap().unwrap(), (0..200).sum::<u32>());
            }
            break;
        }
        soon(kitaru.close()).await.unwrap();
        for call in calls {
            match soon(call).await.unwrap() {
                Ok(sum) => assert_eq!(sum, (0..200).sum::<u32>()),
                Err(error) => assert!(error.is_closed(), "{error:#}"),
            }
        }
        assert!(slow("after".into()).on(&kitaru).await.unwrap_err().is_closed());
        kitaru = reopen(&dir).await;
    }
}

#[tokio::test]
async fn a_handle_that_is_dropped_leaves_the_others_and_the_flow_alone() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handles = join_all((0..5).map(|_| slow("handles".into()).on(&kitaru).start())).await;
    let mut handles: Vec<_> = handles.into_iter().map(Result::unwrap).collect();
    let last = handles.pop().unwrap();
    drop(handles);
    assert_eq!(soon(last).await.unwrap(), (0..200).sum::<u32>());
    assert_eq!(log("handles").count("step"), 200);
}
