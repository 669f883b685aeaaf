//! The routes and the pages, asked as a client and as a browser ask them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kitaru::{Kitaru, checkpoint, flow, wait};
use kitaru_control::{Body, Client, ClientError, Router, api, router, serve_tcp};

const HOST: &str = "127.0.0.1:7420";
const SCRIPT: &str = "<script>alert(1)</script>";

#[checkpoint]
async fn note(text: String) -> String {
    text
}

#[checkpoint(sensitive)]
async fn secret() -> String {
    "hush-hush".to_owned()
}

#[flow]
async fn asks(text: String) -> anyhow::Result<String> {
    let noted = note(text.clone()).await;
    secret().await;
    let yes = wait::<bool>("approval").question(format!("Is {text} right?")).metadata("text", &text).await?;
    anyhow::ensure!(yes, "{noted} is wrong");
    Ok(noted)
}

async fn opened() -> Kitaru {
    Kitaru::builder().in_memory().park_after(Duration::ZERO).open().await.unwrap()
}

/// A store with one execution that waits, whose texts are hostile.
async fn asking(id: &str) -> Kitaru {
    let kitaru = opened().await;
    drop(asks(SCRIPT.to_owned()).id(id).tag("web").on(&kitaru).start().await.unwrap());
    until(|| async { stands(&kitaru, id).await == "waiting" }).await;
    kitaru
}

async fn stands(kitaru: &Kitaru, id: &str) -> String {
    kitaru.execution(("asks", id)).await.unwrap().unwrap().status().to_string()
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

fn trusting(kitaru: &Kitaru) -> Router {
    router(kitaru).outer_server_authenticates([HOST]).allow_actions()
}

async fn ask(router: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.answer(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    let response = ask(router, Method::GET, path, &[], "").await;
    (response.status(), text(response).await)
}

#[tokio::test]
async fn client_asks_over_tcp_with_the_token_and_is_refused_without() {
    let kitaru = asking("a/b ü").await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hosts = [format!("127.0.0.1:{port}")];
    let router = router(&kitaru).token("secret", hosts).allow_actions();
    let server = serve_tcp(router, ([127, 0, 0, 1], port).into()).unwrap();
    let address = server.address().unwrap().to_string();

    let client = Client::tcp(&address, "secret");
    let page = client.executions(&api::ListQuery { tag: vec!["web".into()], ..Default::default() }).await.unwrap();
    assert_eq!(page.executions[0].id, "a/b ü");
    let records =
        client.records("asks", "a/b ü", api::RecordsQuery { limit: Some(2), ..Default::default() }).await.unwrap();
    assert_eq!(records.records.iter().map(|record| &*record.name).collect::<Vec<_>>(), ["note", "secret"]);
    assert_eq!(records.records[1].value, Some(api::Shown::Sensitive { sensitive: true }));
    assert!(records.next_after.is_some());
    let waits = client.waits().await.unwrap().waits;
    assert_eq!((&*waits[0].name, &waits[0].schema["type"]), ("approval", &"boolean".into()));
    let answer = api::Answer { wait: "approval".into(), value: true.into() };
    client.answer("asks", "a/b ü", &answer).await.unwrap();
    until(|| async { stands(&kitaru, "a/b ü").await == "completed" }).await;

    let refused = Client::tcp(&address, "wrong").status().await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(problem) if problem.status == 401), "{refused}");
    drop(server);
    let gone = client.status().await.unwrap_err();
    assert!(matches!(gone, ClientError::Unreachable { .. }), "{gone}");
}

