//! Settings of a request and of its transport, as servers receive them.

use super::*;

/// The body that a request with these settings has.
async fn sent(way: Way, settings: ModelSettings) -> Value {
    let server = Server::start(vec![way.answer("hi", &[], "stop")]);
    let mut asked = go();
    asked.settings = settings;
    request(way, &*way.model(&server), &asked).await.unwrap();
    serde_json::from_str(&server.seen()[0]).unwrap()
}

/// Why a request with these settings is not sent.
async fn refused(way: Way, settings: ModelSettings) -> String {
    let server = Server::start(vec![]);
    let mut asked = go();
    asked.settings = settings;
    let error = request(way, &*way.model(&server), &asked).await.unwrap_err();
    assert_eq!((error.kind(), server.seen().len()), (ModelErrorKind::Configuration, 0), "{way:?}: {error}");
    error.to_string()
}

#[tokio::test]
async fn body_field_is_added_in_every_dialect_and_one_of_the_client_is_refused() {
    for way in WAYS {
        let added = ModelSettings::default().body("provider", json!({ "order": ["a"] })).body("z", json!(null));
        let body = sent(way, added).await;
        assert_eq!((&body["provider"]["order"][0], body.get("z")), (&json!("a"), Some(&Value::Null)), "{way:?}");
        for own in ["model", "tool_choice", "stream", "temperature", "tools"] {
            let error = refused(way, ModelSettings::default().body(own, json!("x"))).await;
            assert!(error.contains(&format!("the body field `{own}` is the client's own")), "{error}");
        }
    }
    let error = refused(Way::AnthropicWhole, ModelSettings::default().body("system", json!("x"))).await;
    assert!(error.contains("`system`"), "{error}");
    // A field that another setting has set.
    let twice = ModelSettings::default().effort(Effort::Low).body("reasoning", json!({ "summary": "auto" }));
    assert!(refused(Way::ResponsesWhole, twice).await.contains("`reasoning`"));
}

