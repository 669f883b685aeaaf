//! Handles that are shared by tasks.

use kitaru::{Error, Handle, Kitaru, flow, wait};

use crate::support::memory;

#[flow]
async fn shared_handle(n: u32) -> Result<bool, Error> {
    kitaru::publish("n", &n)?;
    wait::<bool>("approval").await
}

/// As in a handler of a web framework.
async fn all_at_a_shared_handle(kitaru: Kitaru, job: std::sync::Arc<Handle<Result<bool, Error>>>) {
    let (with, shared) = (kitaru.clone(), job.clone());
    let answered = tokio::spawn(async move { with.answer(&*shared, "approval", &true).await });
    answered.await.unwrap().unwrap();
    let (with, shared) = (kitaru.clone(), job.clone());
    let published = tokio::spawn(async move { with.published::<u32>(&*shared, "n").await });
    assert_eq!(published.await.unwrap().unwrap(), Some(1));
    let (with, shared) = (kitaru.clone(), job.clone());
    let exported = tokio::spawn(async move { with.export(&*shared).await });
    assert!(exported.await.unwrap().unwrap().to_string().contains("shared_handle"));
    // It completes or is cancelled; either is fine here.
    let (with, shared) = (kitaru, job.clone());
    drop(tokio::spawn(async move { with.cancel(&*shared).await }).await.unwrap());
    drop(tokio::spawn(async move { job.cancel().await }).await.unwrap());
}

#[tokio::test]
async fn a_shared_handle_is_answered_looked_at_and_cancelled_in_other_tasks() {
    fn is_sync<T: Send + Sync>(_: &T) {}
    let (kitaru, _) = memory().await;
    let handle = shared_handle(1).id("job").on(&kitaru).start().await.unwrap();
    is_sync(&handle);
    while kitaru.execution(("shared_handle", "job")).await.unwrap().unwrap().waits().is_empty() {
        tokio::task::yield_now().await;
    }
    let all = all_at_a_shared_handle(kitaru.clone(), std::sync::Arc::new(handle));
    tokio::time::timeout(std::time::Duration::from_secs(20), all).await.expect("it hangs");
    assert!(kitaru.execution(("shared_handle", "job")).await.unwrap().unwrap().status().is_final());
}
