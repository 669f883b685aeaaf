//! Closing a store while a body blocks its thread.

use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use kitaru::{Error, Kitaru, checkpoint, flow};

use crate::support::log;

/// Holds a body's thread until it is dropped.
static HOLDS: Mutex<Vec<mpsc::Receiver<()>>> = Mutex::new(Vec::new());

#[checkpoint]
async fn blocks(path: String) -> Result<(), Error> {
    let hold = HOLDS.lock().unwrap_or_else(PoisonError::into_inner).pop();
    log(&path).say("blocks");
    // A body should not block; this one stands for third-party code.
    let _ = hold.map(|hold| hold.recv());
    Ok(())
}

#[checkpoint(blocking)]
fn blocks_in_the_pool(path: String) -> Result<(), Error> {
    let hold = HOLDS.lock().unwrap_or_else(PoisonError::into_inner).pop();
    log(&path).say("blocks");
    let _ = hold.map(|hold| hold.recv());
    Ok(())
}

#[flow]
async fn is_held_up(path: String, in_the_pool: bool) -> Result<(), Error> {
    if in_the_pool { blocks_in_the_pool(path).await } else { blocks(path).await }
}

/// The process starts again if the system refuses a thread with the requested stack.
#[test]
fn a_store_that_gets_no_thread_is_an_error_when_it_is_opened() {
    let name = "blocked::a_store_that_gets_no_thread_is_an_error_when_it_is_opened";
    if std::env::var_os("RUST_MIN_STACK").is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let output = command.args([name, "--exact", "--nocapture"]).env("RUST_MIN_STACK", (1u64 << 46).to_string());
        let output = output.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().thread_stack_size(1 << 20).enable_all().build().unwrap();
    let error = runtime.block_on(Kitaru::builder().in_memory().open()).expect_err("it fails");
    assert!(error.is_store() && error.to_string().contains("raise the limit of threads"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn closing_is_bounded_by_its_grace_time_although_a_body_blocks_its_thread() {
    for in_the_pool in [false, true] {
        let path = format!("blocked: {in_the_pool}");
        let dir = tempfile::tempdir().unwrap();
        let builder = || Kitaru::builder().dir(dir.path().join("store")).recovery(kitaru::Recovery::Manual);
        let kitaru = builder().open().await.unwrap();
        let (release, hold) = mpsc::channel();
        HOLDS.lock().unwrap_or_else(PoisonError::into_inner).push(hold);
        let handle = is_held_up(path.clone(), in_the_pool).id("job").on(&kitaru).start().await.unwrap();
        while log(&path).count("blocks") == 0 {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        let closing = kitaru.close().grace(Duration::from_millis(20)).into_future();
        tokio::time::timeout(Duration::from_secs(10), closing).await.expect("it is bounded").unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(handle.await.unwrap_err().is_closed());
        // The store is released: another owner can open it, and does not find the outcome that the body returns now.
        let kitaru = builder().lock_timeout(Duration::from_secs(1)).open().await.unwrap();
        drop(release);
        let execution = kitaru.execution(("is_held_up", "job")).await.unwrap().unwrap();
        assert!(execution.records().is_empty());
        is_held_up(path.clone(), in_the_pool).id("job").on(&kitaru).await.unwrap();
        assert_eq!(log(&path).count("blocks"), 2);
    }
}
