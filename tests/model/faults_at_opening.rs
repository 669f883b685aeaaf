//! Faults of the store while it is opened, and what resumes nevertheless.

use std::sync::atomic::Ordering;

use kitaru::Clock;

use crate::faults::{completes, sleeps, waits};
use crate::faulty::Faulty;
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

#[tokio::test]
async fn failed_read_while_a_store_is_opened_does_not_prevent_automatic_resuming() {
    let mut failed = 0;
    for n in 0..30 {
        let (store, clock) = (Faulty::new(i64::MAX, false), Clock::manual());
        let open = || kitaru::testkit::store::builder(store.clone()).clock(clock.clone()).open();
        let path = format!("read at opening {n}");
        let kitaru = open().await.unwrap();
        drop(sleeps(path.clone()).id(&path).on(&kitaru).start().await.unwrap());
        waits(&kitaru, "sleeps", &path).await;
        kitaru.close().await.unwrap();
        store.reads_until.store(n, Ordering::SeqCst);
        let kitaru = match open().await {
            Ok(kitaru) => kitaru,
            // The opening itself reads, and says so.
            Err(_) => open().await.unwrap(),
        };
        clock.advance(HOUR);
        completes(&kitaru, &clock, "sleeps", &path).await;
        failed += i64::from(store.reads_until.load(Ordering::SeqCst) < 0);
        kitaru.close().await.unwrap();
    }
    assert!(failed > 10, "{failed} reads failed");
}
