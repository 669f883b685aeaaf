//! Tools whose calls are never repeated automatically.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, RunError, ToolOptions, ToolOutput};
use kitaru::{Kitaru, Status, flow, tool};
use serde_json::{Value, json};

static BEGUN: AtomicU32 = AtomicU32::new(0);
static HANGS: AtomicBool = AtomicBool::new(true);

/// Fires the one rocket there is.
#[tool]
async fn fire() -> String {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    if HANGS.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    "it flies".to_owned()
}

fn agent(options: ToolOptions) -> KitaruAgent {
    let model = FunctionModel::new("officer", |request| match request.tool_returns().last() {
        None => Ok(ModelResponse::tool_call("call_1", "fire", "{}")),
        Some(given) => Ok(ModelResponse::text(given.content.as_str())),
    });
    let agent = Agent::builder(model).name("officer").tool(fire()).build().unwrap();
    KitaruAgent::new(agent).tool_options("fire", options)
}

#[flow]
async fn launch() -> Result<String, RunError> {
    Ok(agent(ToolOptions::default().once()).run("Fire!").await?.output)
}

async fn in_time<T>(what: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what.into_future()).await.expect("it hangs")
}

#[tokio::test]
async fn interrupted_call_waits_for_a_person_and_is_never_repeated_automatically() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || Kitaru::builder().dir(dir.path()).open().await.unwrap();
    let kitaru = open().await;
    let handle = launch().id("job").on(&kitaru).start().await.unwrap();
    in_time(async {
        while BEGUN.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The process ends in the middle of the call.
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);

    HANGS.store(false, Ordering::Relaxed);
    for answer in [None, Some(ToolOutput::text("it has flown").happened().unwrap())] {
        let kitaru = open().await;
        let handle = launch().id("job").on(&kitaru).start().await.unwrap();
        in_time(async {
            while kitaru.execution(("launch", "job")).await.unwrap().unwrap().status() != Status::Waiting {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let job = kitaru.execution(("launch", "job")).await.unwrap().unwrap();
        assert_eq!(job.waits()[0].name(), "fire_tool");
        if let Some(answer) = answer {
            kitaru.answer(&job, "fire_tool", &answer).await.unwrap();
            assert_eq!(in_time(handle).await.unwrap(), "it has flown");
        }
        kitaru.close().grace(Duration::ZERO).await.unwrap();
    }
    assert_eq!(BEGUN.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn option_that_cannot_be_kept_is_refused_before_any_request() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let once = ToolOptions::default().once();
    for (agent, says) in [
        (agent(once).granular_checkpoints(false), "leave `granular_checkpoints` on"),
        (agent(once.retries(1)), "has retries; choose one"),
        (agent(once.not_durable()), "remove `not_durable`"),
    ] {
        let error = agent.run("Fire!").on(&kitaru).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// Pays what there is to be paid.
#[tool(once)]
async fn pay(key: String) -> String {
    PAID.fetch_add(u32::from(!key.is_empty()), Ordering::Relaxed);
    std::future::pending().await
}

static PAID: AtomicU32 = AtomicU32::new(0);

#[flow]
async fn settles(n: u32) -> Result<String, RunError> {
    let _ = n;
    let model = FunctionModel::new("clerk", |request| match request.tool_returns().last() {
        None => Ok(ModelResponse::tool_call("call_1", "pay", json!({ "key": "k-7" }).to_string())),
        Some(given) => Ok(ModelResponse::text(given.content.as_str())),
    });
    Ok(KitaruAgent::new(Agent::builder(model).name("clerk").tool(pay()).build()?).run("Pay!").await?.output)
}

#[tokio::test]
async fn question_about_a_call_shows_its_arguments_and_takes_json() {
    let answers = [
        (json!({ "happened": "sent" }), "sent"),
        (json!({ "happened": { "receipt": 7 } }), r#"{"receipt":7}"#),
        (json!({ "happened": { "content": "sent" } }), "sent"),
        // In its recorded form.
        (json!({ "happened": { "output": { "content": "it was sent" } } }), "it was sent"),
        // This only looks like it.
        (
            json!({ "happened": { "output": { "content": "sent" }, "receipt": 7 } }),
            r#"{"output":{"content":"sent"},"receipt":7}"#,
        ),
        (
            json!({ "happened": { "output": { "content": "sent", "id": 7 } } }),
            r#"{"output":{"content":"sent","id":7}}"#,
        ),
    ];
    for (nth, (answer, output)) in answers.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let open = async || Kitaru::builder().dir(dir.path()).open().await.unwrap();
        let kitaru = open().await;
        let paid = PAID.load(Ordering::Relaxed);
        let handle = settles(nth as u32).id("job").on(&kitaru).start().await.unwrap();
        in_time(async {
            while PAID.load(Ordering::Relaxed) == paid {
                tokio::task::yield_now().await;
            }
        })
        .await;
        kitaru.close().grace(Duration::ZERO).await.unwrap();
        drop(handle);
        let kitaru = open().await;
        let handle = settles(nth as u32).id("job").on(&kitaru).start().await.unwrap();
        in_time(async {
            while kitaru.execution(("settles", "job")).await.unwrap().unwrap().waits().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let job = kitaru.execution(("settles", "job")).await.unwrap().unwrap();
        let wait = &job.waits()[0];
        assert_eq!(wait.name(), "pay_tool");
        let arguments = wait.metadata()["arguments"]["arguments"].as_str().unwrap().to_owned();
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({ "key": "k-7" }));
        assert_eq!(wait.metadata()["idempotency_key"].as_str().unwrap().len(), 32);
        let happened = wait.schema()["oneOf"][0]["properties"]["happened"].clone();
        assert!(happened["description"].as_str().unwrap().contains("a text as it is"), "{happened}");
        in_time(kitaru.answer_wait(wait, &answer)).await.unwrap();
        assert_eq!(in_time(handle).await.unwrap(), output);
        assert_eq!(PAID.load(Ordering::Relaxed), paid + 1, "it is not paid again");
        kitaru.close().await.unwrap();
    }
}
