//! The error for an agent without its dependencies.

use kitaru::agent::{Agent, KitaruAgent, RunContext, TestModel};
use kitaru::tool;

struct Tides;

/// How high the water stands.
#[tool]
async fn tide(context: &RunContext<Tides>) -> u32 {
    let Tides = *context.deps;
    3
}

fn agent() -> Agent<Tides> {
    Agent::builder(TestModel::new()).deps::<Tides>().tool(tide()).build().unwrap()
}

async fn plain() {
    drop(agent().run("How high?").await);
}

fn streamed() {
    drop(agent().run_stream("How high?"));
}

fn durable() {
    drop(KitaruAgent::new(agent()));
}

fn main() {}
