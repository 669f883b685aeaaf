//! Servers of chat completions, each with what it has of its own. The exchanges are made by hand from the documentation of
//! each provider: no provider was asked.

use super::*;

fn model(chat: ChatServer, server: &Server) -> OpenAi {
    OpenAi::at(chat, "k").base_url(&server.url).model("m").retries(0).build().unwrap()
}

async fn heard(chat: ChatServer, answer: Answer) -> (Result<ModelResponse, ModelError>, String) {
    let server = Server::start(vec![answer]);
    let text = Arc::new(Mutex::new(String::new()));
    let noted = text.clone();
    let deltas = Deltas::new(move |delta| {
        if let Delta::Text(text) = delta {
            noted.lock().unwrap().push_str(&text);
        }
        Box::pin(std::future::ready(()))
    });
    let response = model(chat, &server).request_streaming(&go(), &deltas).await;
    let text = text.lock().unwrap().clone();
    (response, text)
}

/// The body of a request with many settings, as `chat` gets it.
async fn sent(chat: ChatServer, request: &ModelRequest) -> Value {
    let server = Server::start(vec![Way::OpenAiStreamed.answer("hi", &[], "stop")]);
    model(chat, &server).request_streaming(request, &Deltas::unheard()).await.unwrap();
    serde_json::from_str(&server.seen()[0]).unwrap()
}

#[tokio::test]
async fn server_is_asked_only_for_what_it_has() {
    let mut request = go();
    let settings =
        ModelSettings::default().max_tokens(9).seed(7).parallel_tool_calls(false).service_tier("flex").top_k(5);
    request.settings = settings.presence_penalty(0.5);
    let usual = ["max_tokens", "seed", "parallel_tool_calls", "service_tier", "presence_penalty", "stream_options"];
    for (chat, without, with) in [
        (ChatServer::Other, vec![], vec![]),
        (ChatServer::OpenAi, vec!["max_tokens"], vec!["max_completion_tokens"]),
        (ChatServer::Azure, vec!["max_tokens"], vec!["max_completion_tokens"]),
        (ChatServer::Bedrock, vec!["max_tokens"], vec!["max_completion_tokens"]),
        (ChatServer::DeepSeek, vec!["seed", "parallel_tool_calls", "service_tier"], vec![]),
        (ChatServer::Gemini, vec!["seed", "parallel_tool_calls", "service_tier", "presence_penalty"], vec![]),
        (ChatServer::LlamaCpp, vec!["service_tier"], vec!["top_k"]),
        (ChatServer::Vllm, vec!["service_tier"], vec!["top_k"]),
        (ChatServer::Mistral, vec!["seed", "service_tier", "stream_options"], vec!["random_seed"]),
        (ChatServer::Ollama, vec!["parallel_tool_calls", "service_tier"], vec![]),
        (ChatServer::OpenRouter, vec![], vec!["top_k"]),
    ] {
        let body = sent(chat, &request).await;
        let mut expected: Vec<&str> = usual.iter().copied().filter(|name| !without.contains(name)).collect();
        expected.extend(["model", "messages", "tools", "stream"]);
        expected.extend(with);
        expected.sort_unstable();
        let mut found: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{chat:?}");
    }
}

#[tokio::test]
async fn azure_is_asked_at_its_deployment_with_its_version_and_header() {
    let server = Server::start(vec![Way::OpenAiWhole.answer("hi", &[], "stop")]);
    let endpoint = server.url.trim_end_matches("/v1").to_owned() + "/";
    let model = OpenAi::azure("azure-key", &endpoint, "my-gpt", "2024-10-21").build().unwrap();
    assert_eq!(model.name(), "my-gpt");
    model.request(&go()).await.unwrap();
    let head = &server.heads()[0];
    let path = "POST /openai/deployments/my-gpt/chat/completions?api-version=2024-10-21 HTTP";
    assert!(head.starts_with(path) && head.contains("api-key: azure-key") && !head.contains("Bearer"), "{head}");
}

#[tokio::test]
async fn azure_filters_around_an_answer_are_not_a_part_of_it() {
    let filters = json!({ "hate": { "filtered": false, "severity": "safe" } });
    let list = [
        json!({ "choices": [], "prompt_filter_results": [{ "prompt_index": 0, "content_filter_results": filters }] }),
        json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" }, "content_filter_results": {} }] }),
        json!({ "choices": [{ "index": 0, "delta": { "content": "hi" }, "content_filter_results": filters }] }),
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop", "content_filter_results": {} }] }),
        json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 1 } }),
    ];
    let (response, text) = heard(ChatServer::Azure, chunks(&list)).await;
    let response = response.unwrap();
    assert_eq!((text.as_str(), response.parts.len(), response.tokens), ("hi", 1, Tokens::new(3, 1)));
    let refusal = json!({ "error": { "code": "content_filter", "message": "the prompt was filtered", "status": 400 } });
    let error = heard(ChatServer::Azure, Answer { status: 400, ..json_of(&refusal) }).await.0.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Refused, "{error}");
    let busy = json!({ "error": { "code": "429", "message": "busy" } });
    let headers = "retry-after-ms: 1500\r\nRetry-After: 2\r\n".to_owned();
    let error = heard(ChatServer::Azure, Answer { status: 429, headers, ..json_of(&busy) }).await.0.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
}

