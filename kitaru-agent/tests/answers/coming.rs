//! The forms and the timing in which answers arrive.

use super::*;

#[tokio::test]
async fn half_a_character_does_not_cost_the_answer_and_two_halves_are_joined() {
    let streamed = |pieces: [&str; 2]| {
        let pieces: String = pieces
            .iter()
            .map(|text| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"))
            .collect();
        sse(&format!("{pieces}data: {}\n\ndata: [DONE]\n\n", finish("stop")))
    };
    let response = ask(Way::OpenAiStreamed, streamed([r"a\ud83d", r"\ude00b"])).await.unwrap();
    assert_eq!(response.output(), "a\u{1F600}b");
    let response = ask(Way::OpenAiStreamed, streamed([r"a\ud83d", "b"])).await.unwrap();
    assert_eq!(response.output(), "a\u{FFFD}b");
    let whole = r#"{"choices":[{"message":{"content":"a\ud83d"},"finish_reason":"stop"}]}"#;
    assert_eq!(ask(Way::OpenAiWhole, Answer::json(whole.to_owned())).await.unwrap().output(), "a\u{FFFD}");
    let whole = r#"{"content":[{"type":"text","text":"a\ud83d"}],"stop_reason":"end_turn"}"#;
    assert_eq!(ask(Way::AnthropicWhole, Answer::json(whole.to_owned())).await.unwrap().output(), "a\u{FFFD}");
}

#[tokio::test]
async fn stream_with_a_stop_reason_and_a_clean_end_needs_no_end_mark() {
    let body = format!("data: {}\n\ndata: {}\n\n", piece(json!({ "content": "all of it" })), finish("stop"));
    assert_eq!(ask(Way::OpenAiStreamed, sse(&body)).await.unwrap().output(), "all of it");
    // The last two are not events, with any suffix.
    for torn in ["data: [DON", "data: {\"choices\":[{\"delta\":{\"content\":\"and", "dat", ": keep-al"] {
        let error = ask(Way::OpenAiStreamed, sse(&format!("{body}{torn}"))).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Interrupted, "{torn}: {error}");
    }
}

#[tokio::test]
async fn complete_last_event_needs_no_end_of_line() {
    for way in [Way::OpenAiStreamed, Way::AnthropicStreamed, Way::ResponsesStreamed] {
        let whole = way.answer("all of it", &[], "stop");
        let body = whole.body.trim_end();
        assert_eq!(ask(way, sse(body)).await.unwrap().output(), "all of it", "{way:?}");
        for cut in 1..12 {
            let error = ask(way, sse(&body[..body.len() - cut])).await.unwrap_err();
            assert_eq!(error.kind(), ModelErrorKind::Interrupted, "{way:?} without the last {cut}: {error}");
        }
    }
}

#[tokio::test]
async fn whole_answer_to_a_streamed_request_counts_with_any_status_of_success() {
    for way in [Way::OpenAiStreamed, Way::AnthropicStreamed, Way::ResponsesStreamed] {
        let whole = way.whole();
        let server = Server::start(vec![
            whole.answer("let me see", &[("weather", "{}")], "tool_calls"),
            way.answer("done", &[], "stop"),
        ]);
        let (ended, made) = run(way, &server).await;
        assert_eq!((ended.unwrap(), made.len()), ("done".to_owned(), 1), "{way:?}");
        let error = ask(way, whole.answer("half", &[], "length")).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Incomplete, "{way:?}");
    }
    for way in WAYS {
        let mut answer = way.answer("hi", &[], "stop");
        answer.status = 201;
        assert_eq!(ask(way, answer).await.unwrap().output(), "hi", "{way:?}");
    }
}

