//! An outage of a rig agent's model is a wait and not a failure.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use std::sync::LazyLock;
use std::time::Duration;

use futures::FutureExt as _;
use kitaru::flow;
use kitaru_core::testkit::Testkit;
use kitaru_core::{Handle, MAX_NAME_BYTES, Status, dynamic};
use kitaru_rig::{KitaruRig, RigError};
use support::{Calls, Mind, TOLD, forecaster, granularity, herald};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

static MINDS: LazyLock<[(Mind, Calls); 2]> = LazyLock::new(|| [(); 2].map(|()| (forecaster(), Calls::default())));

#[flow]
async fn asks(nth: usize, granular: bool) -> Result<String, RigError> {
    let (mind, calls) = &MINDS[nth];
    let agent = KitaruRig::new(herald(mind, calls)).granularity(granularity(granular));
    Ok(agent.run("How is the weather?").on_event(|_| ()).await?.output)
}

/// Breaks off the next `times` streams of the model.
fn break_off(mind: &Mind, times: usize) {
    (0..times).for_each(|_| mind.cut(1));
}

/// The result of a job, now that nothing moves any more.
fn ended<R: Send + 'static>(job: Handle<R>) -> R {
    job.now_or_never().expect("it has ended")
}

#[tokio::test]
async fn outage_of_a_rig_model_is_a_wait_and_not_a_failure() {
    for (nth, granular) in [true, false].into_iter().enumerate() {
        let (kit, (mind, calls)) = (Testkit::new(), &MINDS[nth]);
        break_off(mind, 30);
        let job = kit.start(asks(nth, granular).id("job")).await.unwrap();
        kit.advance(HOUR).await;
        let execution = kit.kitaru().execution(("asks", "job")).await.unwrap().unwrap();
        // A turn that is one checkpoint waits in its body.
        assert_eq!(execution.status(), if granular { Status::Waiting } else { Status::Running });
        assert_eq!(execution.pauses().count(), usize::from(granular));
        let shown = execution.pauses().map(|pause| pause.to_string()).collect::<String>();
        assert!(!granular || shown.starts_with("waits for model `"), "{shown}");
        kit.advance(HOUR * 2).await;
        assert_eq!(ended(job).unwrap(), TOLD);
        assert_eq!((mind.requests(), calls.take().len()), (32, 3), "granular: {granular}");
    }
}

#[tokio::test]
async fn wait_for_a_rig_model_is_as_set_or_two_minutes_if_its_flow_cannot_be_parked() {
    let asked = async |change: fn(KitaruRig) -> KitaruRig, by: Duration| {
        let (kit, mind) = (Testkit::new(), forecaster());
        break_off(&mind, 1_000);
        let agent = change(KitaruRig::new(herald(&mind, &Calls::default())));
        let own = dynamic::flow("own").run(move || async move {
            agent.run("How is the weather?").on_event(|_| ()).await.map(|told| told.output)
        });
        let job = kit.start(own.id("job")).await.unwrap();
        kit.advance(by.saturating_sub(SECOND)).await;
        let before = mind.requests();
        kit.advance(SECOND).await;
        ended(job).unwrap_err();
        (before, mind.requests())
    };
    let (before, requests) = asked(|agent| agent, MINUTE * 2).await;
    assert!((5..=12).contains(&before) && requests == before + 1, "{before} {requests}");
    let (before, requests) = asked(|agent| agent.wait_for_model(HOUR), HOUR).await;
    assert!((15..=40).contains(&before) && requests == before + 1, "{before} {requests}");
    assert_eq!(asked(|agent| agent.wait_for_model(Duration::ZERO), SECOND).await, (1, 1));
    assert_eq!(asked(|agent| agent.model_retries(2), MINUTE).await.1, 3);
}

#[tokio::test]
async fn name_that_is_not_valid_for_a_checkpoint_is_refused_before_the_first_request() {
    for name in ["x".repeat(MAX_NAME_BYTES), "a\nb".to_owned(), String::new()] {
        let (kit, mind) = (Testkit::new(), forecaster());
        let agent = KitaruRig::new(herald(&mind, &Calls::default())).name(name);
        let own = dynamic::flow("own")
            .run(move || async move { agent.run("How is the weather?").await.map(|told| told.output) });
        let refused = kit.run(own).await.unwrap_err();
        assert!(matches!(&refused, RigError::Invalid { reason, .. } if reason.contains(".name(")), "{refused}");
        assert_eq!(mind.requests(), 0);
    }
}
