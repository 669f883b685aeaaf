//! A rig agent whose turns survive the process.
//!
//! The agent looks into a pantry, and then plans a meal of its content.
//!
//! - `FORCE_FAILURE=1` fails between the two turns. Run it again without, and the first turn is not paid for again.
//! - `DISABLE_CACHE=1` runs everything again.

mod script;

use std::env;
use std::process::ExitCode;

use kitaru::{Reuse, flow};
use kitaru_rig::{KitaruRig, RigError, RigUsage};
use rig_agent::{Agent, AgentBuilder};
use rig_core::message::ToolName;
use rig_core::tool::{DynamicTool, ToolOutput};
use serde_json::json;

/// An ordinary agent: nothing in it knows that it will be durable.
fn cook() -> Agent {
    let schema = json!({ "type": "object", "properties": { "shelf": { "type": "string" } }, "required": ["shelf"] });
    let name = ToolName::new("look").expect("a name");
    let look = DynamicTool::new(name, "What is on a shelf of the pantry.", schema, |arguments| {
        let shelf = arguments["shelf"].as_str().unwrap_or_default().to_owned();
        println!("  (a walk to the {shelf} shelf)");
        Box::pin(
            async move { Ok(ToolOutput::text(if shelf == "upper" { "lentils, rice" } else { "onions, carrots" })) },
        )
    });
    // With your own key: `OpenAI::from_env()?.chat("gpt-4.1-mini")`.
    AgentBuilder::named_model("scripted", script::model())
        .name("cook")
        .preamble("You cook with what there is.")
        .default_max_turns(5)
        .dynamic_tool(look)
        .build()
}

#[flow]
async fn plan_a_meal(guests: u32) -> Result<String, RigError> {
    let cook = KitaruRig::new(cook());

    let found = cook.run("What is in the pantry?").configure(|runner| runner.tool_concurrency(2)).await?;
    bill("the first turn", found.paid(), found.replayed());
    if is_on("FORCE_FAILURE") {
        return Err(RigError::Failed("FORCE_FAILURE is set, so this fails between the two turns".to_owned()));
    }
    let planned = cook.run(format!("Plan a meal for {guests}.")).history(found.new_messages().iter().cloned()).await?;
    bill("the second turn", planned.paid(), planned.replayed());
    Ok(planned.output)
}

fn bill(what: &str, paid: RigUsage, replayed: RigUsage) {
    let (paid, replayed) = (paid.requests, replayed.requests);
    println!("{what}: {paid} model requests were paid for, {replayed} came from their records");
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter("kitaru=info")
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .without_time()
        .init();
    let mut call = plan_a_meal(4).reuse(Reuse::Unfinished);
    if is_on("DISABLE_CACHE") {
        call = call.fresh();
    }
    match call.await {
        Ok(meal) => {
            println!("\n{meal}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a variable of the environment is switched on.
fn is_on(name: &str) -> bool {
    env::var(name).is_ok_and(|value| !matches!(value.trim(), "" | "0" | "false"))
}
