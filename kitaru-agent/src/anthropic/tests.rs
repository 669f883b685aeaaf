//! The model against a canned server.

use serde_json::{Value, json};

use super::*;
use crate::delta::Delta;
use crate::error::ModelErrorKind;
use crate::http::canned::{KEY, Server, http, serve};
use crate::message::{
    CallRef, Message, Opaque, Place, RequestMessage, RequestPart, ResponsePart, RetryPrompt, Stop, SystemPrompt, Text,
    ToolCall, ToolReturn, UserPrompt,
};
use crate::model::{AnswerForm, ModelSettings};
use crate::tokens::Tokens;
use crate::tool::ToolDefinition;

fn model(server: &Server) -> Anthropic {
    Anthropic::builder(KEY).base_url(&server.url).model("claude-x").retries(0).build().unwrap()
}

fn hello() -> ModelRequest {
    ModelRequest::new(vec![Message::Request(RequestMessage::user("hello"))])
}

fn answer() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x-2026",
        "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "text", "text": "let me see" },
            { "type": "tool_use", "id": "c1", "name": "exec", "input": { "a": 1 } },
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": { "input_tokens": 5, "output_tokens": 4, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 1 },
    })
}

fn expected() -> ModelResponse {
    // The order of its keys depends on the features of the whole build.
    let thought = json!({ "type": "thinking", "thinking": "hm", "signature": "s" }).to_string();
    let mut expected = ModelResponse::new(vec![
        ResponsePart::Reasoning(Opaque::new("anthropic", Place::Part, thought)),
        ResponsePart::Text(Text::new("let me see")),
        ResponsePart::ToolCall(ToolCall::new("c1", "exec", r#"{"a":1}"#)),
    ]);
    expected.model = Some("claude-x-2026".to_owned());
    expected.stop = Some(Stop::ToolCalls);
    expected.tokens = Tokens { input: 9, output: 4, cached_input: 3 };
    expected
}

#[tokio::test]
async fn a_whole_conversation_is_sent_in_the_words_of_the_api_and_its_answer_is_read() {
    let server = serve(vec![http(200, "", &answer().to_string())]);
    let mut request = ModelRequest::new(vec![
        Message::Request(RequestMessage::new(vec![
            RequestPart::SystemPrompt(SystemPrompt::new("Be kind.")),
            RequestPart::UserPrompt(UserPrompt::new("go")),
        ])),
        Message::Response(ModelResponse::new(vec![
            ResponsePart::Text(Text::new(" ")),
            ResponsePart::ToolCall(ToolCall::new("c1", "exec", r#"{"a":1}"#)),
            ResponsePart::ToolCall(ToolCall::new("c2", "exec", "{")),
        ])),
        Message::Request(RequestMessage::new(vec![
            RequestPart::ToolReturn(ToolReturn::new(CallRef::new("c1", "exec"), "out")),
            RequestPart::RetryPrompt(RetryPrompt::call(CallRef::new("c2", "exec"), "no JSON")),
        ])),
        Message::Request(RequestMessage::user("and now?")),
    ]);
    request.instructions = Some("Be brief.".into());
    request.tools = vec![ToolDefinition::new("exec", "Runs it.")];
    request.settings = ModelSettings::default().temperature(0.0).max_tokens(7).parallel_tool_calls(false);
    request.answer = AnswerForm::Tool;
    assert_eq!(model(&server).request(&request).await.unwrap(), expected());

    let (head, body) = server.seen().remove(0);
    let head = head.to_lowercase();
    assert!(head.starts_with("post /v1/messages http/1.1"), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}")) && head.contains("anthropic-version: 2023-06-01"), "{head}");
    let call = |id: &str, input: Value| json!({ "type": "tool_use", "id": id, "name": "exec", "input": input });
    let user = [
        json!({ "type": "tool_result", "tool_use_id": "c1", "content": "out" }),
        json!({ "type": "tool_result", "tool_use_id": "c2", "content": "no JSON", "is_error": true }),
        json!({ "type": "text", "text": "and now?" }),
    ];
    let expected = json!({
        "model": "claude-x",
        "max_tokens": 7,
        "system": "Be brief.\n\nBe kind.",
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "go" }] },
            { "role": "assistant", "content": [call("c1", json!({ "a": 1 })), call("c2", json!({}))] },
            { "role": "user", "content": user },
        ],
        "tools": [{ "name": "exec", "description": "Runs it.", "input_schema": { "type": "object", "properties": {} } }],
        "tool_choice": { "type": "any", "disable_parallel_tool_use": true },
        "temperature": 0.0,
    });
    assert_eq!(body, expected);
}

