//! Answers of the Responses API. The exchange is made by hand from OpenAI's documentation.

use super::*;
use items::{body_of, stream_of, streamed};

/// A response of a model that reasons, comments on what it does, and calls two tools.
fn recorded() -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "error": null,
        "incomplete_details": null, "model": "gpt-5-2026-08-07", "store": false,
        "output": [
            {
                "id": "rs_1", "type": "reasoning", "encrypted_content": "gAAAA+/=",
                "summary": [{ "type": "summary_text", "text": "The sea is wide." }],
            },
            {
                "id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "commentary",
                "content": [{ "type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": [] }],
            },
            {
                "id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "weather",
                "arguments": "{\"city\":\"Brest\"}",
            },
            { "id": "ws_1", "type": "web_search_call", "status": "completed", "action": { "type": "search", "query": "tide" } },
            {
                "id": "fc_2", "type": "function_call", "status": "completed", "call_id": "call_2", "name": "now",
                "arguments": "{}",
            },
        ],
        "usage": {
            "input_tokens": 90, "input_tokens_details": { "cached_tokens": 64 }, "output_tokens": 30,
            "output_tokens_details": { "reasoning_tokens": 20 }, "total_tokens": 120,
        },
    })
}

fn expected() -> ModelResponse {
    let recorded = recorded();
    let part = |nth: usize| Opaque::new("openai_responses", Place::Part, recorded["output"][nth].to_string());
    let phase = Opaque::new("openai_responses", Place::Text("phase".to_owned()), r#""commentary""#);
    let mut expected = ModelResponse::new(vec![
        ResponsePart::Reasoning(part(0)),
        ResponsePart::Text(Text::new("Let me see.")),
        ResponsePart::Opaque(phase),
        ResponsePart::ToolCall(ToolCall::new("call_1", "weather", r#"{"city":"Brest"}"#)),
        ResponsePart::Opaque(part(3)),
        ResponsePart::ToolCall(ToolCall::new("call_2", "now", "{}")),
    ]);
    expected.model = Some("gpt-5-2026-08-07".to_owned());
    expected.stop = Some(Stop::ToolCalls);
    expected.tokens = Tokens::new(90, 30);
    expected.tokens.cached_input = 64;
    expected
}

/// The result of a streamed request, and the pieces that arrived.
async fn listen(answer: Answer) -> (Result<ModelResponse, ModelError>, Vec<Delta>) {
    let server = Server::start(vec![answer]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = heard.clone();
    let deltas = Deltas::new(move |delta| {
        noted.lock().unwrap().push(delta);
        Box::pin(std::future::ready(()))
    });
    let response = Way::ResponsesStreamed.model(&server).request_streaming(&go(), &deltas).await;
    let heard = heard.lock().unwrap().clone();
    (response, heard)
}

fn said(heard: &[Delta]) -> String {
    heard.iter().map(|delta| if let Delta::Text(text) = delta { text.as_str() } else { "" }).collect()
}

#[tokio::test]
async fn response_is_read_whole_and_from_its_stream_alike() {
    let response = ask(Way::ResponsesWhole, json_of(&recorded())).await.unwrap();
    assert_eq!(response, expected());
    assert_eq!(response.reasoning(), "The sea is wide.");
    let (response, heard) = listen(streamed(&recorded())).await;
    assert_eq!(response.unwrap(), expected());
    let calls: Vec<_> = expected().tool_calls().cloned().map(Delta::ToolCall).collect();
    assert_eq!((said(&heard).as_str(), &heard[heard.len() - 2..]), ("Let me see.", &calls[..]));
}

#[tokio::test]
async fn response_goes_back_as_its_items_and_its_reasoning_byte_for_byte() {
    let reasoning = r#"{"type":"reasoning", "id":"rs_1","summary":[],"encrypted_content":"gAAA\u00e9+/=","n":1.0e2}"#;
    let message = r#"{"type":"message","phase":"commentary","content":[{"type":"output_text","text":"let me see"}]}"#;
    let call =
        r#"{"type":"function_call","id":"fc_1","call_id":"c","name":"weather","arguments":"{}","namespace":"n"}"#;
    let whole = format!(r#"{{"status":"completed","output":[{reasoning},{message},{call}]}}"#);
    let events = format!("data: {{\"type\":\"response.completed\",\"response\":{whole}}}\n\n");
    for (way, answer) in [(Way::ResponsesWhole, Answer::json(whole)), (Way::ResponsesStreamed, sse(&events))] {
        let server = Server::start(vec![answer, way.answer("done", &[], "stop")]);
        let (ended, made) = run(way, &server).await;
        assert_eq!((ended.unwrap(), made.len()), ("done".to_owned(), 1), "{way:?}");
        let sent = server.seen().remove(1);
        assert!(sent.contains(reasoning), "{sent}");
        let items: Value = serde_json::from_str(&sent).unwrap();
        let text = json!([{ "type": "output_text", "text": "let me see" }]);
        let expected = json!([
            { "role": "user", "content": "go" },
            serde_json::from_str::<Value>(reasoning).unwrap(),
            { "type": "message", "role": "assistant", "content": text, "phase": "commentary" },
            { "type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}", "namespace": "n" },
            { "type": "function_call_output", "call_id": "c", "output": "rain" },
        ]);
        assert_eq!(items["input"], expected, "{way:?}");
        assert_eq!((&items["store"], &items["include"][0]), (&json!(false), &json!("reasoning.encrypted_content")));
    }
}

#[tokio::test]
async fn streamed_response_that_is_cut_anywhere_is_not_an_answer() {
    let body = body_of(&stream_of(&recorded()));
    let last = body.trim_end().len();
    for cut in (0..body.len()).step_by(11).chain(last - 40..last) {
        let error = listen(sse(&body[..cut])).await.0.unwrap_err();
        assert!(error.is_transient(), "{cut}: {error}");
    }
    assert!(listen(sse(&body[..last])).await.0.is_ok());
}

#[tokio::test]
async fn streamed_response_is_the_same_in_pieces_of_any_size() {
    let body = body_of(&stream_of(&recorded()));
    for size in [1, 2, 7, 300] {
        let bytes: Vec<_> = body.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let (response, heard) = listen(sse("").paused(&bytes, Duration::ZERO)).await;
        assert_eq!((response.unwrap(), said(&heard).as_str()), (expected(), "Let me see."), "{size}");
    }
}

#[tokio::test]
async fn streamed_response_without_one_of_its_events_is_whole_or_not_an_answer() {
    let list = stream_of(&recorded());
    for nth in 0..list.len() {
        let mut rest = list.clone();
        let event = rest.remove(nth);
        let (response, heard) = listen(sse(&body_of(&rest))).await;
        match response {
            // The last event has the whole answer: listeners have received all of it.
            Ok(response) => {
                let calls = heard.iter().filter(|delta| matches!(delta, Delta::ToolCall(_))).count();
                assert_eq!((response, said(&heard).as_str(), calls), (expected(), "Let me see.", 2), "{event}");
            }
            Err(error) => assert!(error.is_transient(), "{event}: {error}"),
        }
        let is_last = nth == list.len() - 1;
        assert!(!is_last || listen(sse(&body_of(&rest))).await.0.is_err());
    }
    // A server whose last event has no items sends them before.
    let mut bare = list.clone();
    bare.last_mut().unwrap()["response"]["output"] = json!([]);
    assert_eq!(listen(sse(&body_of(&bare))).await.0.unwrap(), expected());
}

#[tokio::test]
async fn failed_response_and_an_error_between_its_events_have_the_kind_that_they_name() {
    use ModelErrorKind::{RateLimited, Rejected, Unavailable};
    for (code, kind) in
        [("server_error", Unavailable), ("rate_limit_exceeded", RateLimited), ("invalid_prompt", Rejected)]
    {
        let error = json!({ "code": code, "message": "no" });
        let mut failed = recorded();
        failed["status"] = json!("failed");
        failed["error"] = error.clone();
        failed["output"] = json!([]);
        assert_eq!(listen(streamed(&failed)).await.0.unwrap_err().kind(), kind, "{code}");
        let bare = json!({ "type": "error", "code": code, "message": "no", "param": null, "sequence_number": 3 });
        let events = [stream_of(&recorded())[..3].to_vec(), vec![bare]].concat();
        let found = listen(sse(&body_of(&events))).await.0.unwrap_err();
        assert_eq!(found.kind(), kind, "{code}: {found}");
    }
}

#[tokio::test]
async fn refusal_in_a_response_is_not_an_answer() {
    let refusal = json!([{ "type": "refusal", "refusal": "I would rather not" }]);
    let refused = json!({ "status": "completed", "output": [{ "type": "message", "id": "m", "content": refusal }] });
    for (way, answer) in [(Way::ResponsesWhole, json_of(&refused)), (Way::ResponsesStreamed, streamed(&refused))] {
        let error = ask(way, answer).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Refused, "{way:?}: {error}");
        assert!(error.to_string().contains("rather not"), "{error}");
    }
}

#[tokio::test]
async fn response_is_asked_for_in_the_words_of_its_api() {
    let server = Server::start(vec![Way::ResponsesWhole.answer("hi", &[], "stop")]);
    let mut asked = go();
    asked.instructions = Some("Be brief.".to_owned());
    asked.answer = kitaru_agent::AnswerForm::Schema { name: "answer".to_owned(), schema: json!({ "type": "object" }) };
    asked.settings = ModelSettings::default().max_tokens(9).effort(Effort::Low).service_tier("flex");
    asked.settings =
        asked.settings.tool_choice(ToolChoice::Tool("now".to_owned())).body("metadata", json!({ "a": "b" }));
    Way::ResponsesWhole.model(&server).request(&asked).await.unwrap();
    let sent: Value = serde_json::from_str(&server.seen()[0]).unwrap();
    assert!(server.heads()[0].starts_with("POST /v1/responses "), "{}", server.heads()[0]);
    let tool = |name: &str| {
        let parameters = json!({ "type": "object", "properties": {} });
        json!({ "type": "function", "name": name, "description": "", "parameters": parameters, "strict": false })
    };
    let format = json!({ "type": "json_schema", "name": "answer", "schema": { "type": "object" }, "strict": false });
    let expected = json!({
        "model": "gpt-5-mini",
        "instructions": "Be brief.",
        "input": [{ "role": "user", "content": "go" }],
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "tools": [tool("weather"), tool("now")],
        "tool_choice": { "type": "function", "name": "now" },
        "text": { "format": format },
        "max_output_tokens": 9,
        "reasoning": { "effort": "low" },
        "service_tier": "flex",
        "metadata": { "a": "b" },
    });
    assert_eq!(sent, expected);
}