#[tokio::test]
async fn bedrock_reasoning_between_tags_is_not_a_part_of_the_answer() {
    let text = "<reasoning>2 < 3, so yes.</reasoning>Yes.";
    let check = |response: ModelResponse| {
        assert_eq!((response.output().as_str(), response.reasoning().as_str()), ("Yes.", "2 < 3, so yes."));
    };
    for size in [1, 3, 8, 100] {
        let pieces: Vec<_> = text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let mut list: Vec<_> = pieces.iter().map(|text| piece(json!({ "content": text }))).collect();
        list.push(finish("stop"));
        let (response, heard) = heard(ChatServer::Bedrock, chunks(&list)).await;
        assert_eq!(heard, "Yes.", "{size}");
        check(response.unwrap());
    }
    let server =
        Server::start(vec![Way::OpenAiWhole.answer(text, &[], "stop"), Way::OpenAiWhole.answer("ok", &[], "stop")]);
    let model = model(ChatServer::Bedrock, &server);
    let response = model.request(&go()).await.unwrap();
    check(response.clone());
    let mut next = go();
    next.messages.extend([Message::Response(response), Message::Request(RequestMessage::user("sure?"))]);
    model.request(&next).await.unwrap();
    assert!(!server.seen()[1].contains("2 < 3") && server.seen()[1].contains("Yes."), "{}", server.seen()[1]);
    // Any other server's text is text.
    let (response, _) = heard(ChatServer::Other, chunks(&[piece(json!({ "content": text })), finish("stop")])).await;
    assert_eq!(response.unwrap().output(), text);
    // A text that could have begun a tag is said at its end.
    let (response, said) =
        heard(ChatServer::Bedrock, chunks(&[piece(json!({ "content": "<" })), finish("stop")])).await;
    assert_eq!((response.unwrap().output().as_str(), said.as_str()), ("<", "<"));
}

#[tokio::test]
async fn bedrock_region_is_in_its_address() {
    let model = OpenAi::bedrock("k", "eu-west-1").model("openai.gpt-oss-120b-1:0").build().unwrap();
    assert!(format!("{model:?}").contains("bedrock-runtime.eu-west-1.amazonaws.com"), "{model:?}");
    let error = OpenAi::bedrock("k", "eu-west-1").build().unwrap_err();
    assert!(error.to_string().contains("call `.model()`"), "{error}");
}

#[tokio::test]
async fn deepseek_reasoning_goes_back_with_calls_even_if_it_is_empty() {
    let call = json!([{ "index": 0, "id": "c", "function": { "name": "weather", "arguments": "{}" } }]);
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5 });
    for (reasoning, expected) in [(json!("hm"), "hm"), (json!(""), ""), (Value::Null, "")] {
        let said = json!({ "content": "", "reasoning_content": reasoning, "tool_calls": call });
        let whole = json!({ "choices": [{ "message": said, "finish_reason": "tool_calls" }], "usage": usage });
        // Empty lines keep the connection open.
        let first = Answer::json(format!("\n\n\n{whole}"));
        let server = Server::start(vec![first, Way::OpenAiWhole.answer("done", &[], "stop")]);
        let weather = FunctionTool::new(ToolDefinition::new("weather", ""), |_| async { Ok(ToolOutput::text("rain")) });
        let agent = Agent::builder(model(ChatServer::DeepSeek, &server)).tool(weather).build().unwrap();
        let result = agent.run("go").await.unwrap();
        assert_eq!(result.usage.tokens.cached_input, 4);
        let sent: Value = serde_json::from_str(&server.seen()[1]).unwrap();
        assert_eq!(sent["messages"][1]["reasoning_content"], expected, "{sent}");
    }
    let comments = format!(
        ": keep-alive\n\n: keep-alive\n\n{}",
        chunks(&[piece(json!({ "content": "hi" })), finish("stop")]).body
    );
    assert_eq!(heard(ChatServer::DeepSeek, sse(&comments)).await.1, "hi");
    let broke = json!({ "error": { "message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error" } });
    let error = heard(ChatServer::DeepSeek, Answer { status: 402, ..json_of(&broke) }).await.0.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ModelErrorKind::OutOfQuota, false), "{error}");
    let failed = chunks(&[piece(json!({ "content": "h" })), finish("insufficient_system_resource")]);
    assert!(heard(ChatServer::DeepSeek, failed).await.0.unwrap_err().is_transient());
}