#[tokio::test]
async fn pages_escape_what_a_journal_says_and_show_nothing_sensitive() {
    let kitaru = asking(SCRIPT).await;
    let router = trusting(&kitaru);
    let id = "%3Cscript%3Ealert%281%29%3C%2Fscript%3E";
    for path in ["/", "/waits", &format!("/e/asks/{id}"), &format!("/?q={id}"), "/?q=web", "/?q=asks"] {
        let (status, page) = get(&router, path).await;
        let status = status == StatusCode::OK || status == StatusCode::SEE_OTHER;
        assert!(status && !page.contains(SCRIPT) && !page.contains("hush"), "{path}: {page}");
    }
    let (_, page) = get(&router, &format!("/e/asks/{id}")).await;
    assert!(page.contains("&lt;script&gt;") && page.contains("sensitive"), "{page}");
    let (status, page) = get(&router, &format!("/e/asks/{id}nothing")).await;
    assert!(status == StatusCode::NOT_FOUND && !page.contains(SCRIPT), "{page}");
    assert_eq!(get(&router, "/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_answer_forbids_scripts_of_others_and_being_kept() {
    let kitaru = asking("job").await;
    let router = trusting(&kitaru);
    for path in ["/", "/e/asks/job", "/login", "/nothing", "/v1/executions", "/v1/nothing"] {
        let response = ask(&router, Method::GET, path, &[], "").await;
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!((&*header("cache-control"), &*header("x-content-type-options")), ("no-store", "nosniff"), "{path}");
    }
    // A page holds neither style nor script.
    let (_, page) = get(&router, "/e/asks/job").await;
    assert!(!page.contains("style=") && !page.contains("<style") && !page.contains("onclick"), "{page}");
    let script = page.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap();
    let asset = ask(&router, Method::GET, script, &[], "").await;
    assert!(asset.headers()["cache-control"].to_str().unwrap().contains("immutable"));
}

#[tokio::test]
async fn browser_logs_in_once_and_acts_from_pages_of_the_server_only() {
    let kitaru = asking("job").await;
    let router = router(&kitaru).token("secret", [HOST]).allow_actions();
    let response = ask(&router, Method::GET, "/waits", &[], "").await;
    assert_eq!(
        (response.status(), &response.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/login".parse().unwrap())
    );
    assert_eq!(ask(&router, Method::POST, "/login", &[], "token=wrong").await.status(), StatusCode::UNAUTHORIZED);
    let response = ask(&router, Method::POST, "/login", &[], "token=secret").await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");

    let cookie = ("cookie", "kitaru_token=secret");
    assert_eq!(ask(&router, Method::GET, "/waits", &[cookie], "").await.status(), StatusCode::OK);
    let form = "wait=approval&value=true";
    for origin in [None, Some("http://evil.example"), Some("null")] {
        let headers: Vec<_> = [Some(cookie), origin.map(|origin| ("origin", origin))].into_iter().flatten().collect();
        let status = ask(&router, Method::POST, "/e/asks/job/answer", &headers, form).await.status();
        assert!(status == StatusCode::FORBIDDEN || status == StatusCode::MISDIRECTED_REQUEST, "{origin:?}: {status}");
    }
    assert_eq!(stands(&kitaru, "job").await, "waiting");
    let own = ("origin", "http://127.0.0.1:7420");
    let response = ask(&router, Method::POST, "/e/asks/job/answer", &[cookie, own], form).await;
    assert_eq!(
        (response.status(), &response.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/e/asks/job".parse().unwrap())
    );
    until(|| async { stands(&kitaru, "job").await == "completed" }).await;
}

#[tokio::test]
async fn router_that_is_read_only_refuses_every_action_and_no_get_acts() {
    let kitaru = asking("job").await;
    let shows = router(&kitaru).outer_server_authenticates([HOST]);
    for what in ["answer", "signal", "cancel", "resume"] {
        for path in [format!("/v1/executions/asks/job/{what}"), format!("/e/asks/job/{what}")] {
            assert_eq!(ask(&shows, Method::POST, &path, &[], "{}").await.status(), StatusCode::FORBIDDEN, "{path}");
            let status = ask(&trusting(&kitaru), Method::GET, &path, &[], "").await.status();
            assert!(status == StatusCode::METHOD_NOT_ALLOWED || status == StatusCode::NOT_FOUND, "{path}: {status}");
        }
    }
    assert_eq!(stands(&kitaru, "job").await, "waiting");
    let (_, page) = get(&shows, "/e/asks/job").await;
    assert!(!page.contains("method=\"post\""), "a page that cannot act shows no form");
    assert!(get(&trusting(&kitaru), "/e/asks/job").await.1.contains("method=\"post\""));
}

#[tokio::test]
async fn stream_says_that_an_execution_moves_and_ends_with_its_store() {
    let kitaru = asking("job").await;
    let router = trusting(&kitaru);
    let mut stream = ask(&router, Method::GET, "/e/asks/job/live", &[], "").await.into_body();
    let event = |data: Bytes| String::from_utf8(data.to_vec()).unwrap();
    let first = event(stream.frame().await.unwrap().unwrap().into_data().unwrap());
    assert!(first.starts_with("id: ") && first.contains("\"status\":\"waiting\""), "{first}");
    kitaru.answer(("asks", "job"), "approval", &true).await.unwrap();
    loop {
        let next = event(stream.frame().await.unwrap().unwrap().into_data().unwrap());
        if next.contains("\"status\":\"completed\"") {
            break;
        }
    }
    drop((router, kitaru));
    assert!(stream.frame().await.is_none());
    let kitaru = opened().await;
    let mut nothing = ask(&trusting(&kitaru), Method::GET, "/e/asks/nothing/live", &[], "").await.into_body();
    assert!(nothing.frame().await.is_none(), "of an execution that is not there it ends immediately");
}

#[tokio::test]
async fn body_that_is_malformed_or_too_long_is_refused_with_the_reason() {
    let kitaru = asking("job").await;
    let router = trusting(&kitaru);
    let path = "/v1/executions/asks/job/answer";
    for body in ["", "[]", "{\"wait\":\"approval\"}", "{\"wait\":\"approval\",\"value\":1,\"more\":2}", "\u{0}"] {
        let response = ask(&router, Method::POST, path, &[], body).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: api::Problem = serde_json::from_str(&text(response).await).unwrap();
        assert!(problem.status == 400 && problem.detail.contains("cannot read the body"), "{body}: {problem:?}");
    }
    let long = "x".repeat((4 << 20) + 1);
    assert_eq!(ask(&router, Method::POST, path, &[], &long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let wrong = "{\"wait\":\"approval\",\"value\":\"maybe\"}";
    assert!(!ask(&router, Method::POST, path, &[], wrong).await.status().is_success());
}

#[tokio::test]
async fn page_of_a_long_journal_and_of_a_large_value_stays_small() {
    #[flow]
    async fn long(count: u32) -> anyhow::Result<()> {
        for nth in 0..count {
            note(format!("{nth}{}", "x".repeat(if nth < 50 { 100_000 } else { 2_000 }))).await;
        }
        Ok(())
    }
    let kitaru = opened().await;
    long(3_000).id("job").on(&kitaru).await.unwrap();
    let router = trusting(&kitaru);
    let (_, page) = get(&router, "/e/long/job").await;
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    assert!(page.contains("Later records"));
    let next = page.split("Later records").next().unwrap().rsplit("href=\"").next().unwrap().split('"').next().unwrap();
    let (status, later) = get(&router, &next.replace("&amp;", "&")).await;
    assert!(status == StatusCode::OK && later.contains("id=\"r101\""), "{next}");
}