/// The events of [`answer`].
fn events() -> Vec<Value> {
    let mut message = answer();
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    message["usage"]["output_tokens"] = json!(1);
    let start =
        |index: usize, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let delta = |index: usize, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: usize| json!({ "type": "content_block_stop", "index": index });
    vec![
        json!({ "type": "message_start", "message": message }),
        start(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(0, json!({ "type": "signature_delta", "signature": "s" })),
        stop(0),
        json!({ "type": "ping" }),
        start(1, json!({ "type": "text", "text": "" })),
        delta(1, json!({ "type": "text_delta", "text": "let " })),
        delta(1, json!({ "type": "text_delta", "text": "me see" })),
        stop(1),
        start(2, json!({ "type": "tool_use", "id": "c1", "name": "exec", "input": {} })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "{\"a\"" })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": ":1}" })),
        stop(2),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 4 } }),
        json!({ "type": "message_stop" }),
    ]
}

fn streamed(events: &[Value]) -> String {
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    let text: String = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", kind(event))).collect();
    http(200, "Content-Type: text/event-stream\r\n", &text)
}

async fn listen(answer: String) -> (Result<ModelResponse, ModelError>, Vec<Delta>) {
    let server = serve(vec![answer]);
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let deltas = {
        let heard = heard.clone();
        Deltas::new(move |delta| {
            heard.lock().unwrap().push(delta);
            Box::pin(std::future::ready(()))
        })
    };
    let response = model(&server).request_streaming(&hello(), &deltas).await;
    let heard = heard.lock().unwrap().clone();
    (response, heard)
}

#[tokio::test]
async fn a_stream_adds_up_to_what_a_plain_answer_is() {
    let (response, heard) = listen(streamed(&events())).await;
    assert_eq!(response.unwrap(), expected());
    let call = Delta::ToolCall(ToolCall::new("c1", "exec", r#"{"a":1}"#));
    assert_eq!(heard, [Delta::Text("let ".into()), Delta::Text("me see".into()), call]);
}

#[tokio::test]
async fn a_stream_that_lacks_any_of_its_events_at_the_end_is_an_error() {
    let events = events();
    for end in 0..events.len() {
        let error = listen(streamed(&events[..end])).await.0.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Interrupted, "{end}: {error}");
        // Its last event does not make it complete either.
        let mut torn = events[..end].to_vec();
        torn.push(events[events.len() - 1].clone());
        assert_eq!(listen(streamed(&torn)).await.0.is_ok(), end == events.len() - 1, "{end}");
    }
}

#[tokio::test]
async fn an_error_in_a_stream_and_a_refusal_are_errors() {
    let mut sick = events();
    sick[9] = json!({ "type": "error", "error": { "type": "overloaded_error", "message": format!("no {KEY}") } });
    let error = listen(streamed(&sick)).await.0.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains(KEY), "{error:?}");
    let mut refused = events();
    refused[14]["delta"]["stop_reason"] = json!("refusal");
    assert_eq!(listen(streamed(&refused)).await.0.unwrap_err().kind(), ModelErrorKind::Refused);
}

#[tokio::test]
async fn a_refused_key_names_its_variable_and_no_debug_form_holds_the_key() {
    let server = serve(vec![http(401, "", &json!({ "error": { "message": KEY } }).to_string())]);
    let error = model(&server).request(&hello()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Unauthorized);
    assert!(error.to_string().contains("ANTHROPIC_API_KEY") && !format!("{error:?}").contains(KEY), "{error:?}");
    assert!(!format!("{:?} {:?}", model(&server), Anthropic::builder(KEY)).contains(KEY));
}
