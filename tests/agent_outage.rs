//! A model that is away for a while: a wait, whose purpose is shown.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use futures::FutureExt as _;
use kitaru::agent::{
    Agent, AgentError, Approval, FunctionModel, KitaruAgent, ModelError, ModelErrorKind, ModelResponse, RunContext,
    RunError, ToolOptions,
};
use kitaru::testkit::Testkit;
use kitaru::{Clock, Error, Handle, Kitaru, Status, checkpoint, dynamic, flow, tool, undo};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// What happens outside in one test.
#[derive(Default)]
struct World {
    /// The error of the model while it is set, from this request on.
    down: Option<ModelError>,
    down_after: u32,
    asked: u32,
    /// The idempotency keys of payments.
    payments: Vec<String>,
    undone: u32,
}

static WORLDS: LazyLock<Mutex<HashMap<String, Arc<Mutex<World>>>>> = LazyLock::new(Mutex::default);

/// The world of a test, by a name.
fn world(name: &str) -> Arc<Mutex<World>> {
    WORLDS.lock().unwrap().entry(name.to_owned()).or_default().clone()
}

/// Changes, or reads, the world of a test.
fn within<T>(name: &str, change: impl FnOnce(MutexGuard<'_, World>) -> T) -> T {
    change(world(name).lock().unwrap())
}

fn away() -> ModelError {
    ModelError::new(ModelErrorKind::Unavailable, "status 503")
}

/// Pays back an amount.
#[tool(idempotent)]
async fn pay(context: &RunContext, world: String, amount: u32) -> String {
    within(&world, |mut world| world.payments.push(context.idempotency_key().unwrap().to_owned()));
    format!("paid {amount}")
}

/// Asks for a payment, then says what came of it.
fn clerk(name: &str) -> KitaruAgent {
    let name = name.to_owned();
    let model = FunctionModel::new("m", move |request| {
        let down = within(&name, |mut world| {
            world.asked += 1;
            match world.asked {
                // A run that pauses does not ask so often. A run that does not pause would never end.
                1_000.. => Some(ModelError::new(ModelErrorKind::Other, "asked without a rest")),
                asked => world.down.clone().filter(|_| asked > world.down_after),
            }
        });
        match (down, request.tool_returns().last()) {
            (Some(down), _) => Err(down),
            (None, None) => {
                Ok(ModelResponse::tool_call("call", "pay", json!({ "world": name, "amount": 7 }).to_string()))
            }
            (None, Some(told)) => Ok(ModelResponse::text(told.content.as_str())),
        }
    });
    KitaruAgent::new(Agent::builder(model).name("clerk").tool(pay()).build().unwrap())
}

#[checkpoint]
async fn unhold(name: String) -> Result<(), Error> {
    within(&name, |mut world| world.undone += 1);
    Ok(())
}

#[flow]
async fn refund(name: String) -> Result<String, RunError> {
    let held = name.clone();
    undo(move || unhold(held));
    let agent = clerk(&name).tool_options("pay", ToolOptions::default().requires_approval());
    Ok(agent.run("Refund it.").await?.output)
}

#[flow]
async fn asks(name: String) -> Result<String, RunError> {
    Ok(clerk(&name).run("Refund it.").await?.output)
}

#[flow]
async fn asks_in_turns(name: String) -> Result<String, RunError> {
    Ok(clerk(&name).granular_checkpoints(false).run("Refund it.").await?.output)
}

async fn status(kit: &Testkit, flow: &str) -> Status {
    kit.kitaru().execution((flow, "job")).await.unwrap().unwrap().status()
}

/// The result of a job, once nothing moves any more.
fn ended<R: Send + 'static>(job: Handle<R>) -> R {
    job.now_or_never().expect("the job has ended")
}

