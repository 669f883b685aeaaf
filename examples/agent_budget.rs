//! An agent with a budget that holds across crashes: what an attempt has paid for counts for the next one too.
//!
//! `cargo run --example agent_budget` lets a model that never comes to an end run into its limit, twice; the second
//! attempt pays for nothing, because the journal says what the first one has spent.

use kitaru::agent::{
    Agent, Cost, FunctionModel, KitaruAgent, Limits, ModelResponse, Price, RunError, RunEvent, Tokens,
};
use kitaru::{Kitaru, flow, tool};

/// Digs one metre deeper.
#[tool]
async fn dig() -> &'static str {
    "nothing but sand"
}

#[flow]
async fn treasure() -> Result<String, RunError> {
    let model = FunctionModel::new("digger", |_| {
        eprintln!("(the model is asked)");
        Ok(ModelResponse::tool_call("call", "dig", "{}").with_tokens(Tokens::new(2_000, 50)))
    });
    let agent = Agent::builder(model)
        .name("digger")
        .tool(dig())
        .price(Price::per_million(3.00, 15.00))
        .limits(Limits::default().cost(Cost::of(0.02)).tool_calls(100))
        .build()?;
    let run = KitaruAgent::new(agent).run("Find the treasure.").on_event(|event| {
        if let RunEvent::Usage(usage) = event {
            println!("{} requests, {} tokens in, {} $ so far", usage.requests, usage.tokens.input, usage.cost);
        }
    });
    Ok(run.await?.output)
}

#[tokio::main]
async fn main() -> Result<(), kitaru::Error> {
    let kitaru = Kitaru::builder().in_memory().open().await?;
    for attempt in 1..=2 {
        println!("Attempt {attempt}");
        if let Err(error) = treasure().id("island").on(&kitaru).await {
            println!("It ended: {error}\n");
        }
    }
    kitaru.close().await
}
