//! A flow that waits: it reminds you after a while, even if its process ends in between.
//!
//! `cargo run --example reminder -- 20 "the tea is ready"`; kill it, and run it without arguments: the rest of the wait
//! continues by itself.

use std::time::Duration;

use kitaru::{Kitaru, Status, checkpoint, flow};

#[checkpoint]
async fn remind(of: &str) -> anyhow::Result<()> {
    println!("Remember: {of}");
    Ok(())
}

#[flow]
async fn reminder(of: String, seconds: u64) -> anyhow::Result<()> {
    kitaru::sleep(Duration::from_secs(seconds)).await;
    remind(&of).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("kitaru=info").with_writer(std::io::stderr).init();
    let dir = std::env::var_os("KITARU_DIR").unwrap_or_else(|| ".kitaru".into());
    let kitaru = Kitaru::builder().dir(&dir).open().await?;
    let mut args = std::env::args().skip(1);
    if let (Some(seconds), Some(of)) = (args.next(), args.next()) {
        drop(reminder(of, seconds.parse()?).on(&kitaru).start().await?);
    }
    // Reminders resume by themselves, also those of earlier runs; this only looks. Other examples may wait in the same store.
    loop {
        let page = kitaru.executions().await?;
        let open = |status| matches!(status, Status::Running | Status::Waiting | Status::Interrupted);
        if !page.iter().any(|execution| execution.flow() == "reminder" && open(execution.status())) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kitaru.close().await?;
    Ok(())
}