#[tokio::test]
async fn outage_of_a_model_is_a_wait_and_no_failure() {
    for (kit, name) in [(Testkit::new(), "wait: plain"), (Testkit::always_parking(), "wait: parked")] {
        let job = kit.start(refund(name.into()).id("job")).await.unwrap();
        within(name, |mut world| (world.down, world.down_after) = (Some(away()), 1));
        kit.answer(&job, "pay_approval", &Approval::Approve).await.unwrap();
        kit.advance(HOUR * 3).await;
        assert_eq!(status(&kit, "refund").await, Status::Waiting);
        let asked = within(name, |world| world.asked);
        assert!((20..80).contains(&asked), "{name}: asked {asked} times in three hours");

        let execution = kit.kitaru().execution(("refund", "job")).await.unwrap().unwrap();
        let pauses: Vec<_> = execution.pauses().collect();
        let [pause] = pauses[..] else { panic!("{pauses:?}") };
        assert_eq!((pause.record().name(), pause.awaited()), ("clerk_model_request_2", Some("model `m`")));
        let line = pause.to_string();
        assert!(line.starts_with("waits for model `m`: status 503, next try "), "{line}");
        assert!(line.ends_with(" UTC"), "{line}");

        within(name, |mut world| world.down = None);
        kit.advance(MINUTE * 6).await;
        assert_eq!(ended(job).unwrap(), "paid 7");
        assert_eq!(within(name, |world| (world.payments.len(), world.undone)), (1, 0));
        let execution = kit.kitaru().execution(("refund", "job")).await.unwrap().unwrap();
        assert_eq!(execution.pauses().count(), 0, "it waits for nothing any more");
    }
}

#[tokio::test]
async fn every_transient_error_of_a_model_is_waited_out_and_no_other() {
    use ModelErrorKind::{
        Configuration, Incomplete, Interrupted, InvalidResponse, Other, OutOfQuota, RateLimited, Refused, Rejected,
        TimedOut, Unauthorized, Unavailable, Unreachable,
    };
    for kind in [Unreachable, TimedOut, RateLimited, Unavailable, Interrupted, InvalidResponse] {
        let (kit, name) = (Testkit::new(), format!("transient: {kind:?}"));
        within(&name, |mut world| world.down = Some(ModelError::new(kind, "away")));
        let job = kit.start(asks(name.clone()).id("job")).await.unwrap();
        kit.advance(HOUR).await;
        within(&name, |mut world| world.down = None);
        kit.advance(HOUR).await;
        assert_eq!(ended(job).unwrap(), "paid 7", "{kind:?}");
    }
    for kind in [Configuration, Unauthorized, Rejected, Refused, Other, Incomplete, OutOfQuota] {
        let error = ModelError::new(kind, "no");
        let (kit, name) = (Testkit::new(), format!("lasting: {error:?}"));
        within(&name, |mut world| world.down = Some(error.clone()));
        let ended = kit.run(asks(name.clone()).id("job")).await.unwrap_err();
        assert!(matches!(ended, RunError::Agent(AgentError::Model(ended)) if ended == error), "{error:?}");
        assert_eq!(within(&name, |world| world.asked), 1, "{error:?}");
    }
}

#[tokio::test]
async fn restart_waits_for_the_rest_of_a_pause_and_of_the_time_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let open = || Kitaru::builder().dir(dir.path().join("store")).clock(clock.clone()).open();
    let name = "wait: restart";
    // A pause stays visible until the try after it has failed.
    let settled = async |kitaru: &Kitaru| {
        let waits = async || {
            let job = kitaru.execution(("asks", "job")).await.unwrap().unwrap();
            job.status() == Status::Waiting && job.pauses().any(|pause| pause.next_try() > clock.now())
        };
        while !waits().await {
            tokio::task::yield_now().await;
        }
    };
    let asked = || within(name, |world| world.asked);
    let kitaru = open().await.unwrap();
    within(name, |mut world| world.down = Some(away().with_retry_after(HOUR * 3)));
    drop(asks(name.into()).id("job").on(&kitaru).start().await.unwrap());
    settled(&kitaru).await;
    kitaru.close().await.unwrap();
    for hours in [1, 1] {
        kitaru_restarts(&clock, HOUR * hours, &open, &settled).await;
        assert_eq!(asked(), 1, "not before the provider wants it");
    }
    let kitaru = open().await.unwrap();
    // The day counts from the first failure, across restarts.
    within(name, |mut world| world.down = Some(away().with_retry_after(HOUR * 10)));
    for tries in [2, 3] {
        settled(&kitaru).await;
        clock.advance(HOUR * if tries == 2 { 1 } else { 10 });
        while asked() < tries {
            tokio::task::yield_now().await;
        }
    }
    settled(&kitaru).await;
    within(name, |mut world| world.down = Some(away().with_retry_after(HOUR * 2)));
    clock.advance(HOUR * 10);
    let ended = kitaru.handle::<String, RunError>(("asks", "job")).await.unwrap().into_future();
    let ended =
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the day is over, and so is the wait");
    let ended = ended.unwrap_err();
    assert!(ended.to_string().contains("503"), "{ended}");
    assert_eq!(asked(), 4, "23 hours are over, and the provider wants two more");
    kitaru.close().await.unwrap();
}

