//! The agent over real HTTP against `llmock` 0.2.2. Skipped, with a line that says so, if that is not installed.
#![cfg(feature = "openai")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest of the server")]
mod support;

use std::sync::{Arc, Mutex};

use kitaru_agent::{Agent, AgentError, FunctionTool, Message, OpenAi, RequestPart, ToolDefinition, ToolOutput};
use serde_json::{Value, json};
use support::LlMock;

type Calls = Arc<Mutex<Vec<String>>>;

fn agent(server: &LlMock) -> (Agent, Calls) {
    let calls = Calls::default();
    let log = calls.clone();
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let definition = ToolDefinition::new("get_weather", "The weather of a city.").parameters(schema);
    let weather = FunctionTool::new(definition, move |call| {
        log.lock().unwrap().push(call.arguments.as_str().to_owned());
        async { Ok(ToolOutput::text("21 degrees")) }
    });
    let model = OpenAi::builder("sk-anything-at-all").base_url(server.base_url()).build().unwrap();
    (Agent::builder(model).instructions("Help with the weather.").tool(weather).build().unwrap(), calls)
}

fn statuses(server: &LlMock) -> Vec<u64> {
    server.requests().iter().map(|request| request["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn agent_calls_its_tool_and_answers_with_exactly_its_requests() {
    let Some(server) = LlMock::start() else { return };
    let (agent, calls) = agent(&server);
    let result = agent.run("What is the weather in Paris?").await.unwrap();
    assert!(!result.output.is_empty());
    assert_eq!((result.usage.requests, result.usage.tool_calls), (2, 1));
    assert!(result.usage.tokens.input > 0 && result.usage.tokens.output > 0);
    let asked: Value = serde_json::from_str(&calls.lock().unwrap()[0]).unwrap();
    assert!(asked["city"].is_string(), "{asked}");

    let requests = server.requests();
    assert_eq!(statuses(&server), [200, 200]);
    assert_eq!(requests[0]["body"]["messages"][0]["content"], "Help with the weather.");
    assert_eq!(requests[1]["body"]["messages"].as_array().unwrap().last().unwrap()["content"], "21 degrees");
}

#[tokio::test]
async fn parallel_tool_calls_of_a_real_server_keep_their_own_arguments() {
    let Some(server) = LlMock::start() else { return };
    let call = |city: &str| json!({ "name": "get_weather", "arguments": { "city": city } });
    server.script(json!([{ "type": "reply", "tool_calls": [call("Brest"), call("Kyoto"), call("Lima")] }]));
    let (agent, calls) = agent(&server);
    agent.run("Compare three cities.").await.unwrap();
    let cities: Vec<_> =
        calls.lock().unwrap().iter().map(|call| call.parse::<Value>().unwrap()["city"].clone()).collect();
    assert_eq!(cities, ["Brest", "Kyoto", "Lima"]);
}

#[tokio::test]
async fn busy_server_gets_a_retry_after_its_retry_after_and_accepts_our_manners() {
    let Some(server) = LlMock::start() else { return };
    server.script(json!([
        { "type": "fail", "status": 429, "retry_after": 1 },
        { "type": "fail", "status": 503 },
    ]));
    let (agent, _) = agent(&server);
    agent.run("What is the weather in Paris?").await.unwrap();
    assert_eq!(statuses(&server), [429, 503, 200, 200]);
    let verdict = server.verdict();
    assert_eq!(verdict["findings"], json!([]), "{verdict}");
}

#[tokio::test]
async fn rejected_request_is_sent_once_and_its_reason_reaches_the_user() {
    let Some(server) = LlMock::start() else { return };
    server.script(json!([{ "type": "fail", "status": 400, "message": "the schema is odd", "times": null }]));
    let (agent, _) = agent(&server);
    let error = agent.run("What is the weather in Paris?").await.unwrap_err();
    assert!(matches!(&error, AgentError::Model(_)) && error.to_string().contains("the schema is odd"), "{error}");
    assert_eq!(statuses(&server), [400]);
}

#[tokio::test]
async fn broken_tool_calls_of_a_real_server_go_back_to_it_and_the_run_succeeds() {
    let Some(server) = LlMock::start() else { return };
    for kind in ["malformed_arguments", "unknown_tool"] {
        server.script(json!([{ "type": "tool_fault", "kind": kind }]));
        let (agent, calls) = agent(&server);
        let result = agent.run("What is the weather in Paris?").await.unwrap();
        assert_eq!(calls.lock().unwrap().len() as u64, result.usage.tool_calls, "{kind}");
        let retried = result.new_messages.messages().iter().any(|message| match message {
            Message::Request(request) => request.parts.iter().any(|part| matches!(part, RequestPart::RetryPrompt(_))),
            _ => false,
        });
        assert!(retried, "{kind}: {:?}", result.new_messages);
    }
}
