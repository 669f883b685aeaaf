//! The routes for the upkeep of a store, and who is named in the audit.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kitaru::{Kitaru, Status, flow, wait};
use kitaru_control::{Client, ClientError, Router, api, folder, router, serve_tcp, serve_unix};
use serde_json::Value;

const HOST: &str = "127.0.0.1:7420";

#[flow]
async fn order(customer: String) -> anyhow::Result<String> {
    let yes = wait::<bool>("approval").question(format!("Ship to {customer}?")).await?;
    anyhow::ensure!(yes, "not approved");
    Ok(customer)
}

async fn asking(kitaru: &Kitaru, id: &str) {
    drop(order("Ada".to_owned()).id(id).on(kitaru).start().await.unwrap());
    until(|| async { stands(kitaru, id).await == Some(Status::Waiting) }).await;
}

async fn stands(kitaru: &Kitaru, id: &str) -> Option<Status> {
    kitaru.execution(("order", id)).await.unwrap().map(|execution| execution.status())
}

async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 20 seconds");
}

async fn post(router: &Router, path: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, Value) {
    let mut request = Request::post(path).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.answer(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn actors(kitaru: &Kitaru, id: &str) -> Vec<(String, String)> {
    let execution = kitaru.execution(("order", id)).await.unwrap().unwrap();
    execution.audit().iter().map(|entry| (entry.action().to_string(), entry.by().to_owned())).collect()
}

#[tokio::test]
async fn action_over_the_api_is_in_the_audit_under_the_name_of_who_asked() {
    let kitaru = Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap();
    for id in ["outer", "token", "socket"] {
        asking(&kitaru, id).await;
    }
    let outer = router(&kitaru).outer_server_authenticates([HOST]).allow_actions();
    let path = "/v1/executions/order/outer/answer";
    let body = r#"{"wait":"approval","value":true}"#;
    let (status, _) = post(&outer, path, &[("x-kitaru-actor", "Grace ü")], body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(actors(&kitaru, "outer").await, [("answered".to_owned(), "Grace ü".to_owned())]);
    // A form of a page, too.
    let form = "/e/order/token/cancel";
    let token = router(&kitaru).token("secret", [HOST]).allow_actions();
    let headers = [("authorization", "Bearer secret"), ("x-kitaru-actor", "Grace")];
    assert_eq!(post(&token, form, &headers, "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(actors(&kitaru, "token").await, [("cancelled".to_owned(), "token".to_owned())]);

    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let server = serve_unix(&kitaru, &socket).unwrap();
    let client = Client::unix(&socket);
    client.signal("order", "socket", &api::Signal { signal: "hint".into(), value: 1.into(), key: None }).await.unwrap();
    let own = actors(&kitaru, "socket").await;
    assert_eq!(own.len(), 1);
    assert!(!own[0].1.is_empty() && !own[0].1.contains("via"), "{own:?}");
    let shown = client.execution("order", "socket").await.unwrap();
    assert_eq!((&*shown.audit[0].action, &*shown.audit[0].about, &shown.audit[0].by), ("sent", "hint", &own[0].1));

    client.delete("order", "outer").await.unwrap();
    let refused = client.delete("order", "socket").await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused(problem) if problem.detail.contains("cancel it first")),
        "{refused}"
    );
    let audit = client.audit().await.unwrap().entries;
    assert_eq!(
        (audit.len(), &*audit[0].action, &*audit[0].about, &audit[0].by),
        (1, "deleted", "order/outer", &own[0].1)
    );
    let counted = client.gc(api::Gc { older_than_ms: Some(0), dry_run: true }).await.unwrap();
    assert_eq!(counted.generations, 1, "the cancelled one");
    drop(server);
}

#[tokio::test]
async fn action_of_a_server_in_between_is_named_with_the_user_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let kitaru = Kitaru::builder().dir(dir.path()).park_after(Duration::ZERO).open().await.unwrap();
    asking(&kitaru, "job").await;
    let between = folder(dir.path()).token("secret", [HOST]).allow_actions();
    let headers = [("authorization", "Bearer secret"), ("x-kitaru-actor", "Grace")];
    let (status, answer) = post(&between, "/v1/executions/order/job/cancel", &headers, "").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let actors = actors(&kitaru, "job").await;
    assert!(actors[0].1.starts_with("token via "), "{actors:?}");
    kitaru.close().await.unwrap();
}

#[tokio::test]
async fn backup_is_written_over_a_socket_only_and_replaces_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let kitaru = Kitaru::builder().dir(&store).park_after(Duration::ZERO).open().await.unwrap();
    asking(&kitaru, "job").await;
    let file = dir.path().join("backup");
    let named = file.to_str().unwrap();
    let body = format!(r#"{{"file":{named:?}}}"#);
    for remote in [
        router(&kitaru).outer_server_authenticates([HOST]).allow_actions(),
        folder(&store).outer_server_authenticates([HOST]).allow_actions(),
    ] {
        let (status, problem) = post(&remote, "/v1/backup", &[], &body).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(problem["detail"].as_str().unwrap().contains("ask over its Unix socket"), "{problem}");
    }
    assert!(!file.exists());

    let client = Client::folder(&store);
    let backup = client.backup(named).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), backup.bytes);
    let again = client.backup(named).await.unwrap_err();
    assert!(matches!(&again, ClientError::Refused(problem) if problem.code == "conflict"), "{again}");
    let relative = client.backup("backup").await.unwrap_err();
    assert!(matches!(&relative, ClientError::Refused(problem) if problem.code == "misuse"), "{relative}");
    assert!(!dir.path().join("backup.part").exists());
    kitaru.close().await.unwrap();
    let restored = dir.path().join("restored");
    Kitaru::restore(std::fs::File::open(&file).unwrap(), &restored).await.unwrap();
    let checkup = Client::folder(&restored).checkup().await.unwrap();
    assert!(checkup.is_well && checkup.format == Some(2), "{checkup:?}");
}

#[tokio::test]
async fn deletion_and_collection_are_refused_by_a_server_that_only_shows() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shows = router(&kitaru).token("secret", [format!("127.0.0.1:{port}")]);
    let server = serve_tcp(shows, ([127, 0, 0, 1], port).into()).unwrap();
    let client = Client::tcp(server.address().unwrap().to_string(), "secret");
    let is_read_only =
        |refused: &ClientError| matches!(refused, ClientError::Refused(problem) if problem.code == "read_only");
    assert!(is_read_only(&client.delete("order", "job").await.unwrap_err()));
    assert!(is_read_only(&client.gc(api::Gc::default()).await.unwrap_err()));
    assert!(is_read_only(&client.backup("/tmp/never").await.unwrap_err()));
    assert!(client.checkup().await.unwrap().is_well);
}
