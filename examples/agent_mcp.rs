//! An agent with the tools of an MCP server, each of whose calls is a checkpoint.
//!
//! `cargo run --features mcp --example agent_mcp -- uvx mcp-server-time` starts a server as a process and shows its tools;
//! an address in place of a command is that of a server over HTTP. With `OPENAI_API_KEY` (and `OPENAI_BASE_URL`,
//! `OPENAI_MODEL`) and a question in `QUESTION`, a model answers it with them.

use std::process::Command;

use anyhow::Context as _;
use kitaru::agent::{Agent, KitaruAgent, McpServer, OpenAi};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (program, rest) = args.split_first().context("the command of an MCP server, or its address")?;
    let server = if program.starts_with("http") {
        McpServer::connect(program).await?
    } else {
        let mut command = Command::new(program);
        command.args(rest);
        McpServer::start(command).await?
    };
    let tools = server.tools().await?;
    for tool in &tools {
        println!("{}: {}", tool.definition().name, tool.definition().description);
    }
    let Ok(question) = std::env::var("QUESTION") else { return Ok(()) };
    let agent = Agent::builder(OpenAi::from_env()?).name("helper").tools(tools).build()?;
    println!("{}", KitaruAgent::new(agent).run(question).await?.output);
    Ok(())
}
