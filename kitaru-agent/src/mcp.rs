//! Tools of MCP servers.
//!
//! Owns the connection to a server and the translation of its tools. Must not know who calls them.

use std::{fmt, future::Future, process, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::Url;
use rmcp::{
    RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, PaginatedRequestParams, ToolAnnotations},
    service::{RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport, TokioChildProcess, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};

use crate::error::ToolError;
use crate::http;
use crate::tool::{Invocation, Tool, ToolDefinition, ToolOptions, ToolOutput};

/// A list of tools of more pages is not read to its end.
const MAX_PAGES: usize = 100;
/// Nor is one of more tools: each of them is told to the model in every request.
const MAX_TOOLS: usize = 1000;
/// Nor is one whose names, descriptions and schemas are larger.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// A connection to an MCP server. It lasts as long as this value or one of its tools.
///
/// A server that was started as a process ends with it: it is asked to end, and killed if it does not. Where this process
/// dies or aborts first, the end of the server's input is all that tells it; one that ignores that lives on. The process
/// has the environment and the folder of this one, its keys included, unless the command says otherwise (`env_clear`,
/// `env_remove`).
///
/// What a server says is bounded: a minute to greet, 5 minutes for a call and for its list of tools, 16 MiB for one
/// message, and for the list 100 pages, 1,000 tools and 4 MiB. See [`builder`](Self::builder) for other times.
///
/// # Examples
///
/// ```no_run
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use std::process::Command;
/// use kitaru::agent::{Agent, McpServer, TestModel};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut clock = Command::new("uvx");
/// clock.arg("mcp-server-time");
/// let server = McpServer::start(clock).await?;
/// let agent = Agent::builder(TestModel::new()).tools(server.tools().await?).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct McpServer {
    service: Arc<RunningService<RoleClient, ()>>,
    name: Arc<str>,
    address: Address,
    call_timeout: Duration,
}

/// How an MCP server is reached.
#[must_use = "call `.start()` or `.connect()` to get the server"]
#[derive(Clone, Debug)]
pub struct McpBuilder {
    greeting_timeout: Duration,
    call_timeout: Duration,
}

/// The address of a server, as the texts of others' errors quote it: it may hold a token, and errors are recorded.
#[derive(Clone, Default)]
struct Address(Arc<[String]>);

impl Address {
    fn of(mut url: Url) -> Self {
        let given = url.to_string();
        // The client takes name and password out before it sends, and quotes what is left.
        let _ = (url.set_username(""), url.set_password(None));
        Address(Arc::new([given, url.to_string()]))
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, address| text.replace(address, "[address]"))
    }
}

