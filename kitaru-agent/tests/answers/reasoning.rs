//! How much a model reasons, and how long it may do so in silence.

use super::*;

async fn sent(model: &dyn Model, server: &Server, settings: ModelSettings) -> Value {
    let mut asked = go();
    asked.settings = settings;
    model.request(&asked).await.unwrap();
    serde_json::from_str(server.seen().last().unwrap()).unwrap()
}

#[tokio::test]
async fn effort_has_the_words_of_each_server() {
    let answers = || Server::start(vec![Way::OpenAiWhole.answer("hi", &[], "stop"); 9]);
    let kwargs = |thinks: bool, effort: &str| json!({ "enable_thinking": thinks, "reasoning_effort": effort });
    for (chat, effort, field, expected) in [
        (ChatServer::OpenAi, Effort::Minimal, "reasoning_effort", json!("minimal")),
        (ChatServer::Gemini, Effort::None, "reasoning_effort", json!("none")),
        (ChatServer::Azure, Effort::Max, "reasoning_effort", json!("xhigh")),
        (ChatServer::Ollama, Effort::High, "reasoning_effort", json!("high")),
        (ChatServer::OpenRouter, Effort::Low, "reasoning", json!({ "effort": "low" })),
        (ChatServer::DeepSeek, Effort::None, "thinking", json!({ "type": "disabled" })),
        (ChatServer::DeepSeek, Effort::Low, "thinking", json!({ "type": "enabled" })),
        (ChatServer::DeepSeek, Effort::Max, "reasoning_effort", json!("max")),
        (ChatServer::Mistral, Effort::Low, "reasoning_effort", json!("high")),
        (ChatServer::Mistral, Effort::None, "reasoning_effort", json!("none")),
        (ChatServer::LlamaCpp, Effort::Medium, "chat_template_kwargs", kwargs(true, "medium")),
        (ChatServer::Vllm, Effort::None, "chat_template_kwargs", kwargs(false, "low")),
        (ChatServer::Other, Effort::Low, "reasoning_effort", json!("low")),
    ] {
        let server = answers();
        let model = OpenAi::at(chat, "k").base_url(&server.url).model("m").build().unwrap();
        let body = sent(&model, &server, ModelSettings::default().effort(effort)).await;
        assert_eq!(body[field], expected, "{chat:?} {effort:?}");
    }
    let budget = ModelSettings::default().reasoning_tokens(2000).effort(Effort::Low);
    for (chat, expected) in [
        (ChatServer::OpenRouter, Some(json!({ "reasoning": { "max_tokens": 2000 } }))),
        (
            ChatServer::Gemini,
            Some(
                json!({ "extra_body": { "google": { "thinking_config": { "thinking_budget": 2000, "include_thoughts": true } } } }),
            ),
        ),
        (ChatServer::OpenAi, None),
        (ChatServer::Ollama, None),
    ] {
        let server = answers();
        let model = OpenAi::at(chat, "k").base_url(&server.url).model("m").build().unwrap();
        let Some(expected) = expected else {
            let mut asked = go();
            asked.settings = budget.clone();
            let error = model.request(&asked).await.unwrap_err();
            assert!(error.to_string().contains("has no `reasoning_tokens`; set an `effort` instead"), "{error}");
            continue;
        };
        let body = sent(&model, &server, budget.clone()).await;
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(body[field], *value, "{chat:?}");
        }
        assert_eq!(body.get("reasoning_effort"), None, "a bound replaces an effort: {chat:?}");
    }
}

