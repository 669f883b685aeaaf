//! Children that fail while their parent is parked, and how often they are tried.

use std::time::Duration;

use kitaru::testkit::Testkit;
use kitaru::{Clock, Error, FlowCall, Kitaru, Status, checkpoint, flow};

use crate::support::{ends, log};

const HOUR: Duration = Duration::from_secs(3_600);

/// Pauses for longer than the parking threshold.
#[checkpoint(retries = 2, backoff = "15s")]
async fn request(n: u32) -> Result<u32, Error> {
    Err(Error::msg(format!("429 for {n}")))
}

#[checkpoint]
async fn charge(n: u32) -> Result<u32, Error> {
    Err(Error::msg(format!("no money for {n}")))
}

#[flow]
async fn asker(n: u32) -> Result<u32, Error> {
    request(n).await
}

#[flow]
async fn sleeper(n: u32) -> Result<u32, Error> {
    kitaru::sleep(HOUR).await;
    charge(n).await
}

#[flow]
async fn asks_for(n: u32) -> Result<u32, Error> {
    asker(n).await
}

#[flow]
async fn waits_for(n: u32) -> Result<u32, Error> {
    sleeper(n).await
}

#[flow]
async fn starts_asker(n: u32) -> Result<u32, Error> {
    asker(n).start().await?.await
}

/// The child fails before it is awaited.
#[flow]
async fn starts_and_sleeps(n: u32) -> Result<u32, Error> {
    let child = asker(n).start().await?;
    kitaru::sleep(2 * HOUR).await;
    child.await
}

#[flow]
async fn shares_asker(n: u32) -> Result<u32, Error> {
    asker(n).id("shared").await
}

#[flow]
async fn goes_past_asker(n: u32) -> Result<u32, Error> {
    let failed = asker(n).await.is_err();
    kitaru::sleep(HOUR).await;
    Ok(u32::from(failed))
}

#[flow]
async fn grandparent(n: u32) -> Result<u32, Error> {
    asks_for(n).await
}

type Called = fn() -> FlowCall<Result<u32, Error>>;

fn kits() -> [Testkit; 2] {
    [Testkit::new(), Testkit::always_parking()]
}

