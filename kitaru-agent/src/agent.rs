//! What an agent is.
//!
//! Owns the parts of an agent, its identity and how its seams are replaced. Must not know how a run goes: that is
//! `turn`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{AgentError, Limits, Model, ModelSettings, Run, Tool, ToolDefinition};

/// A model with instructions and tools. Cheap to clone; every run stands alone.
///
/// # Examples
///
/// ```
/// use kitaru_agent::{Agent, FunctionModel, ModelResponse};
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
#[derive(Clone)]
pub struct Agent {
    pub(crate) parts: Arc<Parts>,
}

#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) instructions: Option<String>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) settings: ModelSettings,
    pub(crate) limits: Limits,
}

/// Everything that decides what an agent does with a prompt and a history: two agents of one identity are the same
/// agent.
///
/// Limits are not in it: they decide how far a run may go, not where to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The agent's name.
    pub name: String,
    /// Its instructions.
    pub instructions: Option<String>,
    /// The model's name.
    pub model: String,
    /// How the model is to answer.
    pub settings: ModelSettings,
    /// What the model is told of the tools, in order.
    pub tools: Vec<ToolDefinition>,
}

impl Agent {
    /// Begins an agent on `model`, with the name `default`, no instructions and no tools.
    pub fn builder(model: impl Model + 'static) -> AgentBuilder {
        AgentBuilder {
            parts: Parts {
                name: "default".to_owned(),
                instructions: None,
                model: Arc::new(model),
                tools: Vec::new(),
                settings: ModelSettings::default(),
                limits: Limits::default(),
            },
        }
    }

    /// The agent's name.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.parts.model
    }

    /// The tools, in the order in which the model is told of them.
    pub fn tools(&self) -> &[Arc<dyn Tool>] {
        &self.parts.tools
    }

    /// Everything that decides what the agent does, for a key.
    pub fn identity(&self) -> Identity {
        Identity {
            name: self.parts.name.clone(),
            instructions: self.parts.instructions.clone(),
            model: self.parts.model.name().to_owned(),
            settings: self.parts.settings.clone(),
            tools: self.parts.tools.iter().map(|tool| tool.definition().clone()).collect(),
        }
    }

    /// Asks the agent. Nothing happens before the [`Run`] is polled.
    pub fn run(&self, prompt: impl Into<String>) -> Run {
        Run::new(self.clone(), prompt.into())
    }

    /// A copy of this agent whose model is what `wrap` makes of the present one. The agent itself stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use kitaru_agent::{Agent, FunctionModel, Model, ModelResponse};
    ///
    /// let agent = Agent::builder(FunctionModel::new("a", |_| Ok(ModelResponse::text("a")))).build()?;
    /// let other = agent.map_model(|_| Arc::new(FunctionModel::new("b", |_| Ok(ModelResponse::text("b")))));
    /// assert_eq!((agent.model().name(), other.model().name()), ("a", "b"));
    /// # Ok::<(), kitaru_agent::AgentError>(())
    /// ```
    #[must_use]
    pub fn map_model(&self, wrap: impl FnOnce(Arc<dyn Model>) -> Arc<dyn Model>) -> Self {
        let mut parts = (*self.parts).clone();
        parts.model = wrap(parts.model);
        Self { parts: Arc::new(parts) }
    }

    /// A copy of this agent, each of whose tools is what `wrap` makes of the present one. What wraps a tool gives that
    /// tool's definition as its own.
    #[must_use]
    pub fn map_tools(&self, wrap: impl FnMut(Arc<dyn Tool>) -> Arc<dyn Tool>) -> Self {
        let mut parts = (*self.parts).clone();
        parts.tools = parts.tools.into_iter().map(wrap).collect();
        Self { parts: Arc::new(parts) }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<_> = self.parts.tools.iter().map(|tool| &tool.definition().name).collect();
        f.debug_struct("Agent")
            .field("name", &self.parts.name)
            .field("model", &self.parts.model.name())
            .field("tools", &tools)
            .finish_non_exhaustive()
    }
}

/// An [`Agent`] in the making.
#[must_use = "call `.build()` to get the agent"]
pub struct AgentBuilder {
    parts: Parts,
}

impl AgentBuilder {
    /// Names the agent.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.parts.name = name.into();
        self
    }

    /// Tells the model who it is and what to do, in front of every conversation.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.parts.instructions = Some(instructions.into());
        self
    }

    /// Adds a tool.
    pub fn tool(self, tool: impl Tool + 'static) -> Self {
        self.tools([Arc::new(tool) as Arc<dyn Tool>])
    }

    /// Adds tools.
    pub fn tools(mut self, tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        self.parts.tools.extend(tools);
        self
    }

    /// Sets how the model is to answer.
    pub fn settings(mut self, settings: ModelSettings) -> Self {
        self.parts.settings = settings;
        self
    }

    /// Sets what one run may cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.parts.limits = limits;
        self
    }

    /// The agent.
    ///
    /// # Errors
    ///
    /// [`AgentError::Invalid`] for an empty agent name, a tool name that providers do not take, and two tools of one
    /// name.
    pub fn build(self) -> Result<Agent, AgentError> {
        match complaint(&self.parts) {
            Some(reason) => Err(AgentError::Invalid { agent: self.parts.name, reason }),
            None => Ok(Agent { parts: Arc::new(self.parts) }),
        }
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder").field("name", &self.parts.name).finish_non_exhaustive()
    }
}

fn complaint(parts: &Parts) -> Option<String> {
    if parts.name.is_empty() {
        return Some("its name is empty".to_owned());
    }
    let mut names = BTreeSet::new();
    for tool in &parts.tools {
        let name = &tool.definition().name;
        let taken_by_providers = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(taken_by_providers) {
            return Some(format!("a tool is named `{name}`; providers take 1 to 64 letters, digits, `_` and `-`"));
        }
        if !names.insert(name) {
            return Some(format!("two tools are named `{name}`; rename one of them"));
        }
    }
    None
}