#[tokio::test]
async fn deepseek_is_not_asked_to_enforce_a_schema() {
    let profile = |chat| OpenAi::at(chat, "k").base_url("http://localhost").model("m").build().unwrap().profile();
    assert!(!profile(ChatServer::DeepSeek).json_schema && profile(ChatServer::DeepSeek).tools);
    assert!(profile(ChatServer::Other).json_schema);
}

#[tokio::test]
async fn gemini_errors_are_lists_and_say_when_to_ask_again() {
    let details = json!([
        { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [] },
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s" },
    ]);
    let busy = json!([{ "error": { "code": 429, "message": "out of tokens", "status": "RESOURCE_EXHAUSTED", "details": details } }]);
    let error = heard(ChatServer::Gemini, Answer { status: 429, ..json_of(&busy) }).await.0.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ModelErrorKind::RateLimited, Some(Duration::from_millis(34_500))));
    assert!(error.to_string().ends_with("out of tokens"), "{error}");
}

#[tokio::test]
async fn gemini_calls_without_ids_keep_their_signatures() {
    let call = |name: &str, signature: &str| json!({ "index": 0, "id": "", "type": "function", "function": { "name": name, "arguments": "{}" }, "extra_content": { "google": { "thought_signature": signature } } });
    let list = [
        piece(json!({ "role": "assistant", "tool_calls": [call("weather", "one")] })),
        piece(json!({ "role": "assistant", "tool_calls": [call("now", "two")] })),
        finish("stop"),
    ];
    let response = heard(ChatServer::Gemini, chunks(&list)).await.0.unwrap();
    assert_eq!(calls(&response), [("weather", "{}"), ("now", "{}")]);
    let mut next = go();
    next.messages.push(Message::Response(response));
    let body = sent(ChatServer::Gemini, &next).await;
    let signature =
        |nth: usize| body["messages"][1]["tool_calls"][nth]["extra_content"]["google"]["thought_signature"].clone();
    assert_eq!((signature(0), signature(1)), (json!("one"), json!("two")));
}

#[tokio::test]
async fn llama_cpp_that_loads_its_model_is_asked_again() {
    let loading = json!({ "error": { "code": 503, "message": "Loading model", "type": "unavailable_error" } });
    let server =
        Server::start(vec![Answer { status: 503, ..json_of(&loading) }, Way::OpenAiWhole.answer("hi", &[], "stop")]);
    let model = OpenAi::at(ChatServer::LlamaCpp, "").base_url(&server.url).model("m").retries(1).build().unwrap();
    assert_eq!(model.request(&go()).await.unwrap().output(), "hi");
    assert!(!server.heads()[0].to_ascii_lowercase().contains("authorization"), "without a key no header has one");
    let list = [
        json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": null } }] }),
        piece(json!({ "reasoning_content": "hm" })),
        piece(json!({ "content": "hi" })),
        finish("stop"),
        json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2 }, "timings": { "predicted_n": 2 } }),
    ];
    let response = heard(ChatServer::LlamaCpp, chunks(&list)).await.0.unwrap();
    assert_eq!((response.output().as_str(), response.reasoning().as_str()), ("hi", "hm"));
}

