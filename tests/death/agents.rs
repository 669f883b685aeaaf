//! Agents over HTTP whose processes crash, against third-party servers. Where a server is not installed, the tests skip
//! and print a line that says so.

mod faults;
mod house;
mod killed;
#[path = "../../kitaru-agent/tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests of the agent use all of it")]
mod llmock;
mod program;
mod small_model;
mod wire;

/// Runs one of the programs, if it is one.
pub(crate) async fn program(name: &str) -> Result<bool, kitaru::Error> {
    Ok(program::run(name).await? || small_model::run(name).await?)
}
