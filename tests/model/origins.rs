//! The origin of an outcome, as libraries see it.

use std::sync::{Arc, Mutex};

use kitaru::dynamic::{self, Origin};
use kitaru::testkit::Testkit;
use kitaru::{Error, FlowCall};

use crate::support::memory;

/// The outcome of each call of a flow, and its origin.
type Seen = Arc<Mutex<Vec<(&'static str, Result<u32, String>, Origin)>>>;

/// Two checkpoints, one of which fails while the flow continues, and one with a checkpoint in its body. The flow fails.
fn counting(seen: &Seen) -> FlowCall<Result<(), Error>> {
    let seen = seen.clone();
    dynamic::flow("counting").run(|| async move {
        let see = |name, (outcome, origin): (Result<u32, Error>, Origin)| {
            seen.lock().unwrap().push((name, outcome.map_err(|error| error.to_string()), origin));
        };
        see("one", dynamic::checkpoint("one").run(|| async { Ok(1) }).with_origin().await);
        see("refused", dynamic::checkpoint("refused").run(|| async { Err(Error::msg("no")) }).with_origin().await);
        let outer = dynamic::checkpoint("outer").run(|| async {
            let (inner, origin) = dynamic::checkpoint("inner").run(|| async { Ok(2) }).with_origin().await;
            see("inner", (inner.clone(), origin));
            inner
        });
        see("outer", outer.with_origin().await);
        Err(Error::msg("the end"))
    })
}

fn ran(seen: &Seen) -> Vec<(&'static str, Result<u32, String>, Origin)> {
    std::mem::take(&mut *seen.lock().unwrap())
}

#[tokio::test]
async fn outcome_says_whether_its_body_ran_or_its_record_answered() {
    let (kitaru, _) = memory().await;
    let seen = Seen::default();
    counting(&seen).id("job").on(&kitaru).await.unwrap_err();
    let (one, refused, two) = (Ok(1), Err("no".to_owned()), Ok(2));
    let first = [
        ("one", one.clone(), Origin::Ran),
        ("refused", refused.clone(), Origin::Ran),
        ("inner", two.clone(), Origin::Ran),
        ("outer", two.clone(), Origin::Ran),
    ];
    assert_eq!(ran(&seen), first);
    counting(&seen).id("job").on(&kitaru).await.unwrap_err();
    let second =
        [("one", one, Origin::Replayed), ("refused", refused, Origin::Replayed), ("outer", two, Origin::Replayed)];
    assert_eq!(ran(&seen), second);
}

#[tokio::test]
async fn outcome_that_a_test_gives_is_not_one_of_a_body_that_ran() {
    let kit = Testkit::new();
    kit.stub("one", |_| serde_json::json!(7));
    let seen = Seen::default();
    kit.run(counting(&seen)).await.unwrap_err();
    assert_eq!(ran(&seen)[0], ("one", Ok(7), Origin::Replayed));
}
