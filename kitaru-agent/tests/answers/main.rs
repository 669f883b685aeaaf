//! Which provider answers count, in each dialect, streamed and whole, against a server of canned answers.
#![cfg(all(feature = "openai", feature = "anthropic"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod calls;
mod canned;
mod coming;
mod counting;
mod failing;
mod giving_back;
mod items;
mod media;
mod reasoning;
mod responses;
mod round_trip;
mod servers;
mod settings;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kitaru_agent::{
    Agent, AgentError, Anthropic, CallRef, ChatServer, Cost, Delta, Deltas, Effort, FunctionModel, FunctionTool,
    GiveBack, Message, Model, ModelError, ModelErrorKind, ModelRequest, ModelResponse, ModelSettings, OnLength, Opaque,
    OpenAi, OpenAiResponses, OutputMode, Place, RequestMessage, RequestPart, ResponsePart, RunEvent, Stop, Text,
    Tokens, ToolCall, ToolChoice, ToolDefinition, ToolOutput, ToolReturn,
};
use serde_json::{Value, json};

use canned::{Answer, Server, json_of, sse};

/// The form in which an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    OpenAiWhole,
    OpenAiStreamed,
    AnthropicWhole,
    AnthropicStreamed,
    ResponsesWhole,
    ResponsesStreamed,
}

const WAYS: [Way; 6] = [
    Way::OpenAiWhole,
    Way::OpenAiStreamed,
    Way::AnthropicWhole,
    Way::AnthropicStreamed,
    Way::ResponsesWhole,
    Way::ResponsesStreamed,
];

impl Way {
    fn is_streamed(self) -> bool {
        self != self.whole()
    }

    /// The same dialect, not streamed.
    fn whole(self) -> Self {
        match self {
            Way::OpenAiWhole | Way::OpenAiStreamed => Way::OpenAiWhole,
            Way::AnthropicWhole | Way::AnthropicStreamed => Way::AnthropicWhole,
            Way::ResponsesWhole | Way::ResponsesStreamed => Way::ResponsesWhole,
        }
    }

    fn model(self, server: &Server) -> Arc<dyn Model> {
        self.model_with_retries(server, 0)
    }

    fn model_with_retries(self, server: &Server, retries: u32) -> Arc<dyn Model> {
        match self.whole() {
            Way::OpenAiWhole => Arc::new(OpenAi::builder("k").base_url(&server.url).retries(retries).build().unwrap()),
            Way::AnthropicWhole => {
                Arc::new(Anthropic::builder("k").base_url(&server.url).retries(retries).build().unwrap())
            }
            _ => Arc::new(OpenAiResponses::builder("k").base_url(&server.url).retries(retries).build().unwrap()),
        }
    }

    /// An answer with a text and with calls of these names and arguments, which stops for `reason`.
    fn answer(self, text: &str, calls: &[(&str, &str)], reason: &str) -> Answer {
        let id = |nth: usize| format!("c{nth}");
        match self {
            Way::OpenAiWhole | Way::OpenAiStreamed => {
                let call = |(nth, (name, arguments)): (usize, &(&str, &str))| json!({ "index": nth, "id": id(nth), "function": { "name": name, "arguments": arguments } });
                let calls: Vec<_> = calls.iter().enumerate().map(call).collect();
                let said = json!({ "content": text, "tool_calls": calls });
                if self == Way::OpenAiWhole {
                    json_of(&json!({ "choices": [{ "message": said, "finish_reason": reason }] }))
                } else {
                    chunks(&[piece(said), finish(reason)])
                }
            }
            Way::AnthropicWhole => {
                let mut blocks = vec![json!({ "type": "text", "text": text })];
                blocks.extend(calls.iter().enumerate().map(|(nth, (name, arguments))| {
                    let input: Value = serde_json::from_str(arguments).unwrap_or(json!({}));
                    json!({ "type": "tool_use", "id": id(nth), "name": name, "input": input })
                }));
                json_of(&json!({ "content": blocks, "stop_reason": reason }))
            }
            Way::AnthropicStreamed => {
                let mut list = vec![json!({ "type": "message_start", "message": {} })];
                list.extend(block(
                    0,
                    json!({ "type": "text", "text": "" }),
                    &[json!({ "type": "text_delta", "text": text })],
                ));
                for (nth, (name, arguments)) in calls.iter().enumerate() {
                    let start = json!({ "type": "tool_use", "id": id(nth), "name": name, "input": {} });
                    list.extend(block(
                        nth + 1,
                        start,
                        &[json!({ "type": "input_json_delta", "partial_json": arguments })],
                    ));
                }
                list.extend(over(reason));
                events(&list)
            }
            Way::ResponsesWhole => json_of(&items::response(text, calls, reason)),
            Way::ResponsesStreamed => items::streamed(&items::response(text, calls, reason)),
        }
    }
}

fn piece(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

fn chunks(list: &[Value]) -> Answer {
    sse(&(list.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>() + "data: [DONE]\n\n"))
}

fn block(index: usize, start: Value, deltas: &[Value]) -> Vec<Value> {
    let mut list = vec![json!({ "type": "content_block_start", "index": index, "content_block": start })];
    list.extend(deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })));
    list.push(json!({ "type": "content_block_stop", "index": index }));
    list
}

fn over(reason: &str) -> [Value; 2] {
    [json!({ "type": "message_delta", "delta": { "stop_reason": reason } }), json!({ "type": "message_stop" })]
}

fn events(list: &[Value]) -> Answer {
    sse(&list.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect::<String>())
}

fn go() -> ModelRequest {
    let mut request = ModelRequest::new(vec![Message::Request(RequestMessage::user("go"))]);
    request.tools = vec![ToolDefinition::new("weather", ""), ToolDefinition::new("now", "")];
    request
}

async fn ask(way: Way, answer: Answer) -> Result<ModelResponse, ModelError> {
    let server = Server::start(vec![answer]);
    request(way, &*way.model(&server), &go()).await
}

async fn request(way: Way, model: &dyn Model, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
    let deltas = kitaru_agent::Deltas::new(|_| Box::pin(std::future::ready(())));
    if way.is_streamed() { model.request_streaming(request, &deltas).await } else { model.request(request).await }
}

fn calls(response: &ModelResponse) -> Vec<(&str, &str)> {
    response.tool_calls().map(|call| (call.tool.as_str(), call.arguments.as_str())).collect()
}

/// The result of a run of an agent with a tool `weather`, whose arguments are all optional, and the arguments of its calls.
async fn run(way: Way, server: &Server) -> (Result<String, AgentError>, Vec<String>) {
    let made = Arc::new(Mutex::new(Vec::new()));
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let weather = FunctionTool::new(ToolDefinition::new("weather", "").parameters(schema), {
        let made = made.clone();
        move |call: kitaru_agent::Invocation| {
            made.lock().unwrap().push(call.arguments.as_str().to_owned());
            async { Ok(ToolOutput::text("rain")) }
        }
    });
    let agent = Agent::builder(way.model(server)).tool(weather).build().unwrap();
    let ended = if way.is_streamed() {
        let mut stream = agent.run_stream("go");
        loop {
            match stream.next().await.unwrap() {
                Ok(RunEvent::Finished(result)) => break Ok(result.output),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        }
    } else {
        agent.run("go").await.map(|result| result.output)
    };
    let made = made.lock().unwrap().clone();
    (ended, made)
}