#[tokio::test]
async fn settings_have_the_names_of_each_dialect() {
    let all = ModelSettings::default().stop(["END"]).service_tier("flex").top_k(5).presence_penalty(0.5);
    let all = all.frequency_penalty(0.25).seed(7).top_p(0.9);
    let chat = sent(Way::OpenAiWhole, all.clone()).await;
    let expected = json!({
        "stop": ["END"], "service_tier": "flex", "presence_penalty": 0.5, "frequency_penalty": 0.25, "seed": 7,
        "top_p": 0.9,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(chat[name], *value, "{name}");
    }
    assert_eq!(chat.get("top_k"), None);
    let message = sent(Way::AnthropicWhole, all.clone()).await;
    assert_eq!((&message["stop_sequences"], &message["top_k"]), (&json!(["END"]), &json!(5)));
    assert_eq!((&message["service_tier"], message.get("seed")), (&json!("flex"), None));
    assert!(refused(Way::ResponsesWhole, all).await.contains("has no `stop`"));
}

#[tokio::test]
async fn tool_choice_has_the_words_of_each_dialect() {
    let of = |name: &str| ToolChoice::Tool(name.to_owned());
    for (way, choice, expected) in [
        (Way::OpenAiWhole, ToolChoice::None, json!("none")),
        (Way::OpenAiWhole, ToolChoice::Required, json!("required")),
        (Way::OpenAiWhole, of("now"), json!({ "type": "function", "function": { "name": "now" } })),
        (Way::AnthropicWhole, ToolChoice::None, json!({ "type": "none" })),
        (Way::AnthropicWhole, ToolChoice::Required, json!({ "type": "any", "disable_parallel_tool_use": false })),
        (Way::AnthropicWhole, of("now"), json!({ "type": "tool", "name": "now", "disable_parallel_tool_use": false })),
        (Way::ResponsesWhole, ToolChoice::None, json!("none")),
        (Way::ResponsesWhole, ToolChoice::Required, json!("required")),
        (Way::ResponsesWhole, of("now"), json!({ "type": "function", "name": "now" })),
    ] {
        let body = sent(way, ModelSettings::default().tool_choice(choice.clone())).await;
        assert_eq!(body["tool_choice"], expected, "{way:?} {choice:?}");
        assert_eq!(sent(way, ModelSettings::default().tool_choice(ToolChoice::Auto)).await.get("tool_choice"), None);
    }
    let error = refused(Way::OpenAiWhole, ModelSettings::default().tool_choice(of("exec"))).await;
    assert!(error.contains("must call tool `exec`, and has no such tool"), "{error}");
}

#[tokio::test]
async fn forced_call_is_forced_once_so_that_the_run_can_end() {
    for way in [Way::OpenAiWhole, Way::AnthropicWhole, Way::ResponsesWhole] {
        for choice in [ToolChoice::Required, ToolChoice::Tool("weather".to_owned())] {
            let server = Server::start(vec![
                way.answer("", &[("weather", "{}")], "tool_calls"),
                way.answer("done", &[], "stop"),
                way.answer("", &[("weather", "{}")], "tool_calls"),
                way.answer("done", &[], "stop"),
            ]);
            let weather =
                FunctionTool::new(ToolDefinition::new("weather", ""), |_| async { Ok(ToolOutput::text("rain")) });
            let settings = ModelSettings::default().tool_choice(choice);
            let agent = Agent::builder(way.model(&server)).tool(weather).settings(settings).build().unwrap();
            let first = agent.run("go").await.unwrap();
            agent.run("again").history(first.all_messages()).await.unwrap();
            let forced = server.seen().iter().map(|body| body.contains("\"tool_choice\"")).collect::<Vec<_>>();
            assert_eq!(forced, [true, false, true, false], "{way:?}");
        }
    }
}

const SECRET: &str = "gw-0123456789-abcdefghij";

#[tokio::test]
async fn headers_and_parameters_are_sent_with_every_request_and_may_replace_the_key() {
    let answer = || Way::OpenAiWhole.answer("hi", &[], "stop");
    let server = Server::start(vec![answer(), Way::OpenAiStreamed.answer("hi", &[], "stop")]);
    let model = OpenAi::builder("k").base_url(format!("{}?a=1", server.url)).header("X-Gateway", SECRET);
    let model = model.header("authorization", "Basic eA==").query("api-version", "2024-10-21").query("b", "x y&z");
    let model = model.build().unwrap();
    model.request(&go()).await.unwrap();
    model.request_streaming(&go(), &Deltas::unheard()).await.unwrap();
    for head in server.heads() {
        assert!(head.starts_with("POST /v1/chat/completions?a=1&api-version=2024-10-21&b=x+y%26z HTTP"), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains(&format!("x-gateway: {SECRET}")) && head.contains("authorization: basic ea=="), "{head}");
        assert!(!head.contains("bearer"), "{head}");
    }
    let server = Server::start(vec![Way::AnthropicWhole.answer("hi", &[], "end_turn")]);
    let model = Anthropic::builder("k").base_url(&server.url).header("anthropic-beta", "files-api-2025-04-14");
    model.build().unwrap().request(&go()).await.unwrap();
    assert!(server.heads()[0].contains("anthropic-beta: files-api-2025-04-14"), "{}", server.heads()[0]);
}

#[tokio::test]
async fn header_that_cannot_be_sent_or_is_the_clients_own_is_refused_before_a_request() {
    for (name, value, why) in [
        ("content-length", "3", "is the client's own"),
        ("Host", "example.com", "is the client's own"),
        ("Accept-Encoding", "gzip", "is the client's own"),
        ("no name", "x", "no header can have that name"),
        ("x-key", "secret\nvalue", "characters that no header can have"),
    ] {
        let error = OpenAi::builder("k").header(name, value).build().unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration, "{name}");
        assert!(error.to_string().contains(why) && !error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn value_of_a_header_or_a_parameter_is_in_no_debug_form_and_in_no_error() {
    let said = json!({ "error": { "message": format!("no {SECRET}, version 2024-10-21, {}", &SECRET[..14]) } });
    let builder = |url: &str| {
        let builder = OpenAi::builder("k").base_url(url).header("authorization", format!("Bearer {SECRET}"));
        builder.query("key", SECRET).query("api-version", "2024-10-21").retries(0)
    };
    let shown = format!("{:?}", builder("http://localhost"));
    assert!(!shown.contains(SECRET) && shown.contains("authorization") && shown.contains("api-version"), "{shown}");
    for status in [400, 401, 429, 503] {
        let server = Server::start(vec![Answer { status, ..json_of(&said) }]);
        let model = builder(&server.url).build().unwrap();
        let error = model.request(&go()).await.unwrap_err();
        let shown = format!("{error} {error:?} {model:?}");
        assert!(!shown.contains(&SECRET[..14]), "{shown}");
        assert!(status == 401 || shown.contains("no [key], version 2024-10-21, [key]"), "{shown}");
    }
}

#[tokio::test]
async fn client_of_a_user_sends_the_requests() {
    let server = Server::start(vec![Way::OpenAiWhole.answer("hi", &[], "stop")]);
    // Its own resolver knows the host.
    let port: u16 = server.url.rsplit(':').next().unwrap().trim_end_matches("/v1").parse().unwrap();
    let there = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let client = reqwest::Client::builder().no_proxy().user_agent("mine/1").resolve("model.internal", there);
    let client = client.tls_backend_preconfigured(tls()).build().unwrap();
    let model = OpenAi::builder("k").base_url(format!("http://model.internal:{port}/v1")).http_client(client);
    assert_eq!(model.build().unwrap().request(&go()).await.unwrap().output(), "hi");
    assert!(server.heads()[0].contains("user-agent: mine/1"), "{}", server.heads()[0]);
}

fn tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}
