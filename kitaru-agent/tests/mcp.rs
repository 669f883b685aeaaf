//! Tools of MCP servers that the official Python SDK runs. Skipped, with a line that says so, if that is not installed.
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

/// A server that declares the effects of its tools.
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

/// The command of the server, over stdio, or over HTTP if its port is among the `args`.
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

/// A server over HTTP. It ends when this is dropped.
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
async fn declared_effects_of_a_servers_tools_become_their_options() {
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
async fn crashed_server_ends_the_run_in_an_error_that_names_it() {
    let Some(server) = Http::start() else { return };
    let tools = McpServer::connect(&format!("http://127.0.0.1:{}/mcp", server.1)).await.unwrap().tools().await.unwrap();
    drop(server);
    let error = Agent::builder(TestModel::new()).tools(tools).build().unwrap().run("How high?").await.unwrap_err();
    let AgentError::Tool { error, .. } = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains("cannot ask the MCP server `127.0.0.1`"), "{error}");
}

#[tokio::test]
async fn command_and_address_that_are_not_a_server_are_errors() {
    let error = McpServer::start(Command::new("no-such-server")).await.unwrap_err();
    assert!(error.to_string().contains("cannot start the MCP server `no-such-server`"), "{error}");
    let error = McpServer::connect("nowhere").await.unwrap_err();
    assert!(error.to_string().contains("address"), "{error}");
}

#[tokio::test]
async fn address_with_a_secret_is_in_no_error() {
    // Nothing listens there any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://ada:hunter2@127.0.0.1:{port}/mcp?token=tok-123");
    let error = McpServer::connect(&url).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(said.contains("the MCP server `127.0.0.1`: it did not complete the handshake"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("tok-123"), "{said}");
}

/// A process that answers each line of its input with the value of `answer`, a Python expression over the request. It needs no
/// SDK.
fn scripted(answer: &str) -> Command {
    const SERVER: &str = r#"
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    id, params = request.get("id"), request.get("params", {})
    if id is None:
        continue
    if request["method"] == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "scripted", "version": "1"}}
    else:
        result = ANSWER
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
"#;
    let mut command = Command::new("python3");
    command.args(["-c", &SERVER.replace("ANSWER", answer)]);
    command
}

/// Whether the process `id` still exists.
fn lives(id: &str) -> bool {
    Command::new("kill").args(["-0", id]).stderr(Stdio::null()).status().unwrap().success()
}

#[tokio::test]
async fn server_without_a_handshake_times_out_and_its_process_ends() {
    let soon = Duration::from_millis(500);
    for says in ["", "echo garbage;", "printf {;"] {
        let file = std::env::temp_dir().join(format!("kitaru-mcp-{}-{}", std::process::id(), says.len()));
        let script = format!("echo $$ > {}; {says} exec sleep 1000", file.display());
        let mut silent = Command::new("sh");
        silent.args(["-c", &script]);
        let starting = McpServer::builder().greeting_timeout(soon).start(silent);
        let started = tokio::time::timeout(Duration::from_secs(20), starting).await;
        let error = started.expect("it is given up after its time").unwrap_err();
        assert!(error.to_string().contains("the MCP server `sh`: no handshake within 500ms"), "{error}");
        let id = std::fs::read_to_string(&file).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while lives(id.trim()) {
            assert!(Instant::now() < deadline, "the process {id} lives on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::fs::remove_file(file).unwrap();
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let error = McpServer::builder().greeting_timeout(soon).connect(&url).await.unwrap_err();
    assert!(error.to_string().contains("no handshake within 500ms"), "{error}");
}

#[tokio::test]
async fn call_that_a_server_does_not_answer_times_out() {
    let silent = scripted("__import__('time').sleep(1000)");
    let server = McpServer::builder().call_timeout(Duration::from_millis(100)).start(silent).await.unwrap();
    let error = server.tools().await.err().unwrap();
    assert!(error.to_string().contains("did not send its list of tools within 100ms"), "{error}");
}

#[test]
fn times_of_a_server_are_those_of_the_docs_unless_set() {
    let builder = format!("{:?}", McpServer::builder());
    assert!(builder.contains("greeting_timeout: 60s") && builder.contains("call_timeout: 300s"), "{builder}");
    let set = McpServer::builder().greeting_timeout(Duration::from_secs(1)).call_timeout(Duration::from_secs(2));
    assert!(format!("{set:?}").contains("greeting_timeout: 1s, call_timeout: 2s"), "{set:?}");
}

#[tokio::test]
async fn a_list_of_tools_is_bounded_in_pages_in_tools_and_in_bytes() {
    let tool = |name: &str, description: &str| {
        format!("{{'name': {name}, 'description': {description}, 'inputSchema': {{'type': 'object'}}}}")
    };
    let (few, many, large) = (tool("'t'", "''"), tool("'t%d' % n", "''"), tool("'t'", "'x' * 5000000"));
    for (answer, bound) in [
        (format!("{{'tools': [{few}], 'nextCursor': str(id)}}"), "more than 100 pages"),
        (format!("{{'tools': [{many} for n in range(1001)]}}"), "more than 1000 tools"),
        (format!("{{'tools': [{large}]}}"), "more than 4194304 bytes"),
    ] {
        let server = McpServer::start(scripted(&answer)).await.unwrap();
        let error = server.tools().await.err().unwrap();
        assert!(error.to_string().contains(bound), "{error}");
    }
    let two = format!(
        "{{'tools': [{}], **({{'nextCursor': 'n'}} if not params.get('cursor') else {{}})}}",
        tool("'t%d' % id", "''")
    );
    let server = McpServer::start(scripted(&two)).await.unwrap();
    assert_eq!(server.tools().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_tool_whose_schema_cannot_be_checked_in_bounds_is_refused_by_its_name() {
    let bomb = "{'tools': [{'name': 'bomb', 'inputSchema': {'type': 'object', '$ref': '#/$defs/d0', '$defs': {**{'d%d' % n: \
                {'allOf': [{'$ref': '#/$defs/d%d' % (n + 1)}] * 2} for n in range(31)}, 'd31': {}}}}]}";
    let server = McpServer::start(scripted(bomb)).await.unwrap();
    let built = Agent::builder(TestModel::new()).tools(server.tools().await.unwrap()).build();
    let error = built.unwrap_err().to_string();
    assert!(error.contains("tool `bomb`") && error.contains("more than 300000 steps"), "{error}");
}
