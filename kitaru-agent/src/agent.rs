//! The agent.
//!
//! Owns the parts of an agent, its identity and how its seams are replaced. Must not know how a run goes: that is `turn`.

mod builder;
mod deps;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use builder::AgentBuilder;
pub use deps::HasDeps;

use crate::instructions::{self, Instructions};
use crate::model::{Model, ModelSettings};
use crate::output::{Output, OutputMode};
use crate::price::Price;
use crate::schema::Schema;
use crate::tool::{self, Tool, ToolDefinition};
use crate::usage::Limits;

/// A model with instructions and tools. Cheap to clone; runs share nothing.
///
/// `D` is the type of the *dependencies*, which tools, computed instructions and validators receive. `T` is the type of the
/// answers. An agent without dependencies can run; for any other, [`with_deps`](Self::with_deps) makes one that can.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionModel, ModelResponse};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("mock", |request| {
///     Ok(ModelResponse::text(format!("message {}", request.messages.len())))
/// });
/// let agent = Agent::builder(model).name("counter").instructions("Count.").build()?;
/// let first = agent.run("one").await?;
/// let second = agent.run("two").history(first.all_messages()).await?;
/// assert_eq!(second.output, "message 3");
/// # Ok(())
/// # }
/// ```
pub struct Agent<D = (), T = String> {
    pub(crate) parts: Arc<Parts<D, T>>,
}

impl<D, T> Clone for Agent<D, T> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone() }
    }
}

pub(crate) struct Parts<D, T> {
    pub(crate) name: String,
    pub(crate) instructions: Vec<Arc<dyn Instructions<D>>>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) tools: Vec<Arc<dyn Tool<D>>>,
    /// The schema that checks the arguments of each tool, in the order of the tools.
    pub(crate) schemas: Arc<[Schema]>,
    pub(crate) settings: ModelSettings,
    pub(crate) limits: Limits,
    pub(crate) price: Price,
    pub(crate) output: Output<D, T>,
}

impl<D, T> Clone for Parts<D, T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            instructions: self.instructions.clone(),
            model: self.model.clone(),
            tools: self.tools.clone(),
            schemas: self.schemas.clone(),
            settings: self.settings.clone(),
            limits: self.limits,
            price: self.price,
            output: self.output.clone(),
        }
    }
}

impl<D: Send + Sync + 'static, T: 'static> Parts<D, T> {
    /// The same parts with `deps`, in a run whose own context has any dependencies.
    fn bound<Outer: Send + Sync + 'static>(self, deps: &Arc<D>) -> Parts<Outer, T> {
        let instructions = self.instructions.into_iter().map(|inner| -> Arc<dyn Instructions<Outer>> {
            Arc::new(instructions::Bound { inner, deps: deps.clone() })
        });
        let tools = self
            .tools
            .into_iter()
            .map(|inner| -> Arc<dyn Tool<Outer>> { Arc::new(tool::Bound { inner, deps: deps.clone() }) });
        Parts {
            name: self.name,
            instructions: instructions.collect(),
            model: self.model,
            tools: tools.collect(),
            schemas: self.schemas,
            settings: self.settings,
            limits: self.limits,
            price: self.price,
            output: self.output.bound(deps),
        }
    }
}

/// Everything that decides how an agent continues a prompt and a history: two agents with equal identities are the same agent.
///
/// Limits and prices are not a part of it: they decide how far a run may go, not where. Neither are code and dependencies,
/// which cannot be compared: the code of tools, computed instructions and validators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The agent's name.
    pub name: String,
    /// Its fixed instructions.
    pub instructions: Option<String>,
    /// The model's name.
    pub model: String,
    /// The settings of its requests.
    pub settings: ModelSettings,
    /// The definitions of its tools, in order.
    pub tools: Vec<ToolDefinition>,
    /// The schema of the answer, and how it is requested; `None` for an answer in text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<(OutputMode, Value)>,
}

impl<D: Send + Sync + 'static, T: 'static> Agent<D, T> {
    /// The agent's name.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.parts.model
    }

    /// The tools, in the order of the requests.
    pub fn tools(&self) -> &[Arc<dyn Tool<D>>] {
        &self.parts.tools
    }

    /// Everything that decides how the agent answers, for a key.
    pub fn identity(&self) -> Identity {
        let fixed: Vec<_> = self.parts.instructions.iter().filter_map(|part| part.fixed()).collect();
        let output = &self.parts.output;
        Identity {
            name: self.parts.name.clone(),
            instructions: (!fixed.is_empty()).then(|| fixed.join(PARAGRAPH)),
            model: self.parts.model.name().to_owned(),
            settings: self.parts.settings.clone(),
            tools: self.parts.tools.iter().map(|tool| tool.definition().for_model()).collect(),
            output: output.schema().map(|schema| (output.mode, schema.clone())),
        }
    }

    /// A copy of this agent that can run: its tools, instructions and validators receive these dependencies.
    #[must_use]
    pub fn with_deps(&self, deps: impl Into<Arc<D>>) -> Agent<(), T> {
        Agent { parts: Arc::new((*self.parts).clone().bound(&deps.into())) }
    }

    /// A copy of this agent, with `wrap` applied to its model. The agent itself does not change.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use std::sync::Arc;
    /// use kitaru::agent::{Agent, FunctionModel, Model, ModelResponse};
    ///
    /// let agent = Agent::builder(FunctionModel::new("a", |_| Ok(ModelResponse::text("a")))).build()?;
    /// let other = agent.map_model(|_| Arc::new(FunctionModel::new("b", |_| Ok(ModelResponse::text("b")))));
    /// assert_eq!((agent.model().name(), other.model().name()), ("a", "b"));
    /// # Ok::<(), kitaru::agent::AgentError>(())
    /// ```
    #[must_use]
    pub fn map_model(&self, wrap: impl FnOnce(Arc<dyn Model>) -> Arc<dyn Model>) -> Self {
        let mut parts = (*self.parts).clone();
        parts.model = wrap(parts.model);
        Self { parts: Arc::new(parts) }
    }

    /// A copy of this agent, with `wrap` applied to each of its tools. A wrapper must return the definition of its tool.
    #[must_use]
    pub fn map_tools(&self, wrap: impl FnMut(Arc<dyn Tool<D>>) -> Arc<dyn Tool<D>>) -> Self {
        let mut parts = (*self.parts).clone();
        parts.tools = parts.tools.into_iter().map(wrap).collect();
        Self { parts: Arc::new(parts) }
    }

    /// A copy of this agent, with `wrap` applied to each part of its instructions.
    #[must_use]
    pub fn map_instructions(&self, wrap: impl FnMut(Arc<dyn Instructions<D>>) -> Arc<dyn Instructions<D>>) -> Self {
        let mut parts = (*self.parts).clone();
        parts.instructions = parts.instructions.into_iter().map(wrap).collect();
        Self { parts: Arc::new(parts) }
    }
}

/// The separator between the parts of the instructions.
pub(crate) const PARAGRAPH: &str = "\n\n";

impl<D: Send + Sync + 'static, T> fmt::Debug for Agent<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<_> = self.parts.tools.iter().map(|tool| &tool.definition().name).collect();
        f.debug_struct("Agent")
            .field("name", &self.parts.name)
            .field("model", &self.parts.model.name())
            .field("tools", &tools)
            .finish_non_exhaustive()
    }
}
