//! Divergences on a testkit.

use std::sync::atomic::{AtomicU32, Ordering};

use kitaru::testkit::Testkit;
use kitaru::{Error, checkpoint, flow};

static ATTEMPT: AtomicU32 = AtomicU32::new(0);

#[checkpoint]
async fn counted(attempt: u32) -> Result<u32, Error> {
    Ok(attempt)
}

#[checkpoint(on_divergence = "rerun")]
async fn counted_again(attempt: u32) -> Result<u32, Error> {
    Ok(attempt)
}

/// Asks for something else on every attempt, and fails.
#[flow]
async fn wavers(reruns: bool) -> Result<u32, Error> {
    let attempt = ATTEMPT.fetch_add(1, Ordering::Relaxed);
    let counted = if reruns { counted_again(attempt).await? } else { counted(attempt).await? };
    Err(Error::msg(format!("attempt {counted}")))
}

#[tokio::test]
async fn divergence_fails_on_a_testkit_unless_the_attribute_says_otherwise() {
    let kit = Testkit::new();
    for (reruns, executed) in [(false, 1), (true, 2)] {
        assert!(!kit.run(wavers(reruns)).await.unwrap_err().is_divergence());
        assert_eq!(kit.run(wavers(reruns)).await.unwrap_err().is_divergence(), !reruns);
        let name = if reruns { "counted_again" } else { "counted" };
        assert_eq!(kit.executed(name), executed);
    }
}
