//! The error for a type that comes from outside and has no schema.

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
