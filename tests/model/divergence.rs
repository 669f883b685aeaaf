//! Section 3: divergences are reported.

use kitaru::{Error, FlowCall, checkpoint, flow};

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

#[checkpoint(at_most_once)]
async fn pays(path: String, amount: u32) -> Result<u32, Error> {
    log(&path).say(format!("paid {amount}"));
    if amount == 1 {
        std::future::pending::<()>().await;
    }
    Ok(amount)
}

#[checkpoint(at_most_once, on_divergence = "rerun")]
async fn pays_again(path: String, amount: u32) -> Result<u32, Error> {
    log(&path).say(format!("paid {amount}"));
    if amount == 1 {
        std::future::pending::<()>().await;
    }
    Ok(amount)
}

#[flow]
async fn pays_a_page(path: String) -> Result<u32, Error> {
    let amount = page(&path);
    pays(path, amount).await
}

#[flow]
async fn pays_a_page_again(path: String) -> Result<u32, Error> {
    let amount = page(&path);
    pays_again(path, amount).await
}

/// Runs a flow until its body has begun, and ends its process's runtime there.
async fn cut_off(path: &'static str, call: FlowCall<Result<u32, Error>>) {
    let process = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let running = tokio::spawn(call);
            while log(path).count("paid 1") == 0 {
                tokio::task::yield_now().await;
            }
            drop(running);
        });
    });
    process.await.unwrap();
}

#[tokio::test]
async fn at_most_once_call_that_diverges_from_an_intent_does_not_run_by_default() {
    let (kitaru, _) = memory().await;
    log("settles-page").say("1");
    cut_off("settles", pays_a_page("settles".into()).id("job").on(&kitaru)).await;
    log("settles-page").say("2");
    let error = pays_a_page("settles".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_divergence() && error.to_string().contains("`amount` was 1 and is 2"), "{error}");
    assert!(error.to_string().ends_with("with kitaru::patched(…)"), "a payment is not made again: {error}");
    assert_eq!(log("settles").take(), ["paid 1"], "nothing else was paid");

    log("settles_again-page").say("1");
    cut_off("settles_again", pays_a_page_again("settles_again".into()).id("job").on(&kitaru)).await;
    log("settles_again-page").say("2");
    assert_eq!(pays_a_page_again("settles_again".into()).id("job").on(&kitaru).await.unwrap(), 2);
    assert_eq!(log("settles_again").take(), ["paid 1", "paid 2"]);
}

#[tokio::test]
async fn divergence_runs_and_is_recorded_again_by_default() {
    let (kitaru, _) = memory().await;
    for (page, read) in [("1", 1), ("2", 1), ("2", 0), ("1", 0)] {
        log("lenient-page").say(page);
        assert_eq!(lenient("lenient".into()).id("job").on(&kitaru).await.unwrap_err().to_string(), page);
        assert_eq!(log("lenient").take().len(), read, "page {page}");
    }
    assert_eq!(names(&kitaru, "lenient", "job").await, ["reads", "reads_2"]);
}

#[tokio::test]
async fn divergence_that_fails_names_the_checkpoint_and_each_changed_argument() {
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
async fn at_most_once_call_that_diverges_fails_by_default() {
    let (kitaru, _) = memory().await;
    log("posts-page").say("1");
    posts("posts".into()).id("job").on(&kitaru).await.unwrap_err();
    log("posts-page").say("2");
    let error = posts("posts".into()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.is_divergence(), "{error}");
    assert_eq!(log("posts").take().len(), 1);
}
