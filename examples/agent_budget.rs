//! Two agents with one budget that holds across crashes: what one attempt paid counts for the next one too.
//!
//! `cargo run --example agent_budget` plans a dig. A model that never finishes then digs until the budget is used up, twice.
//! The second attempt pays for nothing, because the journal contains the cost of the first one.

use kitaru::agent::{
    Agent, AgentError, Bill, Budget, Cost, FunctionModel, KitaruAgent, ModelResponse, Price, RunError, Tokens,
};
use kitaru::{Kitaru, flow, tool};

/// Digs one metre deeper.
#[tool]
async fn dig() -> &'static str {
    "nothing but sand"
}

fn agent(name: &str, answer: fn() -> ModelResponse) -> Result<KitaruAgent, AgentError> {
    let model = FunctionModel::new("mock", move |_| {
        eprintln!("(the model is asked)");
        Ok(answer().with_tokens(Tokens::new(2_000, 50)))
    });
    let agent = Agent::builder(model).name(name).tool(dig()).price(Price::per_million(3.00, 15.00)).build()?;
    Ok(KitaruAgent::new(agent))
}

#[flow]
async fn treasure() -> Result<String, RunError> {
    let planner = agent("planner", || ModelResponse::text("Dig below the palm."))?;
    let digger = agent("digger", || ModelResponse::tool_call("call", "dig", "{}"))?;
    let budget = Budget::new().cost(Cost::of(0.02));
    let plan = planner.run("Where may it be?").budget(&budget).await?.output;
    println!("{plan} ({} $ so far, {} $ of it now)", budget.usage().cost, budget.bill().paid.cost);
    Ok(digger.run(plan).budget(&budget).await?.output)
}

#[tokio::main]
async fn main() -> Result<(), kitaru::Error> {
    let kitaru = Kitaru::builder().in_memory().open().await?;
    for attempt in 1..=2 {
        println!("Attempt {attempt}");
        if let Err(error) = treasure().id("island").on(&kitaru).await {
            println!("It ended: {error}");
        }
        if let Some(execution) = kitaru.execution(("treasure", "island")).await? {
            let Bill { paid, replayed, .. } = Bill::of(&execution);
            println!("{} requests paid now, {} before\n", paid.requests, replayed.requests);
        }
    }
    kitaru.close().await
}
