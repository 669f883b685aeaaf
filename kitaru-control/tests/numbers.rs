//! The numbers of a store, the search and the actions on many executions, asked as a client, a browser and a collector ask them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kitaru::{Kitaru, checkpoint, flow, wait};
use kitaru_control::{Router, api, router};
use serde_json::{Value, json};

const HOST: &str = "127.0.0.1:7420";
const HOSTILE: &str = "a\"b\\c\nd<script>";

#[checkpoint]
async fn pick(items: u32) -> anyhow::Result<u32> {
    anyhow::ensure!(items < 100, "only 12 are left");
    Ok(items)
}

#[flow]
async fn order(items: u32) -> anyhow::Result<u32> {
    let picked = pick(items).await?;
    anyhow::ensure!(wait::<bool>("approval").question("Ship it?").await?, "not approved");
    Ok(picked)
}

async fn opened() -> Kitaru {
    Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap()
}

/// A store with two orders that wait and one that failed, and a flow with a hostile name.
async fn filled() -> Kitaru {
    let kitaru = opened().await;
    for (id, items) in [("order-1", 1), ("order-2", 2), ("order-3", 500)] {
        drop(order(items).id(id).tag("web").on(&kitaru).start().await.unwrap());
    }
    while kitaru.executions().status(kitaru::Status::Waiting).await.unwrap().len() < 2
        || kitaru.executions().status(kitaru::Status::Failed).await.unwrap().is_empty()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    kitaru
}

fn trusting(kitaru: &Kitaru) -> Router {
    router(kitaru).outer_server_authenticates([HOST]).allow_actions()
}

async fn ask(router: &Router, method: Method, path: &str, body: &str) -> (StatusCode, String, String) {
    let request = Request::builder().method(method).uri(path).header("host", HOST);
    let response = router.answer(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await;
    let kind = response.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &Router, path: &str) -> String {
    let (status, _, body) = ask(router, Method::GET, path, "").await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// A sample: its name, its labels and its value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads Prometheus text as a collector does, and checks its form.
fn parsed(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    let (mut kinds, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["gauge", "counter", "histogram"].contains(&kind) && helped.contains(name), "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        samples.push((name.to_owned(), labels_of(labels), value.parse().unwrap()));
    }
    assert!(text.ends_with('\n'));
    (kinds, samples)
}

fn labels_of(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((label, rest)) = text.split_once("=\"") {
        let (mut value, mut signs) = (String::new(), rest.char_indices());
        let end = loop {
            match signs.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match signs.next().unwrap().1 {
                    'n' => '\n',
                    escaped => escaped,
                }),
                (_, sign) => value.push(sign),
            }
        };
        assert!(labels.insert(label.to_owned(), value).is_none(), "{text}");
        text = rest[end + 1..].trim_start_matches(',');
    }
    labels
}

#[tokio::test]
async fn metrics_are_prometheus_text_that_a_collector_reads() {
    let kitaru = filled().await;
    let hostile = kitaru::dynamic::flow(HOSTILE.replace('\n', " ")).run(|| async { Ok::<_, kitaru::Error>(7) });
    hostile.on(&kitaru).await.unwrap();
    let (status, kind, text) = ask(&trusting(&kitaru), Method::GET, "/metrics", "").await;
    assert_eq!((status, &*kind), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
    let (kinds, samples) = parsed(&text);
    let series: BTreeSet<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
    assert_eq!(series.len(), samples.len(), "no series comes twice");
    for (name, _, _) in &samples {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        assert!(kinds.contains_key(name) || family.is_some_and(|family| kinds[family] == "histogram"), "{name}");
    }
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels: BTreeMap<_, _> = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        samples.iter().find(|sample| sample.0 == name && sample.1 == labels).unwrap_or_else(|| panic!("{name}")).2
    };
    assert_eq!(value("kitaru_executions", &[("flow", "order"), ("status", "waiting")]), 2.0);
    assert_eq!(value("kitaru_executions", &[("flow", "order"), ("status", "failed")]), 1.0);
    let hostile = HOSTILE.replace('\n', " ");
    assert_eq!(value("kitaru_executions", &[("flow", &hostile), ("status", "completed")]), 1.0);
    assert_eq!((value("kitaru_executions_parked", &[]), value("kitaru_checkpoints_run_total", &[])), (2.0, 3.0));

    let buckets: Vec<_> = samples.iter().filter(|sample| sample.0 == "kitaru_commit_duration_seconds_bucket").collect();
    let bounds: Vec<f64> = buckets.iter().map(|bucket| bucket.1["le"].parse().unwrap()).collect();
    assert!(bounds.is_sorted() && bounds.last() == Some(&f64::INFINITY), "{bounds:?}");
    assert!(buckets.is_sorted_by(|one, next| one.2 <= next.2), "they are cumulative");
    assert_eq!(buckets.last().unwrap().2, value("kitaru_commit_duration_seconds_count", &[]));
    assert!(value("kitaru_commit_duration_seconds_sum", &[]) >= 0.0);
}

