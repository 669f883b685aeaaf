//! Streams of real HTTP against `llmock` 0.2.2, broken at each of their chunks. Skipped, with a line that says so, if that is
//! not installed.
#![cfg(all(feature = "openai", feature = "anthropic"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest of the server")]
mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kitaru_agent::{
    Agent, Anthropic, Delta, Deltas, FunctionTool, Message, Model, ModelErrorKind, ModelRequest, ModelResponse, OpenAi,
    OpenAiResponses, RequestMessage, RunEvent, Tokens, ToolDefinition, ToolOutput,
};
use serde_json::json;
use support::LlMock;

/// How long a stream may pause if the server pauses for a very long time.
const SOON: Duration = Duration::from_millis(200);
/// And if it does not, on a busy machine.
const LATE: Duration = Duration::from_secs(20);

fn models(server: &LlMock, retries: u32, stall: Duration) -> Vec<Arc<dyn Model>> {
    let openai = OpenAi::builder("sk-anything-at-all").base_url(server.base_url());
    let anthropic = Anthropic::builder("sk-anything-at-all").base_url(server.anthropic_url());
    let responses = OpenAiResponses::builder("sk-anything-at-all").base_url(server.base_url());
    vec![
        // This timeout is for the first word.
        Arc::new(openai.retries(retries).timeout(stall).stall_timeout(stall).build().unwrap()),
        Arc::new(anthropic.retries(retries).timeout(stall).stall_timeout(stall).build().unwrap()),
        Arc::new(responses.retries(retries).timeout(stall).stall_timeout(stall).build().unwrap()),
    ]
}

fn request() -> ModelRequest {
    let mut request = ModelRequest::new(vec![Message::Request(RequestMessage::user("How is it in Paris?"))]);
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    request.tools = vec![ToolDefinition::new("get_weather", "The weather of a city.").parameters(schema)];
    request
}

fn reply() -> serde_json::Value {
    let call = json!({ "name": "get_weather", "arguments": { "city": "Paris" } });
    json!({ "type": "reply", "text": "Let me see.", "tool_calls": [call], "times": null })
}

/// Collects the pieces.
fn ear() -> (Deltas, Arc<Mutex<Vec<Delta>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let deltas = {
        let heard = heard.clone();
        Deltas::new(move |delta| {
            heard.lock().unwrap().push(delta);
            Box::pin(std::future::ready(()))
        })
    };
    (deltas, heard)
}

#[tokio::test]
async fn stream_equals_the_plain_answer() {
    let Some(server) = LlMock::start() else { return };
    server.script(json!([reply()]));
    for model in models(&server, 0, LATE) {
        let (deltas, heard) = ear();
        let streamed = model.request_streaming(&request(), &deltas).await.unwrap();
        let plain = model.request(&request()).await.unwrap();
        let parts = |response: &ModelResponse| {
            (
                response.output(),
                response.tool_calls().map(|call| call.arguments.parse().unwrap()).collect::<Vec<serde_json::Value>>(),
            )
        };
        assert_eq!((parts(&streamed), streamed.stop, streamed.tokens), (parts(&plain), plain.stop, plain.tokens));
        let text: String = heard
            .lock()
            .unwrap()
            .iter()
            .filter_map(|delta| match delta {
                Delta::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "Let me see.");
    }
}

/// Breaks the streams of the model `nth` at each of their chunks, in one way.
async fn break_streams(nth: usize, kind: &str) {
    let Some(server) = LlMock::start() else { return };
    let model = &models(&server, 0, if kind == "stall" { SOON } else { LATE })[nth];
    server.script(json!([reply()]));
    let whole = models(&server, 0, LATE)[nth].request_streaming(&request(), &Deltas::unheard()).await.unwrap();
    // Until the fault is after the end, so that nothing is broken.
    for chunk in 0.. {
        server.script(json!([{ "type": "stream_fault", "kind": kind, "after_chunks": chunk, "stall_seconds": 60 }]));
        match model.request_streaming(&request(), &Deltas::unheard()).await {
            Err(error) => {
                use ModelErrorKind::{Interrupted, InvalidResponse, TimedOut, Unreachable};
                assert!(matches!(error.kind(), Interrupted | InvalidResponse | TimedOut | Unreachable), "{error:?}");
            }
            Ok(response) => {
                let said = |response: &ModelResponse| (response.output(), response.stop, response.tool_calls().count());
                assert_eq!(said(&response), said(&whole), "{kind} at {chunk}");
                // Events after the stop reason are about the answer, and not a part of it.
                if response.tokens != whole.tokens {
                    assert_eq!((kind, response.tokens), ("truncate", Tokens::default()), "at {chunk}");
                }
                assert!(chunk >= 8, "{kind} at {chunk} broke nothing");
                return;
            }
        }
    }
}

/// A stream that is broken at any of its chunks is never an answer.
macro_rules! broken_at_any_chunk {
    ($($test:ident: $nth:literal, $kind:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            break_streams($nth, $kind).await;
        })*
    };
}

