//! Tools of every kind, under hostile names and with all lints denied.
#![deny(warnings, missing_docs, unused, nonstandard_style, rust_2018_idioms, unreachable_pub)]

extern crate kitaru as renamed;

use kitaru::agent::{Agent, RunContext, TestModel};
use kitaru::tool;

#[allow(non_camel_case_types, dead_code)]
mod hostile {
    pub(crate) struct Result;
    pub(crate) struct Option;
    pub(crate) struct String;
    pub(crate) struct Some;
    pub(crate) struct Ok;
    pub(crate) mod serde {}
    pub(crate) mod schemars {}
    pub(crate) mod core {}

    /// Adds where nothing is called as usual.
    #[kitaru::tool]
    pub(crate) async fn add(arguments: u8, definition: u8, run: u8) -> ::core::result::Result<u8, ::std::io::Error> {
        ::core::result::Result::Ok(arguments + definition + run)
    }
}

/// What the tools are handed.
pub struct Deps;

/// Takes the context by value, under another path, through another name of the crate.
#[tool(name = "by-value", crate = renamed)]
async fn by_value(context: kitaru::agent::RunContext<Deps>, mut n: u8) -> Result<u8, kitaru::agent::ToolError> {
    let Deps = *context.deps;
    n += 1;
    Ok(n)
}

/// Takes the context alone, and needs no dependencies.
#[tool]
pub(crate) async fn alone(_: &RunContext) -> std::io::Result<()> {
    Ok(())
}

/// Is deprecated and conditional.
#[cfg(all())]
#[tool]
async fn r#type(r#fn: Vec<(u8, f64)>, maybe: Option<String>) -> Option<usize> {
    maybe.map(|text| text.len() + r#fn.len())
}

/// Is not there.
#[cfg(any())]
#[tool]
async fn absent() {}

#[doc = include_str!("../described.md")]
#[tool]
async fn described() {}

fn main() {
    let agent = Agent::builder(TestModel::new()).tool(alone()).tool(hostile::add()).tool(r#type()).tool(described());
    let agent = agent.deps::<Deps>().tool(by_value()).build().expect("an agent");
    let by_value = agent.with_deps(Deps).tools().len();
    assert_eq!(by_value, 5, "a variable may be called as a tool is");
    let told = agent.tools()[3].definition().description.clone();
    assert_eq!(told, "Is described elsewhere.");
}
