//! An agent with the tools of an MCP server. Each of their calls is a checkpoint.
//!
//! `cargo run --features mcp --example agent_mcp -- python3 examples/agent_mcp_server.py` starts a server as a process, shows
//! its tools and asks a question. An address instead of a command connects to a server over HTTP. With `OPENAI_API_KEY` (and
//! `OPENAI_BASE_URL`, `OPENAI_MODEL`) a real model answers the question in `QUESTION`. Otherwise a test model calls every tool
//! once.

use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;
use kitaru::agent::{Agent, KitaruAgent, McpServer, Model, OpenAi, TestModel};

fn model() -> anyhow::Result<Arc<dyn Model>> {
    Ok(if std::env::var_os("OPENAI_API_KEY").is_some() {
        Arc::new(OpenAi::from_env()?)
    } else {
        Arc::new(TestModel::new())
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("kitaru=info").with_writer(std::io::stderr).init();
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
    let question = std::env::var("QUESTION").unwrap_or_else(|_| "How high does the water stand at Brest?".to_owned());
    let agent = Agent::builder(model()?).name("helper").tools(tools).build()?;
    println!("{}", KitaruAgent::new(agent).run(question).await?.output);
    Ok(())
}
