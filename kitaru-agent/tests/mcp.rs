//! Tools of MCP servers that the official Python SDK runs. Skipped, with a line that says so, where that is not installed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the server")]
mod support;

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kitaru_agent::{
    Agent, AgentError, FunctionModel, McpServer, Message, ModelResponse, RequestPart, TestModel, ToolOptions,
};

const SERVER: &str = include_str!("../../examples/agent_mcp_server.py");

/// A server that says what its tools do to the world.
const ANNOTATED: &str = r#"
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("effects", log_level="ERROR")

def does(): pass

for name, hints in {
    "silent": None,
    "looks": dict(readOnlyHint=True, destructiveHint=True),
    "sets": dict(idempotentHint=True, destructiveHint=True),
    "drops": dict(destructiveHint=True),
    "adds": dict(readOnlyHint=False, destructiveHint=False),
}.items():
    server.add_tool(does, name=name, annotations=hints and ToolAnnotations(**hints))

server.run(transport="stdio")
"#;

/// What starts the server, over stdio, or over HTTP if its port is among the `args`.
fn command(args: &[&str]) -> Option<Command> {
    python(SERVER, args)
}

fn python(server: &str, args: &[&str]) -> Option<Command> {
    let has_sdk = Command::new("python3").args(["-c", "import mcp.server.mcpserver"]).stderr(Stdio::null()).status();
    if !has_sdk.is_ok_and(|status| status.success()) {
        support::skip("the MCP SDK for Python is not installed; `pip install mcp==2.3.0` to run this test");
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", server]).args(args);
    Some(command)
}

/// A server over HTTP; dropping it ends it.
struct Http(Child, u16);

impl Http {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = command(&[&port.to_string()])?.stdout(Stdio::null()).spawn().unwrap();
        let server = Self(child, port);
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn looks_at_the_tide(server: McpServer) {
    let tools = server.tools().await.unwrap();
    let definition = tools[0].definition();
    assert_eq!((definition.name.as_str(), definition.description.as_str()), ("tide", "How high the water stands."));
    assert_eq!(definition.parameters["required"], serde_json::json!(["port"]));
    let agent = Agent::builder(TestModel::new()).tools(tools).build().unwrap();
    // The tools keep the connection.
    drop(server);
    assert_eq!(agent.run("How high?").await.unwrap().output, r#"{"tide":"3 metres at a"}"#);
}

#[tokio::test]
async fn tools_of_a_server_that_is_a_process_are_listed_and_called() {
    let Some(command) = command(&[]) else { return };
    looks_at_the_tide(McpServer::start(command).await.unwrap()).await;
}

#[tokio::test]
async fn tools_of_a_server_over_http_are_listed_and_called() {
    let Some(server) = Http::start() else { return };
    looks_at_the_tide(McpServer::connect(&format!("http://127.0.0.1:{}/mcp", server.1)).await.unwrap()).await;
}

#[tokio::test]
async fn what_a_server_says_of_its_tools_effects_is_what_they_declare() {
    let Some(command) = python(ANNOTATED, &[]) else { return };
    let tools = McpServer::start(command).await.unwrap().tools().await.unwrap();
    let declared: Vec<_> = tools.iter().map(|tool| (&*tool.definition().name, tool.definition().options)).collect();
    let none = ToolOptions::default();
    let wanted = [
        ("silent", none),
        ("looks", none.read_only()),
        ("sets", none.idempotent()),
        ("drops", none.once()),
        ("adds", none),
    ];
    assert_eq!(declared, wanted);
}

#[tokio::test]
async fn an_error_of_a_servers_tool_goes_back_to_the_model() {
    let Some(command) = command(&[]) else { return };
    let model = FunctionModel::new("diver", |request| match request.messages.len() {
        1 => Ok(ModelResponse::tool_call("call_1", "tide", r#"{"port":"Atlantis"}"#)),
        _ => Ok(ModelResponse::text("never mind")),
    });
    let tools = McpServer::start(command).await.unwrap().tools().await.unwrap();
    let result = Agent::builder(model).tools(tools).build().unwrap().run("How high?").await.unwrap();
    let Message::Request(told) = &result.new_messages.messages()[2] else { panic!("{result:?}") };
    let [RequestPart::RetryPrompt(retry)] = &told.parts[..] else { panic!("{told:?}") };
    assert!(retry.content.contains("it has sunk"), "{}", retry.content);
}

#[tokio::test]
async fn a_server_that_dies_ends_the_run_in_an_error_that_names_it() {
    let Some(server) = Http::start() else { return };
    let tools = McpServer::connect(&format!("http://127.0.0.1:{}/mcp", server.1)).await.unwrap().tools().await.unwrap();
    drop(server);
    let error = Agent::builder(TestModel::new()).tools(tools).build().unwrap().run("How high?").await.unwrap_err();
    let AgentError::Tool { error, .. } = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains("the MCP server `127.0.0.1` failed"), "{error}");
}

#[tokio::test]
async fn what_is_no_server_is_an_error_that_says_so() {
    let error = McpServer::start(Command::new("no-such-server")).await.unwrap_err();
    assert!(error.to_string().contains("`no-such-server` cannot be started"), "{error}");
    let error = McpServer::connect("nowhere").await.unwrap_err();
    assert!(error.to_string().contains("address"), "{error}");
}

#[tokio::test]
async fn an_address_that_holds_a_secret_is_in_no_error() {
    // Nobody listens there any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://ada:hunter2@127.0.0.1:{port}/mcp?token=tok-123");
    let error = McpServer::connect(&url).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(said.contains("the MCP server `127.0.0.1` does not greet back"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("tok-123"), "{said}");
}
