//! An agent whose answers are streamed, and streamed again from their records.
//!
//! `cargo run --example agent_streaming` asks a model in two turns. `FORCE_FAILURE=1` fails between them. Run again without it,
//! the first turn is shown immediately, from its record, and the second one as it arrives. With `OPENAI_API_KEY` (and
//! `OPENAI_BASE_URL`, `OPENAI_MODEL`) a real model answers, otherwise a slow test model.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kitaru::agent::{
    Agent, Delta, Deltas, KitaruAgent, Model, ModelError, ModelRequest, ModelResponse, OpenAi, RunError, RunEvent,
};
use kitaru::{Error, flow, tool};

/// How high the water stands at a port, in metres.
#[tool]
async fn tide(
    /// The name of the port.
    port: String,
) -> Result<f64, kitaru::agent::ToolError> {
    match port.as_str() {
        "Brest" => Ok(3.2),
        "Saint-Malo" => Ok(9.1),
        _ => Err(kitaru::agent::ToolError::retry("only Brest and Saint-Malo are known")),
    }
}

/// Sends its answer word by word.
struct Slow;

#[async_trait]
impl Model for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let prompt = request.prompt().unwrap_or_default();
        Ok(match request.tool_returns().last() {
            Some(tide) => ModelResponse::text(format!("The water stands at {} metres.", tide.content)),
            None if prompt.contains("Brest") => ModelResponse::tool_call("call_1", "tide", r#"{"port":"Brest"}"#),
            None => {
                ModelResponse::text("That is about as high as a door is wide and a table is long, one upon the other.")
            }
        })
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        let response = self.request(request).await?;
        for word in response.output().split_inclusive(' ').filter(|word| !word.is_empty()) {
            tokio::time::sleep(Duration::from_millis(40)).await;
            deltas.send(Delta::Text(word.to_owned())).await;
        }
        for call in response.tool_calls() {
            deltas.send(Delta::ToolCall(call.clone())).await;
        }
        Ok(response)
    }
}

fn show(event: RunEvent) {
    match event {
        RunEvent::Text(text) => print!("{text}"),
        RunEvent::ToolCall(call) => println!("[asks for {} {}]", call.tool, call.arguments),
        RunEvent::Void => println!(" … no, once more:"),
        RunEvent::Usage(_) => println!(),
        _ => {}
    }
    let _ = std::io::stdout().flush();
}

/// A real model, if there is a key for one.
fn model() -> Result<Arc<dyn Model>, RunError> {
    Ok(match std::env::var("OPENAI_API_KEY") {
        Ok(_) => Arc::new(OpenAi::from_env().map_err(kitaru::agent::AgentError::from)?),
        Err(_) => Arc::new(Slow),
    })
}

/// Whether this run fails between the two turns.
fn is_to_fail() -> bool {
    std::env::var_os("FORCE_FAILURE").is_some()
}

#[flow(reuse = "unfinished")]
async fn tides() -> Result<(), RunError> {
    let agent = Agent::builder(model()?).name("pilot").instructions("You know the sea. Be brief.").tool(tide());
    let agent = KitaruAgent::new(agent.build()?);

    let first = agent.run("How high is the tide in Brest?").on_event(show).await?;
    println!("({} requests paid for, {} replayed)", first.paid().requests, first.replayed().requests);
    if is_to_fail() {
        return Err(Error::msg("FORCE_FAILURE is set, so this fails between the two turns").into());
    }
    let second =
        agent.run("How high is that, to a person inland?").history(first.all_messages()).on_event(show).await?;
    println!("({} requests paid for, {} replayed)", second.paid().requests, second.replayed().requests);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), RunError> {
    tides().await
}
