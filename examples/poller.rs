//! A flow without end: it polls, waits, and continues as new, with an empty journal. Signals that arrive in the meantime are
//! carried over.
//!
//! `cargo run --example poller` polls every half second for three seconds, sends two signals in that time, and exits. Run it
//! again: it continues counting where it stopped, as it would after a kill. `cargo run --example poller -- stop` sends it a
//! signal to stop, and it completes.

use std::time::{Duration, SystemTime};

use kitaru::{Kitaru, Status, checkpoint, flow, race, signal};

const PERIOD: Duration = Duration::from_millis(500);

/// The number of messages, in this example.
#[checkpoint]
async fn poll(nth: u64) -> anyhow::Result<u64> {
    println!("poll {nth}");
    Ok(nth % 3)
}

/// The next signal, if there is one.
async fn told() -> anyhow::Result<Option<String>> {
    // A signal that has not arrived yet is left for a later generation.
    race((async { Ok(Some(signal("told").await?)) }, async {
        kitaru::sleep(PERIOD / 5).await;
        Ok(None)
    }))
    .await
}

/// Once stopped, a call begins it again.
#[flow(reuse = "unfinished")]
async fn poller(nth: u64, found: u64) -> anyhow::Result<u64> {
    let found = found + poll(nth).await?;
    match told().await?.as_deref() {
        Some("stop") => return Ok(found),
        Some(what) => println!("told: {what}"),
        None => {}
    }
    // The flow computes the time of the next poll, so the time is recorded.
    let next: SystemTime = kitaru::now() + PERIOD;
    poller(nth + 1, found).start_at(next).continue_as_new().await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).park_after(PERIOD / 10).open().await?;
    // A call from outside uses the arguments of the first generation: this attaches to the execution, in any generation.
    let handle = poller(1, 0).id("inbox").on(&kitaru).start().await?;
    if std::env::args().nth(1).is_some_and(|arg| arg == "stop") {
        // After that it takes no signals.
        kitaru.signal(&handle, "told", "stop").await?;
        println!("found {} in all", handle.await?);
    } else {
        for greeting in ["good morning", "good night"] {
            // A signal that was sent in one generation may be taken in the next.
            kitaru.signal(&handle, "told", greeting).await?;
        }
        tokio::time::sleep(6 * PERIOD).await;
        let execution = kitaru.execution(("poller", "inbox")).await?;
        if let Some(execution) = execution.filter(|execution| execution.status() != Status::Completed) {
            println!("it is in generation {}, and continues when this is run again", execution.generation());
        }
    }
    kitaru.close().await?;
    Ok(())
}
