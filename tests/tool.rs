//! `#[tool]`: the description that the model receives, and the arguments that reach the function.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::atomic::{AtomicUsize, Ordering};

use kitaru::agent::{
    Agent, AgentError, FunctionModel, Message, ModelResponse, RequestPart, RunContext, TestModel, Tool, ToolError,
};
use kitaru::tool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

struct Users {
    known: Vec<&'static str>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Celsius,
    Fahrenheit,
}

#[derive(Serialize)]
struct Weather {
    degrees: i32,
    user: String,
}

/// The weather of a city.
///
/// Not for the sea.
#[tool]
async fn weather(
    context: &RunContext<Users>,
    /// The name of the city.
    city: String,
    #[serde(default = "celsius")] unit: Unit,
    #[schemars(range(min = 1, max = 14))] days: Option<u8>,
) -> anyhow::Result<Weather> {
    let Some(user) = context.deps.known.iter().find(|user| context.prompt.contains(**user)) else {
        anyhow::bail!("no such person")
    };
    if city == "Atlantis" {
        return Err(ToolError::retry("there is no such city").into());
    }
    let degrees = if matches!(unit, Unit::Celsius) { 20 } else { 68 };
    Ok(Weather { degrees: degrees + i32::from(days.unwrap_or(0)), user: (*user).to_owned() })
}

fn celsius() -> Unit {
    Unit::Celsius
}

/// Says it again.
#[tool(name = "say-again")]
pub(crate) async fn say(mut text: String) -> String {
    text.push('!');
    text
}

/// Takes nothing and gives nothing.
#[tool]
async fn idle() {}

/// Takes words of Rust for names.
#[tool]
async fn odd(r#type: u8, context: u8, call: u8) -> Result<u8, std::num::ParseIntError> {
    "1".parse::<u8>().map(|one| one + r#type + context + call)
}

fn definition<D: Send + Sync + 'static>(tool: impl Tool<D>) -> (String, String, serde_json::Value) {
    let definition = tool.definition().clone();
    (definition.name, definition.description, definition.parameters)
}

#[test]
fn model_receives_the_doc_comments_the_types_and_the_bounds() {
    let (name, description, parameters) = definition::<Users>(weather());
    assert_eq!((name.as_str(), description.as_str()), ("weather", "The weather of a city.\n\nNot for the sea."));
    assert_eq!(parameters["properties"]["city"], json!({ "type": "string", "description": "The name of the city." }));
    assert_eq!(parameters["properties"]["days"]["maximum"], 14);
    assert_eq!(parameters["required"], json!(["city"]));
    assert_eq!(parameters["additionalProperties"], false);
    assert_eq!(parameters["$defs"]["Unit"]["enum"], json!(["celsius", "fahrenheit"]));

    let (name, _, parameters) = definition::<()>(say());
    assert_eq!((name.as_str(), &parameters["required"]), ("say-again", &json!(["text"])));
    assert_eq!(definition::<()>(idle()).2["type"], "object");
    assert_eq!(definition::<()>(odd()).2["required"], json!(["type", "context", "call"]));
}

#[test]
fn declared_effects_of_a_tool_are_not_sent_to_a_model_nor_in_any_key() {
    /// Says it again.
    #[tool(name = "say-again", idempotent, retries = 2)]
    async fn declared(mut text: String) -> String {
        text.push('!');
        text
    }
    let agent = |tool: std::sync::Arc<dyn Tool>| {
        let model =
            FunctionModel::new("mirror", |request| Ok(ModelResponse::text(serde_json::to_string(request).unwrap())));
        Agent::builder(model).tools([tool]).build().unwrap()
    };
    let (declares, declares_nothing) = (agent(std::sync::Arc::new(declared())), agent(std::sync::Arc::new(say())));
    assert_ne!(declares.tools()[0].definition(), declares_nothing.tools()[0].definition());
    assert_eq!(declares.identity(), declares_nothing.identity());
    let run = |agent: Agent| agent.run_sync("What are you told?").unwrap().output;
    assert_eq!(run(declares), run(declares_nothing));
}

