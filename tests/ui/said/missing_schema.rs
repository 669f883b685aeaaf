//! The error for a type that comes from outside and has no schema.
//~ 3 error[E0277]: `City` cannot be the answer to a `kitaru::wait`
//~ 3 an answer comes from outside as JSON, and its schema is shown to the person or program that answers
//~ 1 error[E0277]: `City` cannot be an argument of a tool
//~ 1 error[E0277]: `std::option::Option<Vec<City>>` cannot be an argument of a tool
//~ 2 a model sends an argument as JSON, and receives its schema
//~ 1 error[E0277]: `City` cannot be the answer of an agent
//~ 1 a model sends a typed answer as JSON, and receives its schema
//~ 6 has no `serde::Deserialize` and `schemars::JsonSchema`
//~ 5 write `#[derive(serde::Deserialize, schemars::JsonSchema)]` on `City`

use kitaru::agent::{Agent, TestModel};
use kitaru::{Error, flow, tool};

#[derive(serde::Serialize, serde::Deserialize)]
struct City {
    name: String,
}

/// Looks up the weather.
#[tool]
async fn weather(city: City, days: Option<Vec<City>>) -> String {
    drop(days);
    city.name
}

#[flow]
async fn asks() -> Result<String, Error> {
    Ok(kitaru::wait::<City>("city").await?.name)
}

fn answers() {
    let agent = Agent::builder(TestModel::new()).tool(weather()).output::<City>().build();
    drop(agent);
}

fn main() {}
