//! A plain LLM agent: messages, models, tools and the loop between them.
//!
//! An [`Agent`] sends a prompt to a [`Model`], runs the [`Tool`]s that the model calls, sends back their outputs, and ends when
//! the model answers in text. These modules do not depend on durability: they contain no clock, no store and no journal. Models
//! and tools are traits, so a decorator around each of them sees every call.
//!
//! ```
//! # mod kitaru { pub use kitaru_agent as agent; }
//! use kitaru::agent::{
//!     Agent, FunctionModel, FunctionTool, Invocation, ModelResponse, ToolDefinition, ToolError, ToolOutput,
//! };
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tide = FunctionTool::new(
//!     ToolDefinition::new("tide", "How high the water stands.").parameters(json!({
//!         "type": "object",
//!         "properties": { "port": { "type": "string" } },
//!         "required": ["port"],
//!     })),
//!     |call: Invocation| async move {
//!         #[derive(serde::Deserialize)]
//!         struct Arguments {
//!             port: String,
//!         }
//!         let Arguments { port } = call.arguments.parse()?;
//!         Ok::<_, ToolError>(ToolOutput::text(format!("3.2 m at {port}")))
//!     },
//! );
//! // In place of a real model: it asks for the tool, then says what the tool gave.
//! let model = FunctionModel::new("mock", |request| match request.tool_returns().last() {
//!     None => Ok(ModelResponse::tool_call("call_1", "tide", r#"{"port":"Brest"}"#)),
//!     Some(tide) => Ok(ModelResponse::text(format!("The water stands at {}.", tide.content))),
//! });
//!
//! let agent = Agent::builder(model).instructions("You know the sea.").tool(tide).build()?;
//! let result = agent.run("How high is the tide in Brest?").await?;
//! assert_eq!(result.output, "The water stands at 3.2 m at Brest.");
//! assert_eq!((result.usage.requests, result.usage.tool_calls), (2, 1));
//! # Ok(())
//! # }
//! ```

#[doc(hidden)]
pub mod __private;
mod agent;
mod answer;
#[cfg(feature = "anthropic")]
mod anthropic;
mod asking;
mod blocking;
mod budget;
mod chain;
mod context;
mod delta;
mod durable;
mod durable_name;
mod error;
mod event;
mod fallback;
mod files;
mod function_model;
#[cfg(feature = "http")]
mod http;
mod instructions;
mod lazy;
#[cfg(feature = "mcp")]
mod mcp;
mod message;
mod model;
mod nesting;
#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "openai")]
mod openai_responses;
mod options;
mod output;
mod price;
mod prompt;
mod result;
mod run;
mod schema;
#[cfg(feature = "http")]
mod shown;
mod siblings;
mod steps;
mod stream;
mod telemetry;
mod test_model;
mod tokens;
mod tool;
mod turn;
mod usage;

pub use agent::{Agent, AgentBuilder, HasDeps, Identity};
#[cfg(feature = "anthropic")]
pub use anthropic::{Anthropic, AnthropicBuilder};
pub use budget::Budget;
pub use context::RunContext;
pub use delta::{Delta, Deltas};
pub use durable::{Approval, Granularity, KitaruAgent, KitaruRun, RunError};
pub use durable_name::MAX_AGENT_NAME_BYTES;
pub use error::{AgentError, Cause, Limit, ModelError, ModelErrorKind, ToolError};
pub use event::RunEvent;
pub use fallback::FallbackModel;
pub use function_model::FunctionModel;
pub use instructions::Instructions;
#[cfg(feature = "mcp")]
pub use mcp::{McpBuilder, McpServer};
pub use message::{
    Attachment, CallRef, Format, History, Media, MediaKind, Message, ModelResponse, Opaque, Place, RequestMessage,
    RequestPart, ResponsePart, RetryPrompt, Stop, SystemPrompt, Text, ToolCall, ToolReturn, UserPrompt,
};
pub use model::{AnswerForm, Effort, Model, ModelProfile, ModelRequest, ModelSettings, OnLength, ToolChoice};
#[cfg(feature = "openai")]
pub use openai::{ChatServer, GiveBack, OpenAi, OpenAiBuilder};
#[cfg(feature = "openai")]
pub use openai_responses::{OpenAiResponses, OpenAiResponsesBuilder};
pub use options::RunOptions;
pub use output::{OutputMode, Structured};
pub use price::{Cost, Price};
pub use prompt::Prompt;
pub use result::RunResult;
pub use run::Run;
pub use steps::Steps;
pub use stream::RunStream;
pub use test_model::TestModel;
pub use tokens::Tokens;
pub use tool::{Arguments, Calling, FunctionTool, Invocation, Tool, ToolDefinition, ToolOptions, ToolOutput, ToolSet};
pub use turn::Step;
pub use usage::{Bill, Limits, Usage};