/// Asks for `weather` with each of these arguments in turn, then ends.
async fn asked(prompt: &str, arguments: &[serde_json::Value]) -> Result<Vec<String>, AgentError> {
    let calls: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    let said = AtomicUsize::new(0);
    let model = FunctionModel::new("mock", move |_| {
        Ok(match calls.get(said.fetch_add(1, Ordering::Relaxed)) {
            Some(arguments) => ModelResponse::tool_call("id", "weather", arguments.as_str()),
            None => ModelResponse::text("done"),
        })
    });
    let agent = Agent::builder(model).deps::<Users>().tool(weather()).tool(say()).build().unwrap();
    let result = agent.with_deps(Users { known: vec!["Ada"] }).run(prompt).await?;
    let told = result.new_messages.messages().iter().filter_map(|message| match message {
        Message::Request(request) => match &request.parts[0] {
            RequestPart::ToolReturn(given) => Some(given.content.clone()),
            RequestPart::RetryPrompt(retry) => Some(format!("retry: {}", retry.content)),
            _ => None,
        },
        _ => None,
    });
    Ok(told.collect())
}

#[tokio::test]
async fn arguments_arrive_typed_and_a_misfit_goes_back_with_the_reason() {
    let arguments = [
        json!({ "city": "Oslo" }),
        json!({ "city": "Oslo", "unit": "fahrenheit", "days": 3 }),
        json!({ "city": "Oslo", "days": 15 }),
        json!({ "city": "Oslo", "country": "NO" }),
        json!({ "city": "Oslo" }),
        json!({ "city": "Atlantis" }),
    ];
    assert_eq!(
        asked("Ada asks", &arguments).await.unwrap(),
        [
            r#"{"degrees":20,"user":"Ada"}"#,
            r#"{"degrees":71,"user":"Ada"}"#,
            "retry: wrong arguments: at /days: 15 is greater than the maximum of 14",
            "retry: wrong arguments: Additional properties are not allowed ('country' was unexpected)",
            r#"{"degrees":20,"user":"Ada"}"#,
            "retry: there is no such city",
        ]
    );
}

#[tokio::test]
async fn an_ordinary_error_ends_the_run() {
    let error = asked("Bob asks", &[json!({ "city": "Oslo" })]).await.unwrap_err();
    assert_eq!(error, AgentError::Tool { tool: "weather".to_owned(), error: ToolError::failed("no such person") });
}

/// Opens a gate.
#[tool]
async fn gate(name: String) -> Result<String, String> {
    Err(format!("gate {name} is stuck"))
}

#[tokio::test]
async fn text_that_a_tool_ends_in_ends_the_run() {
    let agent = Agent::builder(TestModel::new()).tool(gate()).build().unwrap();
    let error = agent.run("go").await.unwrap_err();
    assert_eq!(error, AgentError::Tool { tool: "gate".to_owned(), error: ToolError::failed("gate a is stuck") });
}

#[test]
fn retry_is_found_under_context_of_anyhow() {
    let error = anyhow::Error::from(ToolError::retry("say which gate")).context("cannot open the gate");
    assert_eq!(ToolError::of(error), ToolError::retry("say which gate"));
}

#[tokio::test]
async fn tool_without_a_context_fits_every_agent_and_a_text_is_sent_as_it_is() {
    let agent = Agent::builder(TestModel::new()).tool(say()).tool(idle()).tool(odd()).build().unwrap();
    let result = agent.run("go").await.unwrap();
    // The order of the tools depends on a feature of serde_json, which another crate may enable.
    let output: serde_json::Value = serde_json::from_str(&result.output).unwrap();
    assert_eq!(output, serde_json::json!({ "idle": "null", "odd": "1", "say-again": "a!" }));
}

#[tokio::test]
async fn the_function_itself_is_there_for_tests() {
    let context = RunContext::new("Ada asks").with_deps(Users { known: vec!["Ada"] });
    let weather = weather::run(&context, "Oslo".to_owned(), Unit::Celsius, None).await.unwrap();
    assert_eq!((weather.degrees, say::run("no".to_owned()).await.as_str()), (20, "no!"));
}
