//! Cancelled executions.

use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, Status, checkpoint, dynamic, flow};

use crate::support::{log, memory};

const HOUR: Duration = Duration::from_secs(3_600);

#[checkpoint]
async fn first(path: &str) -> u32 {
    log(path).say("first");
    1
}

#[checkpoint]
async fn hangs(path: &str) -> u32 {
    struct Dropped<'a>(&'a str);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            log(self.0).say("dropped");
        }
    }
    let _dropped = Dropped(path);
    log(path).say("hangs");
    std::future::pending::<()>().await;
    2
}

#[flow]
async fn job(path: String) -> Result<u32, Error> {
    Ok(first(&path).await + hangs(&path).await)
}

#[tokio::test]
async fn cancelled_execution_is_dropped_with_its_bodies_and_never_resumes() {
    let (kitaru, _) = memory().await;
    let handle = job("runs".into()).id("job").on(&kitaru).start().await.unwrap();
    log("runs").until("hangs").await;
    handle.cancel().await.unwrap();
    assert_eq!(log("runs").count("dropped"), 1);
    assert!(handle.await.unwrap_err().is_cancelled());
    let execution = kitaru.execution(("job", "job")).await.unwrap().unwrap();
    assert_eq!((execution.status(), execution.records().len()), (Status::Cancelled, 1));

    let error = job("runs".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains(".fresh()"), "{error}");
    let error = kitaru.cancel(&execution).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("is cancelled"), "{error}");
}

#[flow]
async fn waits(path: String) -> Result<u32, Error> {
    let n = first(&path).await;
    kitaru::sleep(HOUR).await;
    Ok(n + first(&path).await)
}

#[tokio::test]
async fn cancelled_execution_that_waited_ignores_its_timer() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
    let handle = waits("waits".into()).id("job").on(&kitaru).start().await.unwrap();
    while kitaru.execution(("waits", "job")).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    kitaru.cancel(("waits", "job")).await.unwrap();
    assert!(handle.await.unwrap_err().is_cancelled());
    clock.advance(HOUR);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(log("waits").count("first"), 1);
    assert_eq!(kitaru.execution(("waits", "job")).await.unwrap().unwrap().status(), Status::Cancelled);
}

#[tokio::test]
async fn execution_whose_flow_the_program_lacks_is_cancelled_only_without_its_undo() {
    let (kitaru, dir) = crate::support::disk().await;
    let start = async |kitaru: &Kitaru, id: &str| {
        let books = dynamic::flow("books").run(|| async {
            dynamic::checkpoint("room").run(|| async { Ok::<_, Error>(7) }).await?;
            std::future::pending::<Result<(), Error>>().await
        });
        let handle = books.id(id).on(kitaru).start().await.unwrap();
        while kitaru.execution(("books", id)).await.unwrap().unwrap().records().is_empty() {
            tokio::task::yield_now().await;
        }
        (handle,)
    };
    drop(start(&kitaru, "job").await);
    // The flow of this one is gone with its runtime.
    let of_a_thread = kitaru.clone();
    let lost = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(start(&of_a_thread, "lost"))
    });
    let (lost,) = lost.join().unwrap();
    let error = lost.cancel().await.unwrap_err();
    assert!(error.to_string().contains("lacks its flow"), "{error}");
    kitaru.close().grace(Duration::ZERO).await.unwrap();

    let kitaru = crate::support::reopen(&dir).await;
    let error = kitaru.cancel(("books", "job")).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("lacks its flow"), "{error}");
    assert_eq!(kitaru.execution(("books", "job")).await.unwrap().unwrap().status(), Status::Interrupted);
    kitaru.cancel(("books", "job")).without_undo().await.unwrap();
    let found = kitaru.execution(("books", "job")).await.unwrap().unwrap();
    assert_eq!((found.status(), found.undo_skipped()), (Status::Cancelled, true));
}

#[tokio::test]
async fn interrupted_or_failed_execution_can_be_cancelled_and_a_completed_one_cannot() {
    let (kitaru, dir) = crate::support::disk().await;
    let failing = dynamic::flow("fails").run(|| async { Err::<(), _>(Error::msg("no")) });
    failing.id("job").on(&kitaru).await.unwrap_err();
    let done = dynamic::flow("done").run(|| async { Ok::<_, Error>(1) });
    done.id("job").on(&kitaru).await.unwrap();
    drop(job("cut".into()).id("cut").on(&kitaru).start().await.unwrap());
    log("cut").until("hangs").await;
    kitaru.close().await.unwrap();

    let kitaru = crate::support::reopen(&dir).await;
    for (flow, id) in [("fails", "job"), ("job", "cut")] {
        kitaru.cancel((flow, id)).await.unwrap();
        let execution = kitaru.execution((flow, id)).await.unwrap().unwrap();
        assert_eq!(execution.status(), Status::Cancelled);
        assert!(execution.error().unwrap().contains("was cancelled"));
    }
    let error = kitaru.cancel(("done", "job")).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("is completed"), "{error}");
    assert!(error.to_string().ends_with("look at its result"), "{error}");
    let error = kitaru.cancel(("absent", "job")).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("the store has no execution"), "{error}");
    kitaru.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancellation_at_any_moment_ends_as_cancelled_or_is_refused_as_too_late() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).park_after(Duration::ZERO).open().await.unwrap();
    let (mut cancelled, mut late) = (0, 0);
    for n in 0..300u32 {
        let path = format!("any {n}");
        let handle = waits(path.clone()).id(&path).on(&kitaru).start().await.unwrap();
        for _ in 0..n % 23 {
            tokio::task::yield_now().await;
        }
        if n % 3 == 0 {
            clock.advance(HOUR);
        }
        let told = tokio::time::timeout(Duration::from_secs(20), handle.cancel()).await.expect("it hangs");
        let ended = tokio::time::timeout(Duration::from_secs(20), handle).await.expect("it hangs");
        let status = kitaru.execution(("waits", &path)).await.unwrap().unwrap().status();
        match told {
            Ok(()) => {
                cancelled += 1;
                assert_eq!(status, Status::Cancelled);
                assert!(ended.unwrap_err().is_cancelled());
            }
            Err(error) => {
                late += 1;
                assert!(error.is_misuse(), "{error}");
                assert_eq!((status, ended.unwrap()), (Status::Completed, 2));
            }
        }
    }
    println!("{cancelled} cancelled, {late} too late");
    assert!(cancelled > 50, "{cancelled}");
}