#[tokio::test]
async fn mistral_thoughts_in_pieces_are_one_thought_that_goes_back() {
    let thought =
        |text: &str| json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": text }] }] });
    let list = [
        piece(json!({ "role": "assistant", "content": "" })),
        piece(thought("It ")),
        piece(thought("rains.")),
        piece(json!({ "content": [{ "type": "text", "text": "Take a " }] })),
        piece(json!({ "content": "coat." })),
        json!({
            "choices": [{ "index": 0, "delta": { "content": "" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 9 },
        }),
    ];
    let (response, said) = heard(ChatServer::Mistral, chunks(&list)).await;
    let response = response.unwrap();
    assert_eq!((said.as_str(), response.reasoning().as_str()), ("Take a coat.", "It rains."));
    assert_eq!((response.parts.len(), response.tokens), (2, Tokens::new(3, 9)));
    let mut next = go();
    next.messages.push(Message::Response(response));
    let body = sent(ChatServer::Mistral, &next).await;
    let content = &body["messages"][1]["content"];
    assert_eq!(content[0], thought("It rains.")["content"][0], "{content}");
    assert_eq!(content[1], json!({ "type": "text", "text": "Take a coat." }));
}

#[tokio::test]
async fn mistral_gets_short_ids_and_a_word_between_outputs_and_a_prompt() {
    let mut request = go();
    let known = "D681PevKs";
    request.messages.extend([
        Message::Response(ModelResponse::new(vec![
            ResponsePart::ToolCall(ToolCall::new("call_0123456789", "weather", "{}")),
            ResponsePart::ToolCall(ToolCall::new(known, "now", "{}")),
        ])),
        Message::Request(RequestMessage::new(vec![
            RequestPart::ToolReturn(ToolReturn::new(CallRef::new("call_0123456789", "weather"), "rain")),
            RequestPart::ToolReturn(ToolReturn::new(CallRef::new(known, "now"), "noon")),
        ])),
        Message::Request(RequestMessage::user("and now?")),
    ]);
    let body = sent(ChatServer::Mistral, &request).await;
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "assistant", "user"]);
    let ids: Vec<_> = messages[1]["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].clone()).collect();
    assert_eq!((&messages[2]["tool_call_id"], &messages[3]["tool_call_id"]), (&ids[0], &ids[1]));
    let id = ids[0].as_str().unwrap();
    assert!(id.len() == 9 && id.chars().all(|char| char.is_ascii_alphanumeric()) && ids[1] == known, "{ids:?}");
    let usual = sent(ChatServer::Other, &request).await;
    assert_eq!(usual["messages"].as_array().unwrap().len(), 5);
    let refused = json!({ "object": "error", "message": "Unexpected role", "type": "invalid_request_message_order", "code": "3230" });
    let error = heard(ChatServer::Mistral, Answer { status: 400, ..json_of(&refused) }).await.0.unwrap_err();
    assert!(error.to_string().ends_with("(status 400): Unexpected role"), "{error}");
}

#[tokio::test]
async fn ollama_answers_calls_with_a_stop_and_reasons_in_its_own_field() {
    let call = json!([{ "index": 0, "id": "call_x", "type": "function", "function": { "name": "weather", "arguments": "{}" } }]);
    let list = [
        piece(json!({ "role": "assistant", "content": "", "reasoning": "h" })),
        piece(json!({ "role": "assistant", "content": "", "reasoning": "m" })),
        piece(json!({ "role": "assistant", "content": "", "tool_calls": call })),
        finish("stop"),
    ];
    let response = heard(ChatServer::Ollama, chunks(&list)).await.0.unwrap();
    assert_eq!((calls(&response), response.reasoning().as_str()), (vec![("weather", "{}")], "hm"));
}

#[tokio::test]
async fn openrouter_reports_costs_and_errors_in_the_middle() {
    let list = [
        piece(json!({ "role": "assistant", "content": "hi" })),
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "stop" }] }),
        json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 1, "cost": 0.0125, "is_byok": false } }),
    ];
    let body = format!(": OPENROUTER PROCESSING\n\n{}", chunks(&list).body);
    let response = heard(ChatServer::OpenRouter, sse(&body)).await.0.unwrap();
    assert_eq!(response.cost, Some(Cost::of(0.0125)));
    assert_eq!(heard(ChatServer::Other, sse(&body)).await.0.unwrap().cost, None);
    let broke = json!({ "id": "x", "error": { "code": 502, "message": "Provider disconnected" }, "choices": [{ "index": 0, "delta": { "content": "" }, "finish_reason": "error" }] });
    let error = heard(ChatServer::OpenRouter, chunks(&[piece(json!({ "content": "h" })), broke])).await.0.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn vllm_errors_without_an_object_around_them_are_read() {
    let refused = json!({ "object": "error", "message": "the prompt is too long", "type": "BadRequestError", "param": null, "code": 400 });
    let error = heard(ChatServer::Vllm, Answer { status: 400, ..json_of(&refused) }).await.0.unwrap_err();
    assert!(error.to_string().ends_with("(status 400): the prompt is too long"), "{error}");
}

#[tokio::test]
async fn server_at_a_known_host_needs_no_name() {
    for url in ["https://api.mistral.ai/v1", "https://openrouter.ai/api/v1", "http://localhost:8000/v1"] {
        let model = OpenAi::builder("k").base_url(url).model("m").build().unwrap();
        assert!(model.profile().json_schema, "{url}");
    }
    let deepseek = OpenAi::builder("k").base_url("https://api.deepseek.com").model("m").build().unwrap();
    assert!(!deepseek.profile().json_schema);
    let behind = OpenAi::builder("k").base_url("https://gateway.example").server(ChatServer::DeepSeek).build().unwrap();
    assert!(!behind.profile().json_schema);
}
