//! The traces of a program whose processes come and go, as a collector receives them: a small one, which reads OTLP as JSON.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, Price};
use kitaru::{Kitaru, checkpoint, flow, wait};
use kitaru_otel::Traces;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[checkpoint]
async fn reserve(items: u32) -> u32 {
    let span = tracing::info_span!("of the program", items);
    span.in_scope(|| tracing::info!(shelf = 7, "an event"));
    items
}

#[checkpoint(sensitive, retries = 1, backoff = "1ms")]
async fn ship(items: u32) -> anyhow::Result<u32> {
    anyhow::ensure!(std::env::var_os("SECOND").is_some(), "hush-hush");
    Ok(items)
}

/// The price of a thing.
#[kitaru::tool]
async fn price(thing: String) -> String {
    format!("{thing} costs 7")
}

#[flow]
async fn order(items: u32) -> anyhow::Result<String> {
    let items = reserve(items).await;
    let model = FunctionModel::new("clerk-1", |request| match request.tool_returns().last() {
        None => Ok(ModelResponse::tool_call("call_1", "price", r#"{"thing":"tea"}"#)
            .with_tokens(kitaru::agent::Tokens::new(10, 2))),
        Some(_) => Ok(ModelResponse::text("7").with_tokens(kitaru::agent::Tokens::new(20, 3))),
    });
    let agent = Agent::builder(model).tool(price()).price(Price::per_million(1.0, 2.0)).build()?;
    let told = KitaruAgent::new(agent).run("How much?").await?.output;
    // A flow's own error is not sensitive.
    anyhow::ensure!(ship(items).await.is_ok(), "not shipped");
    wait::<bool>("approval").await?;
    Ok(told)
}

/// A process of the program.
#[test]
fn program() {
    let Some(dir) = std::env::var_os("STORE") else { return };
    let traces = Traces::otlp().unwrap();
    tracing_subscriber::registry().with(traces.layer()).init();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let kitaru = Kitaru::builder().dir(dir).park_after(Duration::ZERO).open().await.unwrap();
        let job = order(2).id("order-1").on(&kitaru).start().await.unwrap();
        if std::env::var_os("SECOND").is_some() {
            kitaru.answer(&job, "approval", &true).await.unwrap();
        }
        let _ = job.await;
        kitaru.close().await.unwrap();
    });
    drop(traces);
}

/// A collector: every span that it has received, with the resource.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Value>>>);

impl Collector {
    fn start() -> (Self, u16) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let spans = collector.0.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, spans) = (stream.unwrap(), spans.clone());
                std::thread::spawn(move || receive(stream, &spans));
            }
        });
        (collector, port)
    }

    fn spans(&self, name: &str) -> Vec<Value> {
        self.0.lock().unwrap().iter().filter(|span| span["name"] == name).cloned().collect()
    }
}

fn receive(stream: std::net::TcpStream, spans: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some((name, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                let _ = name;
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        for resource in body["resourceSpans"].as_array().unwrap() {
            for scope in resource["scopeSpans"].as_array().unwrap() {
                spans.lock().unwrap().extend(scope["spans"].as_array().unwrap().iter().map(|span| {
                    let mut span = span.clone();
                    span["service"] = attribute(&resource["resource"], "service.name");
                    span
                }));
            }
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        (&stream).write_all(answer.as_bytes()).unwrap();
    }
}

fn attribute(of: &Value, key: &str) -> Value {
    let all = of["attributes"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|attribute| attribute["key"] == key);
    let value = found.map(|found| found["value"].as_object().unwrap().values().next().unwrap().clone());
    // A number of 64 bits is a text in this JSON.
    let value = value.unwrap_or_default();
    value.as_str().and_then(|text| text.parse::<u64>().ok()).map_or(value, Value::from)
}

fn run(dir: &Path, port: u16, environment: &[(&str, &str)]) {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "program", "--nocapture"]).env("STORE", dir).envs(environment.iter().copied());
    program.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}")).env("OTEL_SERVICE_NAME", "shop");
    assert!(program.stdout(Stdio::null()).status().unwrap().success());
}

#[test]
fn execution_is_one_trace_across_processes_and_replays_are_not_spans() {
    let dir = tempfile::tempdir().unwrap();
    let (collector, port) = Collector::start();
    run(dir.path(), port, &[]);
    run(dir.path(), port, &[("SECOND", "1")]);

    let all = collector.0.lock().unwrap().clone();
    assert!(all.iter().all(|span| span["traceId"] == all[0]["traceId"] && span["service"] == "shop"), "{all:#?}");
    assert!(!format!("{all:?}").contains("hush"), "{all:#?}");

    // The root has one id, although the execution ended twice: it failed, and then it did not.
    let roots = collector.spans("order");
    let ends: Vec<_> = roots.iter().map(|root| attribute(root, "kitaru.status")).collect();
    assert_eq!(ends, ["failed", "completed"]);
    assert!(roots.iter().all(|root| root["spanId"] == roots[0]["spanId"] && root["parentSpanId"].as_str().is_none_or(str::is_empty)));
    assert_eq!((&roots[0]["status"]["code"], attribute(&roots[1], "kitaru.execution")), (&2.into(), "order-1".into()));

    let attempts = collector.spans("attempt");
    assert!(attempts.len() >= 2 && attempts.iter().all(|attempt| attempt["parentSpanId"] == roots[0]["spanId"]));
    assert_eq!(attribute(&attempts[0], "kitaru.attempt"), 1);

    // What ran once is a span once; what failed is one for each attempt.
    let [reserve] = &*collector.spans("reserve") else { panic!("{all:#?}") };
    assert_eq!(reserve["parentSpanId"], attempts[0]["spanId"]);
    assert_eq!(
        (attribute(reserve, "kitaru.kind"), attribute(reserve, "kitaru.status")),
        ("checkpoint".into(), "completed".into())
    );
    let [own] = &*collector.spans("of the program") else { panic!("{all:#?}") };
    assert_eq!((&own["parentSpanId"], &own["events"][0]["name"]), (&reserve["spanId"], &"an event".into()));
    let ships = collector.spans("ship");
    let [failed] = &*ships.iter().filter(|ship| ship["status"]["code"] == 2).collect::<Vec<_>>() else {
        panic!("{ships:#?}")
    };
    assert_eq!((attribute(failed, "kitaru.status"), attribute(failed, "kitaru.tries")), ("failed".into(), 2.into()));
    assert_eq!(attribute(ships.last().unwrap(), "kitaru.status"), "completed");
    assert!(!collector.spans("approval").is_empty());
    assert_eq!(attribute(&collector.spans("approval")[0], "kitaru.kind"), "wait");

    let chats = collector.spans("chat clerk-1");
    assert_eq!(chats.len(), 2, "{chats:#?}");
    assert_eq!(
        (attribute(&chats[0], "gen_ai.request.model"), attribute(&chats[0], "gen_ai.operation.name")),
        ("clerk-1".into(), "chat".into())
    );
    assert_eq!(
        (attribute(&chats[0], "gen_ai.usage.input_tokens"), attribute(&chats[1], "gen_ai.usage.output_tokens")),
        (10.into(), 3.into())
    );
    assert!((attribute(&chats[0], "kitaru.cost").as_f64().unwrap() - 14e-6).abs() < 1e-9);
    let [tool] = &*collector.spans("execute_tool price") else { panic!("{all:#?}") };
    assert_eq!(attribute(tool, "gen_ai.tool.name"), "price");
}
