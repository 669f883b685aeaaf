//! Panics whose payload panics when it is dropped. In every place, the flow fails with a panic.

use kitaru::{Error, Kitaru, Status, checkpoint, dynamic, flow};

struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

fn fall() -> Result<(), Error> {
    std::panic::panic_any(Trap)
}

#[checkpoint]
async fn body() -> Result<(), Error> {
    fall()
}

#[checkpoint(retries = 1, backoff = "1ms")]
async fn body_twice() -> Result<(), Error> {
    fall()
}

#[checkpoint(blocking)]
fn blocking_body() -> Result<(), Error> {
    fall()
}

#[checkpoint]
async fn fails() -> Result<(), Error> {
    Err(Error::msg("no luck"))
}

#[flow]
async fn panics(place: String) -> Result<(), Error> {
    match place.as_str() {
        "flow" => fall(),
        "branch" => kitaru::spawn(async { fall() }).await,
        "undo" => {
            kitaru::undo(|| async { fall() });
            fails().await
        }
        "body" => body().await,
        "body twice" => body_twice().await,
        "blocking body" => blocking_body().await,
        "map" => kitaru::map([1, 2]).run(|_| body()).await.map(drop),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_panic_whose_payload_panics_is_a_panic_like_any_other() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    for place in ["flow", "branch", "undo", "body", "body twice", "blocking body", "map"] {
        let error = panics(place.into()).id(place).on(&kitaru).await.unwrap_err();
        assert!(format!("{error:#}").contains("panicked"), "{place}: {error:#}");
        assert!(error.is_panic(), "{place}: {error:#}");
        let execution = kitaru.execution(("panics", place)).await.unwrap().unwrap();
        assert_eq!(execution.status(), Status::Failed, "{place}");
    }
    let flow = dynamic::flow("panics_plainly").run(|| async { fall() });
    assert!(flow.on(&kitaru).await.unwrap_err().is_panic());
    assert!(panics("nowhere".into()).on(&kitaru).await.is_ok(), "the store serves others");
}