async fn failure(kit: &Testkit, call: FlowCall<Result<u32, Error>>) -> String {
    ends(kit.fast_forward(call)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn parked_parent_gets_its_childs_failure_and_the_child_is_not_tried_again() {
    let calls: [Called; 5] = [
        || asks_for(1).id("job"),
        || starts_asker(1).id("job"),
        || shares_asker(1).id("job"),
        || grandparent(1).id("job"),
        || starts_and_sleeps(1).id("job"),
    ];
    for call in calls {
        for kit in kits() {
            let error = failure(&kit, call()).await;
            assert!(error.contains("429 for 1"), "{error}");
            assert_eq!(kit.executed("request"), 3, "as many tries as the child has when it is called alone");
            let job = kit.kitaru().executions().await.unwrap();
            assert!(job.iter().all(|job| job.status() == Status::Failed), "{:?}", job.iter().collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_step_of_a_child_that_slept_runs_once_for_its_parked_parent() {
    for kit in kits() {
        let error = failure(&kit, waits_for(1).id("job")).await;
        assert!(error.contains("no money for 1"), "{error}");
        assert_eq!(kit.executed("charge"), 1);
    }
}

#[tokio::test]
async fn a_childs_failure_that_its_parent_went_past_stays() {
    for kit in kits() {
        assert_eq!(kit.fast_forward(goes_past_asker(1).id("job")).await.unwrap(), 1);
        assert_eq!(kit.executed("request"), 3);
    }
}

#[tokio::test]
async fn two_parked_parents_of_one_child_are_both_given_its_failure() {
    for kit in kits() {
        let first = kit.start(shares_asker(1).id("first")).await.unwrap();
        let second = kit.start(shares_asker(1).id("second")).await.unwrap();
        kit.advance(HOUR).await;
        for handle in [first, second] {
            assert!(handle.await.unwrap_err().to_string().contains("429"));
        }
        assert_eq!(kit.executed("request"), 3);
    }
}

#[tokio::test]
async fn a_parent_that_failed_and_is_called_again_tries_its_child_again_once() {
    let calls: [Called; 4] = [
        || asks_for(1).id("job"),
        || starts_asker(1).id("job"),
        || shares_asker(1).id("job"),
        || waits_for(1).id("job"),
    ];
    for (nth, call) in calls.into_iter().enumerate() {
        for kit in kits() {
            for round in 1..=3 {
                failure(&kit, call()).await;
                let (checkpoint, tries) = if nth == 3 { ("charge", 1) } else { ("request", 3) };
                assert_eq!(kit.executed(checkpoint), round * tries, "call {nth}");
            }
        }
    }
}

#[checkpoint]
async fn own_step(n: u32) -> Result<u32, Error> {
    Ok(n)
}

/// Its own step may fail while its child sleeps.
#[flow]
async fn fails_beside_sleeper(n: u32) -> Result<u32, Error> {
    let own = async {
        kitaru::sleep(Duration::from_secs(60)).await;
        own_step(n).await
    };
    futures::future::try_join(sleeper(n), own).await.map(|(child, _)| child)
}

#[tokio::test]
async fn a_child_that_failed_after_its_parent_had_failed_is_tried_again_with_it() {
    for kit in kits() {
        kit.fail("own_step", 1, "it is enough");
        assert!(failure(&kit, fails_beside_sleeper(1).id("job")).await.contains("enough"));
        kit.advance(HOUR).await;
        assert_eq!(kit.executed("charge"), 1, "the child has resumed automatically");
        // Called again, it tries all failed work again, its child too, and receives that failure.
        assert!(failure(&kit, fails_beside_sleeper(1).id("job")).await.contains("no money"));
        assert_eq!((kit.executed("own_step"), kit.executed("charge")), (2, 2));
    }
}

/// Fails and is called again. Then its child pauses for so long that both are parked.
#[flow]
async fn fails_beside_asker(n: u32) -> Result<u32, Error> {
    futures::future::try_join(asker(n), own_step(n)).await.map(|(child, _)| child)
}

#[tokio::test]
async fn parent_that_failed_before_it_was_parked_gets_its_childs_failure_too() {
    for kit in kits() {
        kit.fail("own_step", 1, "it is enough");
        assert!(failure(&kit, fails_beside_asker(1).id("job")).await.contains("enough"));
        kit.advance(HOUR).await;
        assert_eq!(kit.executed("request"), 3, "the child has resumed automatically");
        assert!(failure(&kit, fails_beside_asker(1).id("job")).await.contains("429"));
        assert_eq!(kit.executed("request"), 6, "tried again once, with all its tries");
    }
}

#[checkpoint(retries = 2, backoff = "15s")]
async fn counted(path: &str) -> Result<u32, Error> {
    log(path).say("tried");
    Err(Error::msg("429"))
}

#[flow]
async fn counts(path: String) -> Result<u32, Error> {
    counted(&path).await
}

#[flow]
async fn awaits_counts(path: String) -> Result<u32, Error> {
    counts(path).await
}

#[tokio::test]
async fn a_parent_that_is_resumed_tries_its_child_again_once() {
    for park_after in [Duration::ZERO, Duration::from_secs(10), HOUR] {
        let clock = Clock::manual();
        let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).park_after(park_after).open().await.unwrap();
        let path = format!("failing children: {park_after:?}");
        drop(awaits_counts(path.clone()).id("job").on(&kitaru).start().await.unwrap());
        for round in 1..=3 {
            let ended = async {
                while kitaru.execution(("awaits_counts", "job")).await.unwrap().unwrap().status() != Status::Failed {
                    clock.advance(Duration::from_millis(100));
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it fails");
            assert_eq!(log(&path).count("tried"), round * 3);
            kitaru.resume(("awaits_counts", "job")).await.unwrap();
        }
    }
}