broken_at_any_chunk! {
    a_completion_whose_connection_is_cut_at_any_chunk_is_no_answer: 0, "disconnect";
    a_completion_that_ends_early_at_any_chunk_is_no_answer: 0, "truncate";
    a_completion_with_any_chunk_corrupted_is_no_answer: 0, "malformed";
    a_completion_that_stalls_at_any_chunk_is_no_answer: 0, "stall";
    a_message_whose_connection_is_cut_at_any_chunk_is_no_answer: 1, "disconnect";
    a_message_that_ends_early_at_any_chunk_is_no_answer: 1, "truncate";
    a_message_with_any_chunk_corrupted_is_no_answer: 1, "malformed";
    a_message_that_stalls_at_any_chunk_is_no_answer: 1, "stall";
    a_response_whose_connection_is_cut_at_any_chunk_is_no_answer: 2, "disconnect";
    a_response_that_ends_early_at_any_chunk_is_no_answer: 2, "truncate";
    a_response_with_any_chunk_corrupted_is_no_answer: 2, "malformed";
    a_response_that_stalls_at_any_chunk_is_no_answer: 2, "stall";
}

#[tokio::test]
async fn run_over_broken_streams_succeeds_and_the_server_accepts_our_manners() {
    let Some(server) = LlMock::start() else { return };
    for model in models(&server, 3, LATE) {
        let call = json!({ "name": "get_weather", "arguments": { "city": "Paris" } });
        server.script(json!([
            { "type": "reply", "text": "Let me see.", "tool_calls": [call], "times": 3 },
            { "type": "stream_fault", "kind": "truncate", "after_chunks": 6 },
            { "type": "stream_fault", "kind": "disconnect", "after_chunks": 5 },
        ]));
        let definition = request().tools.remove(0);
        let weather = FunctionTool::new(definition, |_| async { Ok(ToolOutput::text("21 degrees")) });
        let agent = Agent::builder(model).tool(weather).build().unwrap();
        let mut stream = agent.run_stream("How is it in Paris?");
        // What a listener shows: void pieces are taken back.
        let (mut text, mut sure, mut voids) = (String::new(), String::new(), 0);
        let result = loop {
            match stream.next().await.unwrap().unwrap() {
                RunEvent::Text(piece) => text.push_str(&piece),
                RunEvent::Void => {
                    text.clear();
                    voids += 1;
                }
                RunEvent::Usage(_) => sure = std::mem::take(&mut text),
                RunEvent::Finished(result) => break result,
                _ => {}
            }
        };
        assert_eq!((sure, result.usage.tool_calls), (result.output, 1));
        assert_eq!(voids, 2);
    }
    let verdict = server.verdict();
    assert_eq!(verdict["findings"], json!([]), "{verdict}");
}
