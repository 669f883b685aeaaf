//! Programs that use a store from several runtimes, one after another or concurrently: the store's own work does not end with
//! any of them.
#![allow(clippy::async_yields_async, reason = "a handle outlives the runtime on which it was made")]

use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kitaru::{Error, Kitaru, Status, checkpoint, flow, signal};
use tokio::runtime::{Builder, Runtime};

use crate::support::log;

const SHORT: Duration = Duration::from_millis(10);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a future on a runtime of its own, which ends with it.
fn once<R>(work: impl Future<Output = R>) -> R {
    one_thread().block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("it hangs") })
}

/// Waits outside any runtime.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn has_said(path: &str, line: &str) {
    until(&format!("`{path}` says `{line}`"), || log(path).count(line) > 0);
}

async fn parking() -> Kitaru {
    Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap()
}

async fn waits(kitaru: &Kitaru, flow: &str, id: &str) {
    while kitaru.execution((flow, id)).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
}

#[flow]
async fn naps(path: String, ms: u64) -> Result<u64, Error> {
    kitaru::sleep(Duration::from_millis(ms)).await;
    log(&path).say("woke");
    Ok(ms)
}

#[test]
fn a_flow_that_is_parked_in_a_later_runtime_is_woken() {
    let kitaru = once(parking());
    for ms in [20, 21, 22] {
        assert_eq!(once(naps("runtimes: later".into(), ms).on(&kitaru)).unwrap(), ms);
    }
}

#[test]
fn a_parked_flow_resumes_although_no_runtime_is_entered_any_more() {
    let path = "runtimes: none";
    let kitaru = once(async {
        let kitaru = parking().await;
        drop(naps(path.into(), 50).id("job").on(&kitaru).start().await.unwrap());
        waits(&kitaru, "naps", "job").await;
        kitaru
    });
    has_said(path, "woke");
    assert_eq!(once(naps(path.into(), 50).id("job").on(&kitaru)).unwrap(), 50);
    assert_eq!(log(path).count("woke"), 1);
}

#[test]
fn parked_flow_resumes_although_its_runtime_is_not_driven() {
    let path = "runtimes: still";
    let runtime = one_thread();
    let _kitaru = runtime.block_on(async {
        let kitaru = parking().await;
        drop(naps(path.into(), 50).id("job").on(&kitaru).start().await.unwrap());
        waits(&kitaru, "naps", "job").await;
        kitaru
    });
    has_said(path, "woke");
}

#[flow]
async fn listens(path: String) -> Result<u32, Error> {
    let n = signal::<u32>("number").await?;
    log(&path).say("heard");
    Ok(n)
}

#[test]
fn a_signal_wakes_a_parked_flow_although_its_senders_runtime_ends() {
    let path = "runtimes: signal";
    let kitaru = once(async {
        let kitaru = parking().await;
        drop(listens(path.into()).id("job").on(&kitaru).start().await.unwrap());
        waits(&kitaru, "listens", "job").await;
        kitaru
    });
    once(async { kitaru.signal(("listens", "job"), "number", &7).await.unwrap() });
    has_said(path, "heard");
    assert_eq!(once(listens(path.into()).id("job").on(&kitaru)).unwrap(), 7);
}

#[flow]
async fn naps_with_a_child(path: String) -> Result<u64, Error> {
    let ms = naps(path.clone(), 50).await?;
    log(&path).say("parent");
    Ok(ms)
}

#[test]
fn parent_resumes_with_its_child_although_no_runtime_is_entered() {
    let path = "runtimes: child";
    let _kitaru = once(async {
        let kitaru = parking().await;
        drop(naps_with_a_child(path.into()).id("job").on(&kitaru).start().await.unwrap());
        waits(&kitaru, "naps_with_a_child", "job").await;
        kitaru
    });
    has_said(path, "parent");
}

#[checkpoint]
async fn step(path: String, n: u32) -> Result<u32, Error> {
    log(&path).say(format!("body {n}"));
    if n == 1 && log(&path).count("body 1") == 1 {
        std::future::pending::<()>().await;
    }
    Ok(n)
}

#[flow]
async fn steps_of_a_runtime(path: String) -> Result<u32, Error> {
    let mut sum = 0;
    for n in 0..3 {
        sum += step(path.clone(), n).await?;
    }
    log(&path).say("done");
    Ok(sum)
}

#[test]
fn flow_whose_runtime_ends_resumes_automatically_and_its_callers_keep_waiting() {
    for others in [one_thread as fn() -> Runtime, || Runtime::new().unwrap()] {
        let other = others();
        let path = format!("runtimes: cut {:?}", other.handle().runtime_flavor());
        let kitaru = other.block_on(parking());
        let first = one_thread();
        first.block_on(async {
            drop(steps_of_a_runtime(path.clone()).id("job").on(&kitaru).start().await.unwrap());
            while log(&path).count("body 1") == 0 {
                tokio::task::yield_now().await;
            }
        });
        let waiter = other.block_on(steps_of_a_runtime(path.clone()).id("job").on(&kitaru).start()).unwrap();
        drop(first);
        let came = other.block_on(async { tokio::time::timeout(Duration::from_secs(20), waiter).await });
        assert_eq!(came.expect("it hangs").unwrap(), 3);
        assert_eq!(log(&path).take(), ["body 0", "body 1", "body 1", "body 2", "done"]);
        let execution = other.block_on(kitaru.execution(("steps_of_a_runtime", "job")).into_future()).unwrap().unwrap();
        assert_eq!((execution.status(), execution.attempts()), (Status::Completed, 2));
    }
}

