//! Which events the log of an execution has, and what a program without a layer says.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use kitaru::{Kitaru, checkpoint, flow};
use kitaru_control::{api, log_layer, log_layer_at, router};
use tracing::Instrument as _;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

#[checkpoint]
async fn draft(topic: String) -> String {
    tracing::info!(words = 700, topic, "writing");
    tracing::debug!("a detail");
    async { tracing::warn!("in a span of the program") }.instrument(tracing::info_span!("printing")).await;
    topic
}

#[checkpoint]
async fn fails(text: String) -> anyhow::Result<()> {
    anyhow::bail!(text)
}

#[flow]
async fn report(topic: String) -> anyhow::Result<()> {
    tracing::info!("in the flow");
    draft(topic.clone()).await;
    if topic == "storms" {
        fails("no paper".to_owned()).await?;
    }
    Ok(())
}

/// Runs an execution on this thread, whose events the subscriber takes.
async fn run(kitaru: &Kitaru, id: &str, topic: &str) {
    let _ = report(topic.to_owned()).id(id).on(kitaru).await;
}

async fn opened() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

async fn read(kitaru: &Kitaru, id: &str, query: &str) -> (StatusCode, String) {
    let router = router(kitaru).outer_server_authenticates(["localhost"]);
    let request = Request::get(format!("/v1/executions/report/{id}/logs?{query}")).header("host", "localhost");
    let response = router.answer(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await;
    let status = response.status();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn events(kitaru: &Kitaru, id: &str, query: &str) -> Vec<api::LogEvent> {
    let (status, body) = read(kitaru, id, query).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str::<api::Logs>(&body).unwrap().events
}

fn messages(events: &[api::LogEvent]) -> Vec<&str> {
    events.iter().map(|event| &*event.message).collect()
}

fn keeping(level: LevelFilter) -> DefaultGuard {
    set_default(Registry::default().with(log_layer_at(level)))
}

#[tokio::test]
async fn log_of_an_execution_has_the_events_of_its_flow_its_bodies_and_their_spans() {
    let _guard = set_default(Registry::default().with(log_layer()));
    let kitaru = opened().await;
    run(&kitaru, "whole", "storms").await;
    run(&kitaru, "other", "tides").await;
    tracing::error!("outside of all executions");

    let events = events(&kitaru, "whole", "").await;
    let said = messages(&events);
    let wanted =
        ["Flow `report` started", "in the flow", "Checkpoint `draft` started.", "writing", "in a span of the program"];
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.starts_with(wanted), "{said} is not {wanted}");
    }
    assert!(said.last().unwrap().starts_with("Flow `report` failed"), "{said:?}");
    assert!(!said.contains(&"a detail") && !said.contains(&"outside of all executions"), "{said:?}");
    let writing = &events[3];
    assert_eq!(
        (writing.level, writing.attempt, writing.checkpoint.as_deref()),
        (api::LogLevel::Info, Some(1), Some("draft"))
    );
    assert_eq!(writing.fields, serde_json::json!({ "words": 700, "topic": "storms" }));
    assert!(writing.target.contains("logs") && writing.time_ms > 1_700_000_000_000, "{writing:?}");
    assert_eq!((events[1].checkpoint.as_deref(), events[4].checkpoint.as_deref()), (None, Some("draft")));
}

#[tokio::test]
async fn log_is_read_by_level_and_behind_a_number() {
    let _guard = keeping(LevelFilter::DEBUG);
    let kitaru = opened().await;
    run(&kitaru, "levels", "storms").await;
    let all = events(&kitaru, "levels", "").await;
    assert!(messages(&all).contains(&"a detail"));
    let severe = events(&kitaru, "levels", "level=warn").await;
    assert!(severe.iter().all(|event| event.level <= api::LogLevel::Warn) && severe.len() >= 2, "{severe:?}");
    let rest = events(&kitaru, "levels", &format!("after={}", all[1].number)).await;
    assert_eq!(rest, all[2..]);
    let (_, page) = read(&kitaru, "levels", "limit=2").await;
    assert_eq!(serde_json::from_str::<api::Logs>(&page).unwrap().next_after, Some(all[1].number));
    assert_eq!(read(&kitaru, "levels", "level=loud").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(read(&kitaru, "nothing", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn log_has_the_events_although_a_filter_of_the_subscriber_leaves_out_the_spans() {
    let layers =
        Registry::default().with(EnvFilter::new("info")).with(fmt::layer().with_test_writer()).with(log_layer());
    let _guard = set_default(layers);
    let kitaru = opened().await;
    run(&kitaru, "filtered", "tides").await;
    let events = events(&kitaru, "filtered", "").await;
    assert!(messages(&events).contains(&"writing") && messages(&events).contains(&"in the flow"), "{events:?}");
}

#[tokio::test]
async fn event_of_a_thread_that_ends_is_of_no_execution() {
    let _guard = keeping(LevelFilter::INFO);
    struct Logs;
    impl Drop for Logs {
        fn drop(&mut self) {
            tracing::info!("the thread ends");
        }
    }
    thread_local! { static LOGS: Logs = const { Logs } }
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let ends = std::thread::spawn(move || {
        LOGS.with(|_| ());
        tracing::dispatcher::with_default(&dispatch, || assert!(kitaru::current_execution().is_none()));
    });
    ends.join().unwrap();
}