/// Opens the store in another process, as it were, and lets time pass.
async fn kitaru_restarts<O, S>(clock: &Clock, by: Duration, open: &impl Fn() -> O, settled: &impl AsyncFn(&Kitaru) -> S)
where
    O: IntoFuture<Output = Result<Kitaru, Error>>,
{
    let kitaru = open().await.unwrap();
    clock.advance(by);
    settled(&kitaru).await;
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn provider_is_left_alone_for_as_long_as_it_asks() {
    let (kit, name) = (Testkit::new(), "wait: asked");
    within(name, |mut world| world.down = Some(away().with_retry_after(HOUR * 5)));
    let job = kit.start(asks(name.into()).id("job")).await.unwrap();
    kit.advance(HOUR * 5 - SECOND).await;
    assert_eq!(within(name, |world| world.asked), 1);
    within(name, |mut world| world.down = None);
    kit.advance(SECOND).await;
    assert_eq!(ended(job).unwrap(), "paid 7");
}

#[tokio::test]
async fn provider_that_asks_for_no_time_is_not_asked_without_a_rest() {
    for (nth, asked) in [Duration::ZERO, Duration::from_millis(1)].into_iter().enumerate() {
        let (kit, name) = (Testkit::new(), format!("wait: no time {nth}"));
        within(&name, |mut world| world.down = Some(away().with_retry_after(asked)));
        let job = kit.start(asks(name.clone()).id("job")).await.unwrap();
        for _ in 0..60 {
            kit.advance(SECOND).await;
            // Without a pause, the kit would never return from an hour.
            assert!(within(&name, |world| world.asked) < 100, "asked without a rest");
        }
        kit.advance(HOUR).await;
        let asked = within(&name, |world| world.asked);
        assert!((10..40).contains(&asked), "asked {asked} times in an hour");
        within(&name, |mut world| world.down = None);
        kit.advance(MINUTE * 6).await;
        assert_eq!(ended(job).unwrap(), "paid 7");
    }
}

#[tokio::test]
async fn wait_for_a_model_ends_after_a_day_in_a_flow_and_two_minutes_elsewhere() {
    let (kit, name) = (Testkit::new(), "wait: a day");
    within(name, |mut world| world.down = Some(away()));
    let job = kit.start(asks(name.into()).id("job")).await.unwrap();
    kit.advance(HOUR * 24 - SECOND).await;
    assert_eq!(status(&kit, "asks").await, Status::Waiting);
    kit.advance(SECOND).await;
    assert!(ended(job).unwrap_err().to_string().contains("503"));

    for (name, granular) in [("wait: minutes", true), ("wait: minutes of a turn", false)] {
        let kit = Testkit::new();
        within(name, |mut world| world.down = Some(away()));
        let agent = clerk(name).granular_checkpoints(granular);
        let own =
            dynamic::flow("own").run(move || async move { agent.run("Refund it.").await.map(|told| told.output) });
        let job = kit.start(own.id("job")).await.unwrap();
        kit.advance(MINUTE * 2 - SECOND).await;
        let asked = within(name, |world| world.asked);
        assert!((5..=12).contains(&asked), "asked {asked} times");
        kit.advance(SECOND).await;
        assert!(ended(job).unwrap_err().to_string().contains("503"));
        assert_eq!(within(name, |world| world.asked), asked + 1, "the last try begins when the time is over");
    }
}

#[tokio::test]
async fn wait_for_a_model_is_as_long_as_it_is_set() {
    let (kit, name) = (Testkit::new(), "wait: not");
    within(name, |mut world| world.down = Some(away()));
    let agent = clerk(name).wait_for_model(Duration::ZERO);
    let own = dynamic::flow("own").run(move || async move { agent.run("Refund it.").await.map(|told| told.output) });
    assert!(kit.run(own).await.unwrap_err().to_string().contains("503"));
    assert_eq!(within(name, |world| world.asked), 1);

    let (kit, name) = (Testkit::new(), "wait: long");
    within(name, |mut world| world.down = Some(away()));
    let agent = clerk(name).wait_for_model(HOUR);
    let own = dynamic::flow("own").run(move || async move { agent.run("Refund it.").await.map(|told| told.output) });
    let job = kit.start(own).await.unwrap();
    kit.advance(HOUR - SECOND).await;
    within(name, |mut world| world.down = None);
    kit.advance(SECOND).await;
    assert_eq!(ended(job).unwrap(), "paid 7");
}

#[tokio::test]
async fn long_answer_is_not_cut_off_by_the_time_for_an_outage() {
    let kit = Testkit::new();
    let model = FunctionModel::from_async("slow", |_| async {
        kitaru::dynamic::checkpoint("thinks").run(std::future::pending::<Result<(), Error>>).timeout(HOUR).await.ok();
        Ok(ModelResponse::text("42"))
    });
    let agent = KitaruAgent::new(Agent::builder(model).name("thinker").build().unwrap()).wait_for_model(MINUTE);
    let own = dynamic::flow("own").run(move || async move { agent.run("What is it?").await.map(|told| told.output) });
    let job = kit.start(own).await.unwrap();
    kit.advance(HOUR).await;
    assert_eq!(ended(job).unwrap(), "42");
}

#[tokio::test]
async fn turn_that_is_one_checkpoint_waits_in_its_body() {
    let (kit, name) = (Testkit::new(), "wait: a turn");
    within(name, |mut world| (world.down, world.down_after) = (Some(away()), 1));
    let job = kit.start(asks_in_turns(name.into()).id("job")).await.unwrap();
    kit.advance(HOUR).await;
    assert_eq!(status(&kit, "asks_in_turns").await, Status::Running, "it is not parked");
    within(name, |mut world| world.down = None);
    kit.advance(MINUTE * 6).await;
    assert_eq!(ended(job).unwrap(), "paid 7");
    assert_eq!(within(name, |world| world.payments.len()), 1);
}

#[tokio::test]
async fn resuming_a_failed_run_asks_that_request_again_and_nothing_before_it() {
    let (kit, name) = (Testkit::new(), "retry: request");
    let expired = ModelError::new(ModelErrorKind::Unauthorized, "the key has expired; renew it");
    within(name, |mut world| (world.down, world.down_after) = (Some(expired), 1));
    let ended = kit.run(asks(name.into()).id("job")).await.unwrap_err();
    assert!(ended.to_string().contains("renew it"), "{ended}");
    within(name, |mut world| world.down = None);
    kit.resume(("asks", "job")).await.unwrap();
    assert_eq!(status(&kit, "asks").await, Status::Completed);
    assert_eq!(within(name, |world| (world.asked, world.payments.len())), (3, 1));
}

#[tokio::test]
async fn resuming_an_undone_execution_is_an_error_with_a_hint() {
    let (kit, name) = (Testkit::new(), "retry: undone");
    let expired = ModelError::new(ModelErrorKind::Unauthorized, "the key has expired");
    within(name, |mut world| world.down = Some(expired));
    kit.run(refund(name.into()).id("job")).await.unwrap_err();
    assert_eq!(within(name, |world| world.undone), 1);
    let refused = kit.kitaru().resume(("refund", "job")).await.unwrap_err();
    assert!(refused.is_misuse(), "{refused}");
    for part in ["`job`", "`refund`", "undone", ".fresh()"] {
        assert!(refused.to_string().contains(part), "{part}: {refused}");
    }
    assert_eq!(within(name, |world| (world.asked, world.undone)), (1, 1), "nothing has run");
}
