//! Section 3: a call that contradicts a record is reported.

use kitaru::{Error, checkpoint, flow};

use crate::support::{log, memory, names};

#[checkpoint]
async fn reads(path: String, page: u32) -> Result<u32, Error> {
    log(&path).say(format!("read {page}"));
    Ok(page)
}

#[checkpoint(at_most_once)]
async fn sends(path: String, to: String, copies: u32) -> Result<u32, Error> {
    log(&path).say(format!("sent to {to}"));
    Ok(copies)
}

fn page(path: &str) -> u32 {
    log(&format!("{path}-page")).take().pop().unwrap().parse().unwrap()
}

#[flow]
async fn lenient(path: String) -> Result<u32, Error> {
    let page = page(&path);
    let page = reads(path, page).await?;
    Err(Error::msg(page))
}

#[flow(on_divergence = "fail")]
async fn strict(path: String) -> Result<u32, Error> {
    let page = page(&path);
    let page = reads(path, page).await?;
    Err(Error::msg(page))
}

#[flow]
async fn posts(path: String) -> Result<u32, Error> {
    let copies = page(&path);
    sends(path, "all".into(), copies).await?;
    Err(Error::msg("the end"))
}

#[tokio::test]
async fn a_divergence_runs_and_is_recorded_anew_unless_told_otherwise() {
    let (kitaru, _) = memory().await;
    for (page, read) in [("1", 1), ("2", 1), ("2", 0), ("1", 0)] {
        log("lenient-page").say(page);
        assert_eq!(lenient("lenient".into()).id("job").on(&kitaru).await.unwrap_err().to_string(), page);
        assert_eq!(log("lenient").take().len(), read, "page {page}");
    }
    assert_eq!(names(&kitaru, "lenient", "job").await, ["reads", "reads_2"]);
}

#[tokio::test]
async fn a_divergence_that_fails_names_the_checkpoint_and_each_argument_that_differs() {
    let (kitaru, _) = memory().await;
    log("strict-page").say("1");
    strict("strict".into()).id("job").on(&kitaru).await.unwrap_err();
    log("strict-page").say("2");
    let error = strict("strict".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_divergence());
    let message = error.to_string();
    assert!(message.contains("`reads`") && message.contains("`page` was 1 and is 2"), "{message}");
    assert!(!message.contains("`path`"), "only what differs: {message}");
    assert_eq!(log("strict").take(), ["read 1"], "nothing ran");
}

#[tokio::test]
async fn an_at_most_once_call_that_diverges_fails_unless_told_otherwise() {
    let (kitaru, _) = memory().await;
    log("posts-page").say("1");
    posts("posts".into()).id("job").on(&kitaru).await.unwrap_err();
    log("posts-page").say("2");
    let error = posts("posts".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_divergence(), "{error}");
    assert_eq!(log("posts").take().len(), 1);
}
