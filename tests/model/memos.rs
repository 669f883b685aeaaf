//! Memos: which outcomes they hold.

use kitaru::{Error, flow};

use crate::support::{log, memory};

mod one {
    #[kitaru::checkpoint(memo, name = "priced")]
    pub(super) async fn priced(path: &str, n: u32) -> Result<u32, super::Error> {
        super::log(path).say("one");
        Ok(n)
    }
}

mod other {
    #[kitaru::checkpoint(memo, name = "priced")]
    pub(super) async fn priced(path: &str, n: u32) -> Result<u32, super::Error> {
        super::log(path).say("other");
        Ok(n * 2)
    }
}

#[flow]
async fn prices(path: String, new: bool) -> Result<u32, Error> {
    if new { other::priced(&path, 5).await } else { one::priced(&path, 5).await }
}

#[tokio::test]
async fn a_memo_of_other_source_is_not_used() {
    let (kitaru, _) = memory().await;
    let path = "memos: source";
    assert_eq!(prices(path.into(), false).id("a").on(&kitaru).await.unwrap(), 5);
    assert_eq!(prices(path.into(), true).id("b").on(&kitaru).await.unwrap(), 10);
    assert_eq!(prices(path.into(), false).id("c").on(&kitaru).await.unwrap(), 5);
    assert_eq!(prices(path.into(), true).id("d").on(&kitaru).await.unwrap(), 10);
    assert_eq!(log(path).take(), ["one", "other"], "each is a memo of its own");
}

#[kitaru::checkpoint(memo)]
async fn fails_first(path: &str) -> Result<u32, Error> {
    log(path).say("ran");
    if log(path).count("ran") == 1 { Err(Error::msg("no luck")) } else { Ok(7) }
}

#[flow]
async fn tries_a_memo(path: String, n: u32) -> Result<u32, Error> {
    Ok(fails_first(&path).await? + n)
}

#[tokio::test]
async fn error_is_not_a_memo() {
    let (kitaru, _) = memory().await;
    let path = "memos: error";
    let error = tries_a_memo(path.into(), 0).id("a").on(&kitaru).await.unwrap_err();
    assert!(error.to_string().contains("no luck"), "{error}");
    assert_eq!(tries_a_memo(path.into(), 1).id("b").on(&kitaru).await.unwrap(), 8);
    assert_eq!(tries_a_memo(path.into(), 2).id("c").on(&kitaru).await.unwrap(), 9);
    assert_eq!(log(path).take().len(), 2, "what succeeded is shared");
}