impl McpServer {
    /// Begins a connection with other times than those that hold unless set.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use std::{process::Command, time::Duration};
    /// use kitaru::agent::McpServer;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let slow = McpServer::builder().greeting_timeout(Duration::from_secs(120));
    /// let server = slow.start(Command::new("slow-server")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> McpBuilder {
        McpBuilder { greeting_timeout: Duration::from_secs(60), call_timeout: Duration::from_secs(300) }
    }

    /// Starts a server as a process and speaks to it over its standard input and output. What it writes to its standard
    /// error goes where this process writes its own.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when it cannot be started, does not speak MCP, or does not greet within a minute.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process.
    pub async fn start(command: process::Command) -> Result<Self, ToolError> {
        Self::builder().start(command).await
    }

    /// Speaks to a server over streamable HTTP.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when the address is none, nobody there speaks MCP, or nobody greets within a minute.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(url: &str) -> Result<Self, ToolError> {
        Self::builder().connect(url).await
    }

    /// The tools that the server has now. What it says of their effects is taken at its word: `readOnlyHint` and
    /// `idempotentHint` as [`read_only`](ToolOptions::read_only) and [`idempotent`](ToolOptions::idempotent), and a tool that
    /// says that it destroys something, and not that it may do so twice, is called [`once`](ToolOptions::once).
    /// [`KitaruAgent::tool_options`](crate::KitaruAgent::tool_options) overrides it.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when it does not say, or says more than is read: 100 pages, 1,000 tools, 4 MiB.
    pub async fn tools(&self) -> Result<Vec<Arc<dyn Tool>>, ToolError> {
        let listed = tokio::time::timeout(self.call_timeout, self.listed()).await;
        let tools = listed.map_err(|_| self.late("its list of tools"))??;
        let tool = |tool: rmcp::model::Tool| -> Arc<dyn Tool> {
            let description = tool.description.unwrap_or_default();
            let definition =
                ToolDefinition::new(tool.name, description).parameters((*tool.input_schema).clone().into());
            let options = tool.annotations.as_ref().map(declared).unwrap_or_default();
            Arc::new(McpTool { server: self.clone(), definition: definition.options(options) })
        };
        Ok(tools.into_iter().map(tool).collect())
    }

    /// All pages of the list.
    async fn listed(&self) -> Result<Vec<rmcp::model::Tool>, ToolError> {
        let too_much = |what: &str| {
            ToolError::failed(format!(
                "cannot list the tools of the MCP server `{}`: it has more than {what}",
                self.name
            ))
        };
        let (mut tools, mut bytes, mut cursor) = (Vec::new(), 0, None);
        for _ in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.service.list_tools(Some(params)).await.map_err(|error| self.failed(&error))?;
            for tool in page.tools {
                bytes += serde_json::to_vec(&tool).map_err(ToolError::failed)?.len();
                tools.push(tool);
                if tools.len() > MAX_TOOLS {
                    return Err(too_much(&format!("{MAX_TOOLS} tools")));
                }
                if bytes > MAX_LIST_BYTES {
                    return Err(too_much(&format!("{MAX_LIST_BYTES} bytes of them")));
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err(too_much(&format!("{MAX_PAGES} pages of them")))
    }

    fn failed(&self, error: &ServiceError) -> ToolError {
        let error = self.address.hide(&error.to_string());
        ToolError::failed(format!("the MCP server `{}` failed: {error}", self.name))
    }

    fn late(&self, what: &str) -> ToolError {
        let within = self.call_timeout;
        ToolError::failed(format!(
            "the MCP server `{}` did not give {what} within {within:?}; allow more with `McpServer::builder()`",
            self.name
        ))
    }
}

impl McpBuilder {
    /// How long a server may take to start and to greet; a minute unless set.
    pub fn greeting_timeout(self, timeout: Duration) -> Self {
        Self { greeting_timeout: timeout, ..self }
    }

    /// How long a server may take for one call of a tool, and for its list of tools; 5 minutes unless set.
    pub fn call_timeout(self, timeout: Duration) -> Self {
        Self { call_timeout: timeout, ..self }
    }

    /// Starts a server as a process, as [`McpServer::start`] does.
    ///
    /// # Errors
    ///
    /// As [`McpServer::start`].
    pub async fn start(self, command: process::Command) -> Result<McpServer, ToolError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut command = tokio::process::Command::from(command);
        // Also where the runtime ends before the server does.
        command.kill_on_drop(true);
        let child = TokioChildProcess::new(command)
            .map_err(|error| ToolError::failed(format!("the MCP server `{name}` cannot be started: {error}")))?;
        self.greet(name, Address::default(), ().serve(child)).await
    }

    /// Speaks to a server over streamable HTTP, as [`McpServer::connect`] does.
    ///
    /// # Errors
    ///
    /// As [`McpServer::connect`].
    pub async fn connect(self, url: &str) -> Result<McpServer, ToolError> {
        // The address is not quoted: it may hold a password.
        let base = Url::parse(url)
            .map_err(|error| ToolError::failed(format!("the address of the MCP server is none: {error}")))?;
        let name = base.host_str().unwrap_or_default().to_owned();
        let client = http::plain(&base).map_err(ToolError::failed)?;
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let address = Address::of(base);
        self.greet(name, address, ().serve(StreamableHttpClientTransport::with_client(client, config))).await
    }

    async fn greet<E: fmt::Display>(
        self,
        name: String,
        address: Address,
        greeting: impl Future<Output = Result<RunningService<RoleClient, ()>, E>>,
    ) -> Result<McpServer, ToolError> {
        let within = self.greeting_timeout;
        match tokio::time::timeout(within, greeting).await {
            Ok(Ok(service)) => Ok(McpServer {
                service: Arc::new(service),
                name: name.into(),
                address,
                call_timeout: self.call_timeout,
            }),
            Ok(Err(error)) => {
                let error = address.hide(&error.to_string());
                Err(ToolError::failed(format!("the MCP server `{name}` does not greet back: {error}")))
            }
            Err(_) => Err(ToolError::failed(format!(
                "the MCP server `{name}` does not greet back within {within:?}; allow more with \
                 `McpServer::builder().greeting_timeout(…)`"
            ))),
        }
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("McpServer").field(&self.name).finish()
    }
}

struct McpTool {
    server: McpServer,
    definition: ToolDefinition,
}

#[async_trait]
impl Tool for McpTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, call: Invocation) -> Result<ToolOutput, ToolError> {
        let params = CallToolRequestParams::new(self.definition.name.clone()).with_arguments(call.arguments.parse()?);
        let called = tokio::time::timeout(self.server.call_timeout, self.server.service.call_tool(params)).await;
        match called.map_err(|_| self.server.late("an answer"))? {
            Ok(result) => told(&result),
            // Its own word for arguments that it does not take.
            Err(ServiceError::McpError(error)) if error.code == rmcp::model::ErrorCode::INVALID_PARAMS => {
                Err(ToolError::retry(error.message))
            }
            Err(error) => Err(self.server.failed(&error)),
        }
    }
}

/// What a server says of a tool's effect. The protocol presumes that a tool destroys something; what is presumed of all is
/// said of none.
fn declared(said: &ToolAnnotations) -> ToolOptions {
    let options = ToolOptions::default();
    if said.read_only_hint == Some(true) {
        options.read_only()
    } else if said.idempotent_hint == Some(true) {
        options.idempotent()
    } else if said.destructive_hint == Some(true) {
        options.once()
    } else {
        options
    }
}

/// What the model is told: texts as they are, anything else as JSON. An error of the tool is for the model to correct.
fn told(result: &CallToolResult) -> Result<ToolOutput, ToolError> {
    let mut parts = Vec::with_capacity(result.content.len());
    for block in &result.content {
        parts.push(match block {
            ContentBlock::Text(text) => text.text.clone(),
            other => serde_json::to_string(other).map_err(ToolError::failed)?,
        });
    }
    if let (true, Some(value)) = (parts.is_empty(), &result.structured_content) {
        parts.push(value.to_string());
    }
    let content = parts.join("\n");
    if result.is_error == Some(true) { Err(ToolError::retry(content)) } else { Ok(ToolOutput::text(content)) }
}