#[tokio::test]
async fn claude_thinks_within_a_bound_or_adapts() {
    let none = ModelSettings::default;
    let bound = |tokens: u32| json!({ "type": "enabled", "budget_tokens": tokens });
    for (model, settings, thinking, effort, max_tokens) in [
        ("claude-sonnet-4-5", none(), Value::Null, Value::Null, 16_384),
        ("claude-sonnet-4-5", none().effort(Effort::Low), bound(2048), Value::Null, 16_384),
        ("claude-sonnet-4-5", none().effort(Effort::High), bound(16_384), Value::Null, 20_480),
        ("claude-sonnet-4-5", none().reasoning_tokens(5000).max_tokens(5001), bound(5000), Value::Null, 5001),
        ("claude-sonnet-4-5", none().effort(Effort::None), json!({ "type": "disabled" }), Value::Null, 16_384),
        ("claude-opus-4-7", none().effort(Effort::Max), json!({ "type": "adaptive" }), json!("max"), 16_384),
        ("claude-opus-4-7", none().effort(Effort::Minimal), json!({ "type": "adaptive" }), json!("low"), 16_384),
    ] {
        let server = Server::start(vec![Way::AnthropicWhole.answer("hi", &[], "end_turn")]);
        let asked = Anthropic::builder("k").base_url(&server.url).model(model).build().unwrap();
        let body = sent(&asked, &server, settings).await;
        let found = (&body["thinking"], &body["output_config"]["effort"], &body["max_tokens"]);
        assert_eq!(found, (&thinking, &effort, &json!(max_tokens)), "{model}");
    }
    for (model, settings, why) in [
        ("claude-sonnet-4-5", none().reasoning_tokens(1023), "1023 `reasoning_tokens` are too few; set 1024 or more"),
        ("claude-sonnet-4-5", none().reasoning_tokens(4000).max_tokens(4000), "leave nothing of `max_tokens`"),
        ("claude-opus-4-7", none().reasoning_tokens(4000), "has no `reasoning_tokens`"),
    ] {
        let asked = Anthropic::builder("k").base_url("http://localhost:1").model(model).build().unwrap();
        let mut request = go();
        request.settings = settings;
        let error = asked.request(&request).await.unwrap_err();
        assert!(error.kind() == ModelErrorKind::Configuration && error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn claude_that_thinks_is_not_forced_to_call_a_tool() {
    for (settings, expected) in [
        (ModelSettings::default(), json!({ "type": "any", "disable_parallel_tool_use": false })),
        (ModelSettings::default().effort(Effort::Low), Value::Null),
        (ModelSettings::default().effort(Effort::None), json!({ "type": "any", "disable_parallel_tool_use": false })),
    ] {
        let server = Server::start(vec![Way::AnthropicWhole.answer("hi", &[], "end_turn")]);
        let body =
            sent(&*Way::AnthropicWhole.model(&server), &server, settings.tool_choice(ToolChoice::Required)).await;
        assert_eq!(body["tool_choice"], expected);
    }
}

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_secs(30);

/// The result of a streamed request with these timeouts.
async fn patiently(way: Way, answer: Answer, timeout: Duration, stall: Duration) -> Result<ModelResponse, ModelError> {
    let server = Server::start(vec![answer]);
    let model: Arc<dyn Model> = if way == Way::AnthropicStreamed {
        Arc::new(
            Anthropic::builder("k")
                .base_url(&server.url)
                .retries(0)
                .timeout(timeout)
                .stall_timeout(stall)
                .build()
                .unwrap(),
        )
    } else {
        let builder = OpenAiResponses::builder("k").base_url(&server.url).retries(0);
        Arc::new(builder.timeout(timeout).stall_timeout(stall).build().unwrap())
    };
    request(way, &*model, &go()).await
}

/// The stream of an answer that says a word, thinks, and says another one: what precedes the silence of the thought, and the
/// rest.
fn thoughtful(way: Way) -> (String, String) {
    let body = |list: &[Value]| -> String { list.iter().map(|event| format!("data: {event}\n\n")).collect() };
    if way == Way::AnthropicStreamed {
        let text = |index: usize, text: &str| {
            block(index, json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": text })])
        };
        let signature = json!({ "type": "signature_delta", "signature": "s" });
        let mut thought = block(1, json!({ "type": "thinking", "thinking": "", "signature": "" }), &[signature]);
        let rest = thought.split_off(1);
        let before = [vec![json!({ "type": "message_start", "message": {} })], text(0, "hm, "), thought].concat();
        return (body(&before), body(&[rest, text(2, "yes"), over("end_turn").to_vec()].concat()));
    }
    let message = |text: &str| {
        let content = json!([{ "type": "output_text", "text": text }]);
        json!({ "type": "message", "id": text, "content": content })
    };
    let thought = json!({ "type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x" });
    let response = json!({ "status": "completed", "output": [message("hm, "), thought, message("yes")] });
    let list = items::stream_of(&response);
    let is_thought =
        |event: &Value| event["type"] == "response.output_item.added" && event["item"]["type"] == "reasoning";
    let begins = list.iter().position(is_thought).unwrap() + 1;
    (body(&list[..begins]), body(&list[begins..]))
}

#[tokio::test]
async fn model_that_thinks_in_silence_is_waited_for_within_the_timeout() {
    for way in [Way::AnthropicStreamed, Way::ResponsesStreamed] {
        let (before, rest) = thoughtful(way);
        let silent = || sse("").paused(&[&before, &rest], 4 * SOON);
        assert_eq!(patiently(way, silent(), LATE, SOON).await.unwrap().output(), "hm, yes", "{way:?}");
        let error = patiently(way, silent(), SOON, LATE).await.unwrap_err();
        assert!(error.to_string().contains("sent nothing of its answer for 100ms"), "{way:?}: {error}");
        // A thought that is over is not an excuse.
        let pause = rest.find("\n\n").unwrap() + 2;
        let (thought, answer) = rest.split_at(if way == Way::AnthropicStreamed {
            pause + rest[pause..].find("\n\n").unwrap() + 2
        } else {
            pause
        });
        let begun = format!("{before}{thought}");
        let error = patiently(way, sse("").paused(&[&begun, answer], 4 * SOON), LATE, SOON).await.unwrap_err();
        assert!(error.to_string().contains("sent nothing for 100ms"), "{way:?}: {error}");
    }
}

#[tokio::test]
async fn pings_of_a_model_that_thinks_are_signs_of_life() {
    let (before, rest) = thoughtful(Way::AnthropicStreamed);
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let pieces = [&*before, ping, ping, ping, ping, ping, &rest];
    // Six times half the timeout.
    let answer = sse("").paused(&pieces, 2 * SOON);
    assert_eq!(patiently(Way::AnthropicStreamed, answer, 4 * SOON, SOON).await.unwrap().output(), "hm, yes");
}
