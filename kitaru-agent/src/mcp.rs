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
use crate::message::Media;
use crate::tool::{Invocation, Tool, ToolDefinition, ToolOptions, ToolOutput};

/// A tool list with more pages is not read to its end.
const MAX_PAGES: usize = 100;
/// Nor is a list with more tools: every request contains each of them.
const MAX_TOOLS: usize = 1000;
/// Nor is a list with larger names, descriptions and schemas.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// A connection to an MCP server. It lasts as long as this value or one of its tools.
///
/// A server that was started as a process ends with the connection: it is asked to exit, and killed if it does not. If this
/// process crashes first, only the end of its input tells the server; a server that ignores it keeps running. The server
/// inherits the environment and the folder of this process, keys included, unless the command sets others (`env_clear`,
/// `env_remove`).
///
/// Waits and sizes are bounded: a minute for the handshake, 5 minutes for a call and for the tool list, 16 MiB for one message,
/// and for the list 100 pages, 1,000 tools and 4 MiB. [`builder`](Self::builder) sets other times.
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

/// Options for the connection to an MCP server.
#[must_use = "call `.start()` or `.connect()` to get the server"]
#[derive(Clone, Debug)]
pub struct McpBuilder {
    greeting_timeout: Duration,
    call_timeout: Duration,
}

/// The address of a server, in the forms in which other libraries' errors quote it: it may contain a token, and errors are
/// recorded.
#[derive(Clone, Default)]
struct Address(Arc<[String]>);

impl Address {
    fn of(mut url: Url) -> Self {
        let given = url.to_string();
        // The client removes name and password before it sends, and quotes the rest.
        let _ = (url.set_username(""), url.set_password(None));
        Address(Arc::new([given, url.to_string()]))
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, address| text.replace(address, "[address]"))
    }
}

impl McpServer {
    /// A builder that can set other timeouts.
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

    /// Starts a server as a process and connects to its standard input and output. Its standard error is that of this process.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when the server cannot be started, does not speak MCP, or does not complete the handshake within a
    /// minute.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the process.
    pub async fn start(command: process::Command) -> Result<Self, ToolError> {
        Self::builder().start(command).await
    }

    /// Connects to a server over streamable HTTP.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when the address is invalid, the server does not speak MCP, or it does not complete the handshake
    /// within a minute.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(url: &str) -> Result<Self, ToolError> {
        Self::builder().connect(url).await
    }

    /// The tools that the server has now. Its statements about their effects are trusted: `readOnlyHint` and `idempotentHint`
    /// become [`read_only`](ToolOptions::read_only) and [`idempotent`](ToolOptions::idempotent). A tool that declares itself
    /// destructive, and not idempotent, is called [`once`](ToolOptions::once).
    /// [`KitaruAgent::tool_options`](crate::KitaruAgent::tool_options) overrides these options.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when the server does not answer, or sends more than the bounds: 100 pages, 1,000 tools, 4 MiB.
    ///
    /// # Cancel safety
    ///
    /// It only asks. The server may still answer.
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
        ToolError::failed(format!("cannot ask the MCP server `{}`: {error}", self.name))
    }

    fn late(&self, what: &str) -> ToolError {
        let within = self.call_timeout;
        ToolError::failed(format!(
            "cannot ask the MCP server `{}`: it did not send {what} within {within:?}; allow more with `McpServer::builder()`",
            self.name
        ))
    }
}

impl McpBuilder {
    /// How long a server may take to start and to complete the handshake; a minute unless set.
    pub fn greeting_timeout(self, timeout: Duration) -> Self {
        Self { greeting_timeout: timeout, ..self }
    }

    /// How long a server may take for one tool call, and for its tool list; 5 minutes unless set.
    pub fn call_timeout(self, timeout: Duration) -> Self {
        Self { call_timeout: timeout, ..self }
    }

    /// Starts a server as a process, as [`McpServer::start`] does.
    ///
    /// # Errors
    ///
    /// As [`McpServer::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`McpServer::start`].
    pub async fn start(self, command: process::Command) -> Result<McpServer, ToolError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut command = tokio::process::Command::from(command);
        // Also if the runtime ends before the server.
        command.kill_on_drop(true);
        let child = TokioChildProcess::new(command)
            .map_err(|error| ToolError::failed(format!("cannot start the MCP server `{name}`: {error}")))?;
        self.greet(name, Address::default(), ().serve(child)).await
    }

    /// Connects to a server over streamable HTTP, as [`McpServer::connect`] does.
    ///
    /// # Errors
    ///
    /// As [`McpServer::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`McpServer::connect`].
    pub async fn connect(self, url: &str) -> Result<McpServer, ToolError> {
        // The address is not quoted: it may contain a password.
        let base = Url::parse(url).map_err(|error| {
            ToolError::failed(format!("cannot connect to the MCP server: its address is invalid: {error}"))
        })?;
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
                Err(ToolError::failed(format!(
                    "cannot connect to the MCP server `{name}`: it did not complete the handshake: {error}"
                )))
            }
            Err(_) => Err(ToolError::failed(format!(
                "cannot connect to the MCP server `{name}`: no handshake within {within:?}; set `McpBuilder::greeting_timeout`"
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
            Ok(result) => output(&result),
            // The protocol's error for arguments that the tool does not accept.
            Err(ServiceError::McpError(error)) if error.code == rmcp::model::ErrorCode::INVALID_PARAMS => {
                Err(ToolError::retry(error.message))
            }
            Err(error) => Err(self.server.failed(&error)),
        }
    }
}

/// The effect that a server declares for a tool. The protocol's default is that a tool is destructive; a default declares
/// nothing.
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

/// The output for the model: texts unchanged, anything else as JSON. The model must correct an error of the tool.
fn output(result: &CallToolResult) -> Result<ToolOutput, ToolError> {
    let (mut parts, mut media) = (Vec::with_capacity(result.content.len()), Vec::new());
    for block in &result.content {
        let seen = match block {
            ContentBlock::Image(image) => Media::from_base64(&image.mime_type, &image.data),
            ContentBlock::Audio(audio) => Media::from_base64(&audio.mime_type, &audio.data),
            _ => None,
        };
        match (block, seen) {
            (_, Some(seen)) => media.push(seen),
            (ContentBlock::Text(text), None) => parts.push(text.text.clone()),
            (other, None) => parts.push(serde_json::to_string(other).map_err(ToolError::failed)?),
        }
    }
    if let (true, true, Some(value)) = (parts.is_empty(), media.is_empty(), &result.structured_content) {
        parts.push(value.to_string());
    }
    let content = parts.join("\n");
    if result.is_error == Some(true) {
        return Err(ToolError::retry(content));
    }
    Ok(media.into_iter().fold(ToolOutput::text(content), ToolOutput::with))
}