#[tokio::test]
async fn message_that_lacks_an_event_in_its_middle_is_not_an_answer() {
    let list = [
        vec![json!({ "type": "message_start", "message": {} })],
        block(0, json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": "let me see" })]),
        block(
            1,
            json!({ "type": "tool_use", "id": "c", "name": "weather", "input": {} }),
            &[
                json!({ "type": "input_json_delta", "partial_json": "{\"city\":" }),
                json!({ "type": "input_json_delta", "partial_json": "\"Rome\"}" }),
            ],
        ),
        over("tool_use").to_vec(),
    ]
    .concat();
    assert_eq!(calls(&ask(Way::AnthropicStreamed, events(&list)).await.unwrap()).len(), 1);
    for (nth, event) in list.iter().enumerate() {
        let mut rest = list.clone();
        rest.remove(nth);
        let answer = ask(Way::AnthropicStreamed, events(&rest)).await;
        // Nothing counts the text, and a message's start is not part of its content.
        let is_missed = event["type"] != "message_start" && event["delta"]["type"] != "text_delta";
        assert_eq!(answer.is_err(), is_missed, "{event}: {answer:?}");
    }
}

/// A request of a model with these timeouts.
async fn patiently(answer: Answer, timeout: Duration, stall: Duration) -> Result<ModelResponse, ModelError> {
    let server = Server::start(vec![answer]);
    let model = OpenAi::builder("k").base_url(&server.url).retries(0).timeout(timeout).stall_timeout(stall);
    request(Way::OpenAiStreamed, &model.build().unwrap(), &go()).await
}

const SOON: Duration = Duration::from_millis(100);

const LATE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn streamed_answer_has_the_whole_timeout_to_begin_after_comments_too() {
    let whole = Way::OpenAiStreamed.answer("hi", &[], "stop").body;
    let role = format!("data: {}\n\n", piece(json!({ "role": "assistant", "content": "" })));
    for before in ["", ": PROCESSING\n\n", &role] {
        let answer = || sse("").paused(&[before, &whole], 4 * SOON);
        assert_eq!(patiently(answer(), LATE, SOON).await.unwrap().output(), "hi", "{before:?}");
        let error = patiently(answer().held(), SOON, LATE).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::TimedOut, "{before:?}: {error}");
    }
}

#[tokio::test]
async fn answer_that_has_begun_may_pause_while_comments_arrive() {
    let begin = format!("data: {}\n\n", piece(json!({ "content": "h" })));
    let end = format!("data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", piece(json!({ "content": "i" })), finish("stop"));
    let (ping, pause) = (": PROCESSING\n\n", 3 * SOON);
    let alive = || sse("").paused(&[&begin, ping, ping, &end], pause);
    assert_eq!(patiently(alive(), LATE, 2 * pause).await.unwrap().output(), "hi");
    let error = patiently(alive(), LATE, SOON).await.unwrap_err();
    assert!(error.to_string().contains("sent nothing for 100ms"), "{error}");
    // Comments alone are not an answer, even if many arrive.
    let alive = sse("").paused(&[&begin, ping, ping, ping, ping, ping, ping, &end], SOON);
    let error = patiently(alive, 3 * SOON, LATE).await.unwrap_err();
    assert!(error.to_string().contains("sent nothing of its answer for 300ms"), "{error}");
}

#[tokio::test]
async fn retry_after_of_a_failed_server_is_obeyed() {
    for status in [408, 409, 425, 429, 500, 503, 529] {
        let refusal =
            || Answer { status, headers: "Retry-After: 3600\r\n".to_owned(), ..Answer::json("{}".to_owned()) };
        for way in WAYS {
            let server = Server::start(vec![refusal(), way.answer("hi", &[], "stop")]);
            let model = way.model_with_retries(&server, 3);
            let error = request(way, &*model, &go()).await.unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)), "{status} {way:?}: {error}");
            assert!(error.is_transient() && server.seen().len() == 1, "{status} {way:?}: {error}");
        }
        let patient = Answer { headers: "Retry-After: 0\r\n".to_owned(), ..refusal() };
        let server = Server::start(vec![patient, Way::OpenAiWhole.answer("hi", &[], "stop")]);
        let model = OpenAi::builder("k").base_url(&server.url).build().unwrap();
        assert_eq!(model.request(&go()).await.unwrap().output(), "hi", "{status}");
    }
}