#[tokio::test]
async fn metrics_need_the_token_as_the_api_does() {
    let kitaru = opened().await;
    let guarded = router(&kitaru).token("secret", [HOST]);
    assert_eq!(ask(&guarded, Method::GET, "/metrics", "").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&trusting(&kitaru), Method::POST, "/metrics", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn stats_have_the_names_that_the_library_gives_them() {
    let kitaru = filled().await;
    let stats: Value = serde_json::from_str(&get(&trusting(&kitaru), "/v1/stats").await).unwrap();
    let mut of_the_library = serde_json::to_value(kitaru.metrics().await.unwrap()).unwrap();
    for moving in ["counted_ms", "commits"] {
        of_the_library[moving] = stats[moving].clone();
    }
    assert_eq!(stats, of_the_library);
}

#[tokio::test]
async fn action_on_many_needs_a_condition_and_is_refused_where_nothing_may_act() {
    let kitaru = filled().await;
    let router = trusting(&kitaru);
    for body in ["", "{}", r#"{"executions":{}}"#, r#"{"executions":{"limit":5}}"#] {
        let (status, _, problem) = ask(&router, Method::POST, "/v1/executions/cancel", body).await;
        assert!(status == StatusCode::BAD_REQUEST && problem.contains("say that all are meant"), "{body}: {problem}");
    }
    for body in [r#"{"executions":{"state":"failed"}}"#, r#"{"executions":{"status":["completed"]}}"#] {
        assert_eq!(
            ask(&router, Method::POST, "/v1/executions/resume", body).await.0,
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
    let shows = kitaru_control::router(&kitaru).outer_server_authenticates([HOST]);
    for path in ["/v1/executions/cancel", "/v1/executions/resume"] {
        assert_eq!(ask(&shows, Method::POST, path, r#"{"all":true}"#).await.0, StatusCode::FORBIDDEN);
        assert_eq!(ask(&router, Method::GET, path, "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(kitaru.executions().status(kitaru::Status::Waiting).await.unwrap().len(), 2, "nothing was cancelled");
}

#[tokio::test]
async fn action_on_many_says_what_was_done_skipped_and_where_to_continue() {
    let kitaru = filled().await;
    let router = trusting(&kitaru);
    let cancel = async |body: Value| -> api::ManyDone {
        let (status, _, done) = ask(&router, Method::POST, "/v1/executions/cancel", &body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{done}");
        serde_json::from_str(&done).unwrap()
    };
    let dry = cancel(json!({ "executions": { "q": "order-" }, "dry_run": true })).await;
    assert_eq!(dry.done.iter().map(|done| &*done.id).collect::<Vec<_>>(), ["order-2", "order-1"]);
    let first = cancel(json!({ "executions": { "tag": ["web"], "limit": 1 }, "without_undo": true })).await;
    assert_eq!((first.done.len(), &*first.done[0].id), (1, "order-2"));
    let rest = json!({ "executions": { "tag": ["web"], "cursor": first.next_cursor }, "without_undo": true });
    let rest = cancel(rest).await;
    assert_eq!((rest.done.len(), rest.failed.len(), rest.next_cursor), (1, 0, None));
    let (_, _, resumed) = ask(&router, Method::POST, "/v1/executions/resume", r#"{"all":true}"#).await;
    let resumed: api::ManyDone = serde_json::from_str(&resumed).unwrap();
    assert_eq!(resumed.done.iter().map(|done| &*done.id).collect::<Vec<_>>(), ["order-3"]);
}

#[tokio::test]
async fn search_of_the_list_finds_errors_and_says_how_far_it_looked() {
    let kitaru = filled().await;
    let router = trusting(&kitaru);
    let page: api::Page = serde_json::from_str(&get(&router, "/v1/executions?q=only%2012").await).unwrap();
    assert_eq!((page.executions.len(), page.looked_at, page.next_cursor), (1, 1, None));
    assert_eq!(page.executions[0].error.as_deref(), Some("only 12 are left"));
    let found = get(&router, "/?q=only+12").await;
    assert!(found.contains("order-3") && found.contains("only 12 are left") && !found.contains("order-1"), "{found}");
    let narrowed = get(&router, "/?flow=order&status=waiting").await;
    assert!(narrowed.contains("order-1") && !narrowed.contains("order-3") && narrowed.contains("of all flows"));
    let (status, _, _) = ask(&router, Method::GET, "/?q=order%2Forder-1", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "the whole name leads to the execution");
}

#[tokio::test]
async fn pages_of_flows_and_of_health_show_numbers_and_lead_to_executions() {
    let kitaru = filled().await;
    let router = trusting(&kitaru);
    let flows = get(&router, "/flows").await;
    for expected in ["order", "/?flow=order&amp;status=waiting", "/e/order/order-3", "only 12 are left"] {
        assert!(flows.contains(expected), "{expected}: {flows}");
    }
    let health = get(&router, "/health").await;
    for expected in ["in memory", "accepted", "/e/order/order-1", "3 run, 0 replayed"] {
        assert!(health.contains(expected), "{expected}: {health}");
    }
    let shows = kitaru_control::router(&kitaru).outer_server_authenticates([HOST]);
    assert!(get(&shows, "/health").await.contains("this server is read-only"));
    let empty = opened().await;
    for path in ["/flows", "/health"] {
        get(&trusting(&empty), path).await;
    }
}

#[tokio::test]
async fn pages_of_many_flows_and_executions_stay_small() {
    let kitaru = opened().await;
    for n in 0..700 {
        let failing = kitaru::dynamic::flow(format!("flow-{n:04}-{}", "x".repeat(80)));
        let error = "y".repeat(2_000);
        let failing = failing.run(move || async move { Err::<u32, _>(kitaru::Error::msg(error)) });
        failing.id("z".repeat(200)).on(&kitaru).await.unwrap_err();
    }
    let router = trusting(&kitaru);
    for path in ["/", "/?q=yyy", "/flows", "/health", "/metrics", "/v1/executions?limit=1000"] {
        let page = get(&router, path).await;
        assert!(page.len() < 1 << 20, "{path}: {} bytes", page.len());
    }
}
