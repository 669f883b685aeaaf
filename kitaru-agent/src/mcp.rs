//! Tools of MCP servers.
//!
//! Owns the connection to a server and the translation of its tools. Must not know who calls them.

use std::{fmt, process, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::Url;
use rmcp::{
    RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, ToolAnnotations},
    service::{RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport, TokioChildProcess, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};

use crate::{Invocation, Tool, ToolDefinition, ToolError, ToolOptions, ToolOutput, http};

/// How long a server may take for one call.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A connection to an MCP server. It lasts as long as this value or one of its tools; a server that was started as a
/// process ends with it.
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
    /// Starts a server as a process and speaks to it over its standard input and output. What it writes to its standard
    /// error goes where this process writes its own.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when it cannot be started, or does not speak MCP.
    pub async fn start(command: process::Command) -> Result<Self, ToolError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = TokioChildProcess::new(tokio::process::Command::from(command))
            .map_err(|error| ToolError::failed(format!("the MCP server `{name}` cannot be started: {error}")))?;
        Self::greet(name, Address::default(), ().serve(child).await)
    }

    /// Speaks to a server over streamable HTTP.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when the address is none, or nobody there speaks MCP.
    pub async fn connect(url: &str) -> Result<Self, ToolError> {
        // The address is not quoted: it may hold a password.
        let base = Url::parse(url)
            .map_err(|error| ToolError::failed(format!("the address of the MCP server is none: {error}")))?;
        let name = base.host_str().unwrap_or_default().to_owned();
        let client = http::plain(&base).map_err(ToolError::failed)?;
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let address = Address::of(base);
        Self::greet(name, address, ().serve(StreamableHttpClientTransport::with_client(client, config)).await)
    }

    fn greet<E: fmt::Display>(
        name: String,
        address: Address,
        greeted: Result<RunningService<RoleClient, ()>, E>,
    ) -> Result<Self, ToolError> {
        match greeted {
            Ok(service) => Ok(Self { service: Arc::new(service), name: name.into(), address }),
            Err(error) => {
                let error = address.hide(&error.to_string());
                Err(ToolError::failed(format!("the MCP server `{name}` does not greet back: {error}")))
            }
        }
    }

    /// The tools that the server has now. What it says of their effects is taken at its word: `readOnlyHint` and
    /// `idempotentHint` as [`read_only`](ToolOptions::read_only) and [`idempotent`](ToolOptions::idempotent), and a tool that
    /// says that it destroys something, and not that it may do so twice, is called [`once`](ToolOptions::once).
    /// [`KitaruAgent::tool_options`](crate::KitaruAgent::tool_options) overrides it.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] when it does not say.
    pub async fn tools(&self) -> Result<Vec<Arc<dyn Tool>>, ToolError> {
        let listed = tokio::time::timeout(TIMEOUT, self.service.list_all_tools()).await;
        let tools = listed.map_err(|_| self.late("its list of tools"))?.map_err(|error| self.failed(&error))?;
        let tool = |tool: rmcp::model::Tool| -> Arc<dyn Tool> {
            let description = tool.description.unwrap_or_default();
            let definition =
                ToolDefinition::new(tool.name, description).parameters((*tool.input_schema).clone().into());
            let options = tool.annotations.as_ref().map(declared).unwrap_or_default();
            Arc::new(McpTool { server: self.clone(), definition: definition.options(options) })
        };
        Ok(tools.into_iter().map(tool).collect())
    }

    fn failed(&self, error: &ServiceError) -> ToolError {
        let error = self.address.hide(&error.to_string());
        ToolError::failed(format!("the MCP server `{}` failed: {error}", self.name))
    }

    fn late(&self, what: &str) -> ToolError {
        ToolError::failed(format!("the MCP server `{}` did not give {what} within {TIMEOUT:?}", self.name))
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
        let called = tokio::time::timeout(TIMEOUT, self.server.service.call_tool(params)).await;
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
