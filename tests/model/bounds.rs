//! Section 10: everything is bounded, with a clear error at the bound.

use kitaru::{Error, Kitaru, checkpoint, flow};

use crate::support::{log, memory};

#[checkpoint]
async fn grows(path: String, bytes: usize) -> Result<String, Error> {
    log(&path).say("ran");
    Ok("x".repeat(bytes))
}

#[flow]
async fn keeps(path: String, bytes: usize) -> Result<usize, Error> {
    Ok(grows(path, bytes).await?.len())
}

#[tokio::test]
async fn an_outcome_over_the_bound_is_a_settled_error_with_its_size() {
    let kitaru = Kitaru::builder().in_memory().max_outcome_bytes(1_000).open().await.unwrap();
    assert_eq!(keeps("small".into(), 900).on(&kitaru).await.unwrap(), 900);
    for _ in 0..2 {
        let error = keeps("large".into(), 5_000).on(&kitaru).await.unwrap_err();
        assert!(error.is_too_large());
        let message = error.to_string();
        assert!(message.contains("500") && message.contains("1000"), "{message}");
    }
    assert_eq!(log("large").take(), ["ran"], "the body is not run again");
}

#[tokio::test]
async fn an_id_over_its_bound_is_refused() {
    let (kitaru, _) = memory().await;
    let error = keeps("id".into(), 1).id("x".repeat(513)).on(&kitaru).await.unwrap_err();
    assert!(error.is_too_large() && error.to_string().contains("512"), "{error}");
    assert!(keeps("id".into(), 1).id("").on(&kitaru).await.unwrap_err().is_misuse());
    assert_eq!(keeps("id".into(), 1).id("x".repeat(512)).on(&kitaru).await.unwrap(), 1);
}

#[tokio::test]
async fn a_preview_is_bounded() {
    let (kitaru, _) = memory().await;
    keeps("preview".into(), 100_000).id("job").on(&kitaru).await.unwrap();
    let execution = kitaru.execution(("keeps", "job")).await.unwrap().unwrap();
    assert!(execution.records()[0].preview().len() <= 256);
}

#[flow]
async fn asks_late(path: String) -> Result<bool, Error> {
    kitaru::signal::<u32>("go").await?;
    log(&path).say("asks");
    kitaru::wait::<bool>("answer 7").await
}

#[tokio::test]
async fn answers_before_the_question_are_bounded_in_count() {
    let (kitaru, _) = memory().await;
    let handle = asks_late("bounds: early".into()).id("job").on(&kitaru).start().await.unwrap();
    for n in 0..1_000 {
        kitaru.answer(&handle, &format!("answer {n}"), &true).await.unwrap();
    }
    let error = kitaru.answer(&handle, "one more", &true).await.unwrap_err();
    assert!(error.is_too_large() && error.to_string().contains("1000 answers"), "{error}");
    kitaru.signal(&handle, "go", &1).await.unwrap();
    assert!(handle.await.unwrap(), "those that came count");
}
