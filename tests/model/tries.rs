//! Tries that end from outside, and published values after a record was forgotten.

use std::time::Duration;

use kitaru::testkit::Testkit;
use kitaru::{Cancellation, Error, checkpoint, flow};

use crate::support::{log, memory};

type Tokens = std::sync::Mutex<Vec<Cancellation>>;

static TOKENS: Tokens = Tokens::new(Vec::new());

#[checkpoint(timeout = "5s", retries = 1, backoff = "1s")]
async fn hangs_first(path: &str) -> Result<u32, Error> {
    TOKENS.lock().unwrap().push(kitaru::cancellation());
    log(path).say("began");
    if log(path).count("began") == 1 {
        std::future::pending::<()>().await;
    }
    Ok(1)
}

#[flow]
async fn outlasts(path: String) -> Result<u32, Error> {
    hangs_first(&path).await
}

#[tokio::test]
async fn body_that_exceeds_its_timeout_is_cancelled_and_its_next_try_is_not() {
    let kit = Testkit::new();
    let path = "tries: timeout";
    let handle = kit.start(outlasts(path.into()).id("job")).await.unwrap();
    while log(path).count("began") == 0 {
        tokio::task::yield_now().await;
    }
    let is_cancelled = || TOKENS.lock().unwrap().iter().map(Cancellation::is_cancelled).collect::<Vec<_>>();
    assert_eq!(is_cancelled(), [false]);
    kit.advance(Duration::from_secs(5)).await;
    assert_eq!(is_cancelled(), [true]);
    kit.advance(Duration::from_secs(2)).await;
    assert_eq!(handle.await.unwrap(), 1);
    assert_eq!(is_cancelled(), [true, false]);
}

#[checkpoint]
async fn priced(path: &str) -> Result<u32, Error> {
    log(path).say("priced");
    if log(path).count("priced") == 1 { Err(Error::msg("no price")) } else { Ok(7) }
}

/// Publishes one value if the price is known, and more if it is not.
#[flow]
async fn offers(path: String) -> Result<u32, Error> {
    match priced(&path).await {
        Ok(price) => {
            kitaru::publish("offer", &format!("{price} €"))?;
            Ok(price)
        }
        Err(error) => {
            kitaru::publish("offer", "no offer yet")?;
            kitaru::publish("offer", "no offer")?;
            kitaru::sleep(Duration::from_millis(1)).await;
            Err(error)
        }
    }
}

#[tokio::test]
async fn published_value_gives_way_to_the_next_after_a_record_was_forgotten() {
    let (kitaru, clock) = memory().await;
    let path = "tries: forgotten";
    let handle = offers(path.into()).id("job").on(&kitaru).start().await.unwrap();
    let turned = async {
        loop {
            clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = handle => assert!(ended.unwrap_err().to_string().contains("no price")),
        () = turned => {}
    }
    assert_eq!(kitaru.published::<String>(&("offers", "job"), "offer").await.unwrap().unwrap(), "no offer");
    kitaru.resume(("offers", "job")).forget("priced").await.unwrap();
    let handle = kitaru.handle::<u32, Error>(("offers", "job")).await.unwrap();
    assert_eq!(handle.await.unwrap(), 7);
    assert_eq!(kitaru.published::<String>(&("offers", "job"), "offer").await.unwrap().unwrap(), "7 €");
}
