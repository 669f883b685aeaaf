//! A flow without end: it looks, waits, and continues as new, with a fresh journal. What is sent to it meanwhile is
//! carried over.
//!
//! `cargo run --example poller` polls every half second for three seconds, sends it two signals on the way, and ends. Run it
//! again: it goes on counting where it stopped, as it would had it been killed. `cargo run --example poller -- stop` tells
//! it to stop, which is how it completes.

use std::time::{Duration, SystemTime};

use kitaru::{Kitaru, Status, checkpoint, flow, race, signal};

const PERIOD: Duration = Duration::from_millis(500);

/// How many messages there are, so to speak.
#[checkpoint]
async fn poll(nth: u64) -> anyhow::Result<u64> {
    println!("poll {nth}");
    Ok(nth % 3)
}

/// What is told to it.
async fn told() -> anyhow::Result<Option<String>> {
    // A signal that is not there yet is left for a later generation.
    race((async { Ok(Some(signal("told").await?)) }, async {
        kitaru::sleep(PERIOD / 5).await;
        Ok(None)
    }))
    .await
}

/// Once stopped, it begins anew when it is called.
#[flow(reuse = "unfinished")]
async fn poller(nth: u64, found: u64) -> anyhow::Result<u64> {
    let found = found + poll(nth).await?;
    match told().await?.as_deref() {
        Some("stop") => return Ok(found),
        Some(what) => println!("told: {what}"),
        None => {}
    }
    // The time of the next one is the flow's, and so it is recorded.
    let next: SystemTime = kitaru::now() + PERIOD;
    poller(nth + 1, found).start_at(next).continue_as_new().await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).park_after(PERIOD / 10).open().await?;
    // From outside it goes by the arguments of its first generation: this attaches to it, wherever it is.
    let handle = poller(1, 0).id("inbox").on(&kitaru).start().await?;
    if std::env::args().nth(1).is_some_and(|arg| arg == "stop") {
        // After that it takes nothing any more.
        kitaru.signal(&handle, "told", "stop").await?;
        println!("found {} in all", handle.await?);
    } else {
        for greeting in ["good morning", "good night"] {
            // Sent in one generation, it may be taken in the next.
            kitaru.signal(&handle, "told", greeting).await?;
        }
        tokio::time::sleep(6 * PERIOD).await;
        let execution = kitaru.execution(("poller", "inbox")).await?;
        if let Some(execution) = execution.filter(|execution| execution.status() != Status::Completed) {
            println!("it is in generation {}, and goes on when this is run again", execution.generation());
        }
    }
    kitaru.close().await?;
    Ok(())
}
