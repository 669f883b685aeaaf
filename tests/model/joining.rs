//! Requests about one execution that come at the same time.

use kitaru::{Error, Kitaru, checkpoint, flow};

use crate::support::log;

#[checkpoint]
async fn doubles(n: u32) -> u32 {
    2 * n
}

#[flow]
async fn doubled(n: u32) -> Result<u32, Error> {
    Ok(doubles(n).await)
}

#[flow]
async fn never_works(path: String) -> Result<u32, Error> {
    log(&path).say("tried");
    Err(Error::msg("it does not work"))
}

async fn memory() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

/// The first of two futures is polled first.
#[tokio::test]
async fn refused_request_refuses_no_request_behind_it() {
    let kitaru = memory().await;
    let call = || doubled(1).id("done").on(&kitaru);
    assert_eq!(call().await.unwrap(), 2);
    for _ in 0..20 {
        let (cancelled, came) = tokio::join!(kitaru.cancel(("doubled", "done")).into_future(), call());
        assert!(cancelled.unwrap_err().to_string().contains("it is completed"));
        assert_eq!(came.unwrap(), 2);
        let (cancelled, came) =
            tokio::join!(kitaru.cancel(("doubled", "done")).without_undo().into_future(), call().start());
        assert!(cancelled.unwrap_err().to_string().contains("it is completed"));
        assert_eq!(came.unwrap().await.unwrap(), 2);
    }
    for n in 0..20 {
        let id = format!("new-{n}");
        let (cancelled, came) =
            tokio::join!(kitaru.cancel(("doubled", &*id)).into_future(), doubled(3).id(&id).on(&kitaru));
        assert!(cancelled.unwrap_err().to_string().contains("the store has no execution"));
        assert_eq!(came.unwrap(), 6);
    }
    never_works("joining: failed".into()).id("failed").on(&kitaru).await.unwrap_err();
    let (resumed, cancelled) = tokio::join!(
        kitaru.resume(("never_works", "failed")).forget("nothing").into_future(),
        kitaru.cancel(("never_works", "failed")).into_future()
    );
    // Whichever is first: the one has no such record, or the other has cancelled it.
    resumed.unwrap_err();
    cancelled.unwrap();
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn right_input_is_taken_behind_a_wrong_one_that_is_refused() {
    let kitaru = memory().await;
    let call = |n| doubled(n).id("job").on(&kitaru);
    assert_eq!(call(1).await.unwrap(), 2);
    for _ in 0..20 {
        let (wrong, right) = tokio::join!(call(7), call(1));
        let wrong = wrong.unwrap_err();
        assert!(wrong.is_conflict() && wrong.to_string().contains("(n=1), and is called with (n=7)"), "{wrong}");
        assert_eq!(right.unwrap(), 2);
        let (right, wrong) = tokio::join!(call(1), call(7));
        let wrong = wrong.unwrap_err();
        assert!(wrong.is_conflict() && wrong.to_string().contains("(n=1), and is called with (n=7)"), "{wrong}");
        assert_eq!(right.unwrap(), 2);
        // Of two that both wait, each is compared with the record.
        let (first, second) = tokio::join!(call(7), call(8));
        assert!(first.unwrap_err().to_string().contains("called with (n=7)"));
        let second = second.unwrap_err().to_string();
        assert!(second.contains("(n=1), and is called with (n=8)"), "{second}");
    }
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn one_of_two_inputs_begins_an_execution_and_the_other_is_refused() {
    let kitaru = memory().await;
    for n in 0..20 {
        let call = |input| doubled(input).id(format!("new-{n}")).on(&kitaru);
        let (first, second) = tokio::join!(call(1), call(2));
        assert_eq!(first.unwrap(), 2);
        let second = second.unwrap_err();
        assert!(second.is_conflict() && second.to_string().contains("(n=1), and is called with (n=2)"), "{second}");
    }
    kitaru.close().await.unwrap();
}
