//! The error for an agent without its dependencies.
//~ 3 error[E0277]: an agent runs only with its dependencies, and this one has no `Tides` yet
//~ 3 give them with `.with_deps(…)`
//~ 3 `agent.with_deps(deps)` is cheap, and runs: `agent.with_deps(deps).run(prompt)`, or `KitaruAgent::new(agent.with_deps(deps))`

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