#[test]
fn flow_whose_runtime_ends_repeatedly_does_not_become_stuck() {
    let path = "runtimes: again";
    let kitaru = once(parking());
    for _ in 0..10 {
        let before = log(path).count("begun");
        once(async {
            drop(hangs(path.into()).id("job").on(&kitaru).start().await.unwrap());
            // Unless it has resumed elsewhere by now, where it hangs again.
            let begins = async {
                while log(path).count("begun") == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), begins).await;
        });
    }
    log(path).say("enough");
    // Without a call: a call would start an attempt in any case.
    let status = once(async {
        loop {
            let status = kitaru.execution(("hangs", "job")).await.unwrap().unwrap().status();
            if matches!(status, Status::Completed | Status::Stuck) {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(status, Status::Completed);
}

#[checkpoint]
async fn hang(path: String) -> Result<u32, Error> {
    log(&path).say("begun");
    while log(&path).count("enough") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(1)
}

#[flow]
async fn hangs(path: String) -> Result<u32, Error> {
    hang(path).await
}

#[test]
fn flow_without_an_attribute_can_be_called_again_after_its_runtime_ended() {
    let kitaru = once(parking());
    let path = "runtimes: dynamic";
    let call = || {
        let flow = kitaru::dynamic::flow("unnamed").run(move || hang(path.into()));
        flow.id("job").on(&kitaru)
    };
    assert!(once(async { tokio::time::timeout(SHORT, call()).await }).is_err());
    log(path).say("enough");
    assert_eq!(once(call()).unwrap(), 1);
}

/// Each test of a program may have a runtime of its own.
static SHARED: LazyLock<Kitaru> = LazyLock::new(|| {
    let open = || once(parking());
    // It is opened on a runtime that ends, on any thread.
    std::thread::spawn(open).join().unwrap()
});

#[tokio::test]
async fn a_store_in_a_static_serves_the_runtime_of_each_test() {
    for ms in [30, 31] {
        let _ = tokio::task::spawn_blocking(|| LazyLock::force(&SHARED)).await.unwrap();
        assert_eq!(naps("runtimes: static".into(), ms).on(&SHARED).await.unwrap(), ms);
    }
    let elsewhere = std::thread::spawn(|| once(naps("runtimes: static".into(), 32).on(&SHARED)));
    assert_eq!(tokio::task::spawn_blocking(|| elsewhere.join().unwrap()).await.unwrap().unwrap(), 32);
}

#[test]
fn execution_is_recovered_although_the_runtime_that_opened_the_store_ended() {
    let path = "runtimes: opened";
    let dir = tempfile::tempdir().unwrap();
    let open = || Kitaru::builder().dir(dir.path().join("store")).park_after(Duration::ZERO).open();
    once(async {
        let kitaru = open().await.unwrap();
        drop(naps(path.into(), 300).id("job").on(&kitaru).start().await.unwrap());
        waits(&kitaru, "naps", "job").await;
        kitaru.close().await.unwrap();
    });
    let _kitaru = once(open()).unwrap();
    has_said(path, "woke");
}

#[test]
fn flow_without_a_caller_runs_on_a_multi_thread_runtime_of_the_program() {
    let path = "runtimes: mine";
    let mine = Builder::new_multi_thread().worker_threads(1).thread_name("mine").enable_all().build().unwrap();
    let kitaru = once(parking());
    mine.block_on(async {
        drop(tells_where(path.into()).id("job").on(&kitaru).start().await.unwrap());
        waits(&kitaru, "tells_where", "job").await;
    });
    until("it runs", || log(path).count("mine") > 0);
    // A current-thread runtime does not take its place.
    once(async { kitaru.execution(("tells_where", "job")).await.unwrap() });
    drop(mine);
    let handle = once(async {
        let call = tells_where("runtimes: not mine".into()).id("other").on(&kitaru);
        let handle = call.start().await.unwrap();
        waits(&kitaru, "tells_where", "other").await;
        handle
    });
    until("it runs", || log("runtimes: not mine").count("kitaru-flows") > 0);
    drop(handle);
}

#[flow]
async fn tells_where(path: String) -> Result<(), Error> {
    kitaru::sleep(Duration::from_millis(50)).await;
    // The flow runs on a runtime.
    #[allow(deprecated)]
    tokio::time::sleep(Duration::from_millis(1)).await;
    log(&path).say(std::thread::current().name().unwrap_or_default());
    Ok(())
}

#[test]
fn dropping_the_last_handle_releases_a_store_whose_runtimes_have_ended() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || {
        Kitaru::builder().dir(dir.path().join("store")).recovery(kitaru::Recovery::Manual).park_after(Duration::ZERO)
    };
    let path = "runtimes: released";
    let kitaru = once(builder().open()).unwrap();
    let handle = once(async {
        let handle = naps(path.into(), 3_600_000).id("waits").on(&kitaru).start().await.unwrap();
        waits(&kitaru, "naps", "waits").await;
        drop(hangs(path.into()).id("runs").on(&kitaru).start().await.unwrap());
        handle
    });
    drop(kitaru);
    let error = once(handle).unwrap_err();
    assert!(error.is_closed(), "{error}");
    let kitaru = once(builder().open()).unwrap();
    let status = once(kitaru.execution(("naps", "waits")).into_future()).unwrap().unwrap().status();
    assert_eq!(status, Status::Waiting);
}

#[test]
fn store_is_closed_although_the_runtime_of_the_closing_task_ends() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || Kitaru::builder().dir(dir.path().join("store"));
    let kitaru = once(builder().open()).unwrap();
    once(async {
        let mut closing = Box::pin(kitaru.close().into_future());
        let _ = futures::poll!(closing.as_mut());
    });
    let again = once(builder().open()).unwrap();
    assert!(once(naps("runtimes: closed".into(), 1).on(&kitaru)).unwrap_err().is_closed());
    assert_eq!(once(naps("runtimes: closed".into(), 1).on(&again)).unwrap(), 1);
}
