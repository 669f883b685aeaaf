//! The model against a canned server.

use std::{net::TcpListener, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::delta::Delta;
use crate::error::ModelErrorKind;
use crate::http::canned::{KEY, SILENCE, Server, http, serve};
use crate::message::{
    CallRef, Message, RequestMessage, RequestPart, ResponsePart, RetryPrompt, Stop, Text, ToolCall, ToolReturn,
};
use crate::model::{AnswerForm, ModelSettings};
use crate::tokens::Tokens;
use crate::tool::ToolDefinition;

fn completion(text: &str) -> String {
    http(200, "", &json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] }).to_string())
}

fn value(object: &Object) -> Value {
    serde_json::to_value(object).unwrap()
}

fn model(server: &Server) -> OpenAi {
    OpenAi::builder(KEY).base_url(&server.url).model("gpt-x").build().unwrap()
}

fn hello() -> ModelRequest {
    ModelRequest::new(vec![Message::Request(RequestMessage::user("hello"))])
}

async fn ask(server: &Server) -> Result<ModelResponse, ModelError> {
    model(server).request(&hello()).await
}

#[tokio::test]
async fn a_whole_conversation_is_sent_in_the_words_of_the_api() {
    let server = serve(vec![completion("ok")]);
    let mut request = ModelRequest::new(vec![
        Message::Request(RequestMessage::user("go")),
        Message::Response(ModelResponse::new(vec![
            ResponsePart::Text(Text::new("let me see")),
            ResponsePart::ToolCall(ToolCall::new("c1", "exec", "{}")),
            ResponsePart::ToolCall(ToolCall::new("c2", "exec", "{")),
        ])),
        Message::Request(RequestMessage::new(vec![
            RequestPart::ToolReturn(ToolReturn::new(CallRef::new("c1", "exec"), "out")),
            RequestPart::RetryPrompt(RetryPrompt::call(CallRef::new("c2", "exec"), "no JSON")),
        ])),
    ]);
    request.instructions = Some("Be brief.".into());
    request.tools = vec![ToolDefinition::new("exec", "Runs it.")];
    request.settings = ModelSettings::default().temperature(0.0).max_tokens(7);
    model(&server).request(&request).await.unwrap();

    let (head, body) = server.seen().remove(0);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains(&format!("authorization: bearer {KEY}")), "{head}");
    let call = |id: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": "exec", "arguments": arguments } });
    let parameters = json!({ "type": "object", "properties": {} });
    let tool = json!({ "name": "exec", "description": "Runs it.", "parameters": parameters });
    let expected = json!({
        "model": "gpt-x",
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "go" },
            { "role": "assistant", "content": "let me see", "tool_calls": [call("c1", "{}"), call("c2", "{")] },
            { "role": "tool", "tool_call_id": "c1", "content": "out" },
            { "role": "tool", "tool_call_id": "c2", "content": "no JSON" },
        ],
        "tools": [{ "type": "function", "function": tool }],
        "temperature": 0.0,
        "max_tokens": 7,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn tool_calls_and_usage_are_read_with_arguments_of_any_json_type() {
    let calls = json!([
        { "id": "c1", "type": "function", "function": { "name": "exec", "arguments": "{\"a\":1}" } },
        { "type": "function", "function": { "name": "exec", "arguments": { "a": 2 } } },
        { "id": "", "function": { "name": "now" } },
    ]);
    let message = json!({ "role": "assistant", "content": null, "tool_calls": calls });
    let body = json!({
        "id": "chatcmpl-1", "created": 1, "model": "gpt-x-2026",
        "choices": [{ "message": message, "finish_reason": "tool_calls" }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": { "cached_tokens": 3 } },
    });
    let server = serve(vec![http(200, "", &body.to_string())]);
    let response = ask(&server).await.unwrap();
    let given: Vec<_> = response.tool_calls().map(|c| (c.id.as_str(), c.tool.as_str(), c.arguments.as_str())).collect();
    assert_eq!(given, [("c1", "exec", r#"{"a":1}"#), ("call_1_1", "exec", r#"{"a":2}"#), ("call_1_2", "now", "")]);
    let tokens = Tokens { input: 9, output: 4, cached_input: 3 };
    assert_eq!((response.tokens, response.stop), (tokens, Some(Stop::ToolCalls)));
    // Nothing that differs when the same is asked again: no id and no time of the provider.
    let stored = serde_json::to_string(&response).unwrap();
    assert!(!stored.contains("chatcmpl") && !stored.contains("created"), "{stored}");
}

#[tokio::test]
async fn statuses_that_may_pass_are_tried_again_after_the_time_that_the_server_asks_for() {
    let busy = |status| http(status, "Retry-After: 0\r\n", r#"{"error":{"message":"busy"}}"#);
    let server = serve(vec![busy(429), busy(503), busy(500), completion("at last")]);
    assert_eq!(ask(&server).await.unwrap().output(), "at last");
    let bodies: Vec<_> = server.seen().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.len(), 4);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[tokio::test]
async fn retries_are_bounded_and_the_last_error_has_the_servers_retry_after() {
    let server = serve(vec![http(429, "Retry-After: 0\r\n", r#"{"error":{"message":"busy"}}"#); 5]);
    let error = ask(&server).await.unwrap_err();
    assert_eq!((error.kind(), server.seen().len()), (ModelErrorKind::RateLimited, 4));
    assert_eq!(error.to_string(), "cannot ask `gpt-x`: it accepts no more requests for now (status 429): busy");
    assert_eq!(error.retry_after(), Some(Duration::ZERO));

    let server = serve(vec![http(429, "Retry-After: 3600\r\n", ""); 2]);
    let error = ask(&server).await.unwrap_err();
    assert_eq!((error.retry_after(), server.seen().len()), (Some(Duration::from_secs(3600)), 1));
}

#[tokio::test]
async fn statuses_that_will_not_pass_are_not_tried_again() {
    let quota = r#"{"error":{"message":"pay first","code":"insufficient_quota"}}"#;
    for (status, body, kind) in [
        (400, r#"{"error":{"message":"bad schema"}}"#, ModelErrorKind::Rejected),
        (401, "", ModelErrorKind::Unauthorized),
        (404, "no such page", ModelErrorKind::Rejected),
        (302, "", ModelErrorKind::Rejected),
        (429, quota, ModelErrorKind::OutOfQuota),
    ] {
        let server = serve(vec![http(status, "Location: /elsewhere\r\n", body); 2]);
        let error = ask(&server).await.unwrap_err();
        assert_eq!((error.kind(), server.seen().len()), (kind, 1), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn body_that_is_not_json_or_was_cut_is_retried_and_then_an_error() {
    let cut = completion("whole").replace("Content-Length: ", "Content-Length: 9");
    let server = serve(vec![cut.clone(), http(200, "", "<html>"), completion("good")]);
    assert_eq!(ask(&server).await.unwrap().output(), "good");

    let server = serve(vec![http(200, "", "{\"choices\""); 2]);
    let model = OpenAi::builder(KEY).base_url(&server.url).retries(0).build().unwrap();
    let error = model.request(&hello()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::InvalidResponse);

    let server = serve(vec![cut]);
    let model = OpenAi::builder(KEY).base_url(&server.url).retries(0).build().unwrap();
    assert_eq!(model.request(&hello()).await.unwrap_err().kind(), ModelErrorKind::Unreachable);
}

#[tokio::test]
async fn json_that_is_not_a_completion_is_an_error_that_says_what_is_missing() {
    for (body, part) in [
        (r#"{"choices":[]}"#, "no choice"),
        (r#"{"object":"list"}"#, "missing field `choices`"),
        (r#"{"error":{"message":"model is loading"}}"#, "model is loading"),
    ] {
        let server = serve(vec![http(200, "", body)]);
        let error = ask(&server).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::InvalidResponse);
        assert!(error.to_string().contains(part), "{error}");
    }
    let refusal = json!({ "choices": [{ "message": { "content": null, "refusal": "I would rather not" } }] });
    let server = serve(vec![http(200, "", &refusal.to_string())]);
    assert_eq!(ask(&server).await.unwrap_err().kind(), ModelErrorKind::Refused);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_sent_again_within_the_bound() {
    let patient = |server: &Server, retries| {
        let timeout = Duration::from_millis(50);
        OpenAi::builder(KEY).base_url(&server.url).timeout(timeout).max_retry_wait(timeout).retries(retries).build()
    };
    let server = serve(vec![SILENCE.into(), completion("late")]);
    assert_eq!(patient(&server, 1).unwrap().request(&hello()).await.unwrap().output(), "late");
    assert_eq!(server.seen().len(), 2);
    let server = serve(vec![SILENCE.into(), completion("late")]);
    let error = patient(&server, 0).unwrap().request(&hello()).await.unwrap_err();
    assert_eq!((error.kind(), server.seen().len()), (ModelErrorKind::TimedOut, 1), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password_in_its_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://me:hunter2@127.0.0.1:{port}/v1?token=hunter3");
    let model = OpenAi::builder(KEY).base_url(url).retries(0).build().unwrap();
    let error = model.request(&hello()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Unreachable);
    assert!(error.to_string().contains("127.0.0.1") && !error.to_string().contains("hunter"), "{error}");
    assert!(!format!("{model:?}").contains("hunter"), "{model:?}");
}

#[tokio::test]
async fn the_key_is_in_no_error_and_no_debug_form_even_if_the_server_quotes_it() {
    for status in [400, 401, 503] {
        let said = format!("Incorrect API key provided: {KEY}. {}", "x".repeat(9000));
        let server =
            serve(vec![http(status, "Retry-After: 9999\r\n", &json!({ "error": { "message": said } }).to_string())]);
        let error = ask(&server).await.unwrap_err();
        let shown = format!("{error} {error:?} {}", serde_json::to_string(&error).unwrap());
        assert!(!shown.contains(KEY) && shown.len() < 4000, "{shown}");
    }
    let builder = OpenAi::builder(KEY);
    assert!(!format!("{builder:?}").contains(KEY));
    let model = builder.build().unwrap();
    assert!(!format!("{model:?}").contains(KEY));
    let error = OpenAi::builder(format!("{KEY}\nx")).build().unwrap_err();
    assert!(!format!("{error:?}").contains(KEY), "{error}");
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_sent() {
    for url in ["", "api.openai.com/v1", "file:///etc/passwd", "localhost:8000"] {
        let error = OpenAi::builder(KEY).base_url(url).build().unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration, "{url}: {error}");
    }
}

#[test]
fn openai_itself_receives_the_bound_on_tokens_by_its_new_name() {
    let mut request = hello();
    request.settings = ModelSettings::default().max_tokens(7);
    let question = Question { model: "m", request: &request };
    let chat = |url: &str| OpenAi::builder(KEY).base_url(url).build().unwrap().http.dialect;
    let body = value(&wire::body(&question, &chat("https://api.openai.com/v1"), Reading::Whole).unwrap());
    assert_eq!(chat("http://localhost/v1").traits.max_tokens, "max_tokens");
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(7), None));
}

fn streamed(events: &[Value], end: &str) -> String {
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    http(200, "Content-Type: text/event-stream\r\n", &format!(": hello\n\n{events}{end}"))
}

fn piece(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }], "model": "gpt-x-2026" })
}

const DONE: &str = "data: [DONE]\n\n";

/// The result of a streamed request, and the pieces that arrived.
async fn listen(model: &OpenAi) -> (Result<ModelResponse, ModelError>, Vec<Delta>) {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let deltas = {
        let heard = heard.clone();
        Deltas::new(move |delta| {
            heard.lock().unwrap().push(delta);
            Box::pin(std::future::ready(()))
        })
    };
    let response = model.request_streaming(&hello(), &deltas).await;
    let heard = heard.lock().unwrap().clone();
    (response, heard)
}

#[tokio::test]
async fn a_stream_adds_up_to_what_a_plain_answer_is() {
    let call = |index: usize, function: Value| json!({ "index": index, "function": function });
    let server = serve(vec![streamed(
        &[
            piece(json!({ "role": "assistant", "content": "" })),
            piece(json!({ "content": "let " })),
            piece(json!({ "content": "me see" })),
            piece(
                json!({ "tool_calls": [{ "index": 0, "id": "c1", "function": { "name": "exec", "arguments": "" } }] }),
            ),
            piece(json!({ "tool_calls": [call(0, json!({ "arguments": "{\"a\"" }))] })),
            piece(json!({ "tool_calls": [call(1, json!({ "name": "now" })), call(0, json!({ "arguments": ":1}" }))] })),
            finish("tool_calls"),
            json!({ "choices": [], "usage": { "prompt_tokens": 9, "completion_tokens": 4 } }),
        ],
        DONE,
    )]);
    let (response, heard) = listen(&model(&server)).await;
    let calls = [ToolCall::new("c1", "exec", r#"{"a":1}"#), ToolCall::new("call_1_1", "now", "")];
    let mut expected = ModelResponse::new(vec![
        ResponsePart::Text(Text::new("let me see")),
        ResponsePart::ToolCall(calls[0].clone()),
        ResponsePart::ToolCall(calls[1].clone()),
    ]);
    (expected.stop, expected.tokens) = (Some(Stop::ToolCalls), Tokens::new(9, 4));
    expected.model = Some("gpt-x-2026".to_owned());
    assert_eq!(response.unwrap(), expected);
    let [one, other] = calls.map(Delta::ToolCall);
    assert_eq!(heard, [Delta::Text("let ".into()), Delta::Text("me see".into()), one, other]);
    let (_, body) = server.seen().remove(0);
    assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn broken_stream_is_an_error_and_never_an_answer() {
    let text = piece(json!({ "content": "half" }));
    let sick = json!({ "error": { "message": "overloaded" } });
    for (answer, kind) in [
        (streamed(std::slice::from_ref(&text), ""), ModelErrorKind::Interrupted),
        (streamed(std::slice::from_ref(&text), DONE), ModelErrorKind::Interrupted),
        (streamed(&[text.clone(), finish("stop")], "data: [DON"), ModelErrorKind::Interrupted),
        (streamed(&[text.clone(), finish("stop")], DONE).replace("Length: ", "Length: 9"), ModelErrorKind::Unreachable),
        (streamed(std::slice::from_ref(&text), "data: {\"choices\n\n"), ModelErrorKind::InvalidResponse),
        (streamed(&[text.clone(), sick], DONE), ModelErrorKind::Unavailable),
        (http(200, "", "<html>"), ModelErrorKind::Interrupted),
    ] {
        // A whole body of a wrong length succeeds only if its end mark arrived before.
        let whole = answer.contains("Length: 9") && answer.ends_with(DONE);
        let server = serve(vec![answer.clone()]);
        let model = OpenAi::builder(KEY).base_url(&server.url).retries(0).build().unwrap();
        match listen(&model).await.0 {
            Ok(response) => assert!(whole && response.output() == "half", "{answer}"),
            Err(error) => assert_eq!(error.kind(), kind, "{error}: {answer}"),
        }
    }
}

#[tokio::test]
async fn a_stream_that_broke_off_is_asked_for_again_and_what_was_heard_is_void() {
    let (half, whole) = (piece(json!({ "content": "half" })), piece(json!({ "content": "whole" })));
    let server = serve(vec![
        http(503, "Retry-After: 0\r\n", ""),
        streamed(&[half], ""),
        streamed(&[whole, finish("stop")], DONE),
    ]);
    let (response, heard) = listen(&model(&server)).await;
    assert_eq!((response.unwrap().output().as_str(), server.seen().len()), ("whole", 3));
    assert_eq!(heard, [Delta::Text("half".into()), Delta::Void, Delta::Text("whole".into())]);
}

#[tokio::test]
async fn a_stream_that_stalls_is_an_error_even_if_its_line_is_kept_open() {
    let begun =
        format!("{SILENCE}{}", streamed(&[piece(json!({ "content": "half" }))], "").replace("Length: ", "Length: 9"));
    let server = serve(vec![begun]);
    let model = OpenAi::builder(KEY).base_url(&server.url).stall_timeout(Duration::from_millis(50)).retries(0);
    let error = listen(&model.build().unwrap()).await.0.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Interrupted, "{error}");
    assert!(error.to_string().contains("sent nothing for 50ms"), "{error}");
}

#[tokio::test]
async fn the_key_is_in_no_error_of_a_stream_even_if_the_server_quotes_it() {
    let quoted = json!({ "error": { "message": format!("bad key {KEY}") } });
    let server = serve(vec![streamed(&[quoted], DONE)]);
    let model = OpenAi::builder(KEY).base_url(&server.url).retries(0).build().unwrap();
    let error = listen(&model).await.0.unwrap_err();
    assert!(error.to_string().contains("bad key [key]") && !format!("{error:?}").contains(KEY), "{error:?}");
}

#[tokio::test]
async fn a_typed_answer_is_asked_for_in_the_words_of_the_api() {
    let schema = json!({ "type": "object" });
    let mut request = hello();
    let chat = OpenAi::builder(KEY).build().unwrap().http.dialect;
    let body =
        |request: &ModelRequest| value(&wire::body(&Question { model: "m", request }, &chat, Reading::Whole).unwrap());
    request.answer = AnswerForm::Tool;
    assert_eq!(body(&request)["tool_choice"], "required");
    request.answer = AnswerForm::Schema { name: "answer".to_owned(), schema: schema.clone() };
    let format = json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema } });
    assert_eq!(body(&request)["response_format"], format);
}
