//! The rows of the table of bounds that no other test reaches.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kitaru::testkit::Testkit;
use kitaru::{Error, Kitaru, checkpoint, dynamic, flow};

use crate::support::memory;

static TRIED: AtomicU32 = AtomicU32::new(0);

#[checkpoint(retries = 40, backoff = "1s")]
async fn refuses(until: u32) -> Result<u32, Error> {
    match TRIED.fetch_add(1, Ordering::SeqCst) {
        tries if tries < until => Err(Error::msg(format!("no {tries}"))),
        tries => Ok(tries),
    }
}

#[flow]
async fn insists() -> Result<u32, Error> {
    refuses(30).await
}

#[tokio::test]
async fn a_record_shows_the_last_sixteen_failed_tries() {
    let kit = Testkit::new();
    kit.fast_forward(insists().id("job")).await.unwrap();
    let execution = kit.kitaru().execution(("insists", "job")).await.unwrap().unwrap();
    let record = &execution.records()[0];
    let failed: Vec<&str> = record.failed_tries().map(|failed| failed.error()).collect();
    let last: Vec<String> = (14..30).map(|tries| format!("no {tries}")).collect();
    assert_eq!(failed, last);
    assert_eq!(record.tries(), 31, "all of them are counted");
}

#[checkpoint(sensitive, retries = 3, backoff = "1s")]
async fn signs(secret: &str) -> Result<u32, Error> {
    Err(Error::msg(format!("{secret} is refused")))
}

#[flow]
async fn signs_on(secret: String) -> Result<bool, Error> {
    Ok(signs(&secret).await.is_err())
}

#[tokio::test]
async fn a_sensitive_record_shows_no_error_of_its_failed_tries() {
    let kit = Testkit::new();
    kit.fast_forward(signs_on("hunter2".into()).id("job")).await.unwrap();
    let execution = kit.kitaru().execution(("signs_on", "job")).await.unwrap().unwrap();
    let record = &execution.records()[0];
    assert_eq!((record.tries(), record.failed_tries().count()), (4, 3));
    for failed in record.failed_tries() {
        assert_eq!(failed.error(), "(sensitive)");
    }
    assert!(!format!("{execution:?}").contains("hunter2 is refused"));
}

#[tokio::test]
async fn a_name_over_its_bound_is_refused() {
    let (kitaru, _) = memory().await;
    let flow = |name: String| dynamic::flow(name).run(|| async { Ok::<_, Error>(1) });
    let at_its_bound = "x".repeat(kitaru::MAX_NAME_BYTES);
    assert_eq!(kitaru::MAX_NAME_BYTES, 128);
    assert_eq!(flow(at_its_bound.clone()).on(&kitaru).await.unwrap(), 1);
    let error = flow(format!("{at_its_bound}x")).on(&kitaru).await.unwrap_err();
    assert!(error.to_string().contains("128"), "{error}");
}

#[tokio::test]
async fn a_page_of_executions_has_a_thousand_at_the_most() {
    let (kitaru, _) = memory().await;
    let calls = (0..1_001).map(|n: u32| {
        let call = dynamic::flow("small").input("n", &n).run(|| async { Ok::<_, Error>(1) });
        call.on(&kitaru)
    });
    futures::future::try_join_all(calls).await.unwrap();
    let page = kitaru.executions().limit(5_000).await.unwrap();
    assert_eq!(page.len(), 1_000);
    let rest = kitaru.executions().after(page.next_cursor().unwrap()).await.unwrap();
    assert_eq!((rest.len(), rest.next_cursor()), (1, None));
    assert_eq!(kitaru.executions().limit(0).await.unwrap().len(), 1);
    assert_eq!(kitaru.executions().await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_folder_without_a_name_is_refused() {
    let error = Kitaru::builder().dir("").open().await.map(drop).unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("its name is empty"), "{error}");
}

#[flow]
async fn adds(n: u32) -> Result<u32, Error> {
    Ok(n + 1)
}

#[tokio::test]
async fn store_whose_folder_is_removed_fails_calls_and_another_one_begins_there() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let open = || Kitaru::builder().dir(&place).lock_timeout(Duration::ZERO).recovery(kitaru::Recovery::Manual).open();
    let kitaru = open().await.unwrap();
    assert_eq!(adds(1).on(&kitaru).await.unwrap(), 2);
    std::fs::remove_dir_all(&place).unwrap();
    let error = adds(2).on(&kitaru).await.unwrap_err();
    assert!(error.is_store() && format!("{error:#}").contains("was removed, moved or replaced"), "{error:#}");
    // The folder does not belong to the first store any more, which does not keep running next to it.
    let other = open().await.unwrap();
    assert_eq!(adds(3).on(&other).await.unwrap(), 4);
    assert!(adds(4).on(&kitaru).await.unwrap_err().is_store());
    assert_eq!(other.executions().await.unwrap().len(), 1);
}
