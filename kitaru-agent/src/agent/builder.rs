//! The builder of an agent.
//!
//! Owns the builder and what it refuses. Must not know the purpose of the parts.

use std::{collections::BTreeSet, fmt, future::Future, sync::Arc};

use crate::agent::{Agent, Parts};
use crate::answer::Counted;
use crate::context::RunContext;
use crate::durable_name;
use crate::error::{AgentError, ToolError};
use crate::instructions::{Computed, Fixed, Instructions};
use crate::model::{Model, ModelSettings};
use crate::output::{ANSWER_TOOL, Output, OutputMode, Structured};
use crate::price::Price;
use crate::schema::Schema;
use crate::telemetry::{TracedModel, TracedTool};
use crate::tool::Tool;
use crate::usage::Limits;

/// A builder of an [`Agent`].
#[must_use = "call `.build()` to get the agent"]
pub struct AgentBuilder<D = (), T = String> {
    parts: Parts<D, T>,
    /// The first mistake, which `build` reports.
    complaint: Option<String>,
}

impl Agent {
    /// A builder of an agent on `model`, with the name `default`, no instructions and no tools, that answers in text.
    pub fn builder(model: impl Model + 'static) -> AgentBuilder {
        AgentBuilder::new(Arc::new(Counted::new(Arc::new(model))))
    }
}

impl AgentBuilder {
    fn new(model: Arc<dyn Model>) -> Self {
        let parts = Parts {
            name: "default".to_owned(),
            instructions: Vec::new(),
            model,
            tools: Vec::new(),
            schemas: Arc::from([]),
            settings: ModelSettings::default(),
            limits: Limits::default(),
            price: Price::default(),
            output: Output::text(),
        };
        Self { parts, complaint: None }
    }
}

impl<T: 'static> AgentBuilder<(), T> {
    /// Sets the type of the dependencies that tools, computed instructions and validators receive. Parts that were added before
    /// stay.
    pub fn deps<D: Send + Sync + 'static>(self) -> AgentBuilder<D, T> {
        AgentBuilder { parts: self.parts.bound(&Arc::new(())), complaint: self.complaint }
    }
}

impl<D: Send + Sync + 'static, T: 'static> AgentBuilder<D, T> {
    /// Sets the agent's name. The names of its checkpoints begin with it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.parts.name = name.into();
        self
    }

    /// Adds a paragraph to the instructions, which precede every conversation.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.parts.instructions.push(Arc::new(Fixed(instructions.into())));
        self
    }

    /// Adds a paragraph to the instructions that `compute` makes at the start of each run.
    pub fn instructions_from<F, Fut>(mut self, compute: F) -> Self
    where
        F: Fn(RunContext<D>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ToolError>> + Send + 'static,
    {
        let computed: Arc<dyn Instructions<D>> = Arc::new(Computed::new(compute));
        self.parts.instructions.push(computed);
        self
    }

    /// Adds a tool.
    pub fn tool(self, tool: impl Tool<D> + 'static) -> Self {
        self.tools([Arc::new(tool) as Arc<dyn Tool<D>>])
    }

    /// Adds tools.
    pub fn tools(mut self, tools: impl IntoIterator<Item = Arc<dyn Tool<D>>>) -> Self {
        self.parts.tools.extend(tools.into_iter().map(|tool| Arc::new(TracedTool(tool)) as Arc<dyn Tool<D>>));
        self
    }

    /// Sets the settings of the model's requests.
    pub fn settings(mut self, settings: ModelSettings) -> Self {
        self.parts.settings = settings;
        self
    }

    /// Limits what one run may cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.parts.limits = limits;
        self
    }

    /// Sets the price of the model's tokens, so that a run knows its [cost](crate::Usage::cost).
    pub fn price(mut self, price: Price) -> Self {
        self.parts.price = price;
        self
    }

    /// Sets the type of the answer: a value of this type instead of text. The model's answer is checked against the type's
    /// schema and read. An answer that does not fit goes back to the model, within [`Limits::tool_retries`].
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::{Agent, TestModel};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Forecast {
    ///     /// In degrees Celsius.
    ///     temperature: i32,
    ///     wet: bool,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let agent = Agent::builder(TestModel::new()).output::<Forecast>().build()?;
    /// let forecast: Forecast = agent.run("How will it be in Bergen?").await?.output;
    /// # assert!(!forecast.wet && forecast.temperature == 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn output<T2: Structured + 'static>(self) -> AgentBuilder<D, T2> {
        let Parts { name, instructions, model, tools, schemas, settings, limits, price, output: before } = self.parts;
        let mut complaint = self.complaint;
        if before.is_validated() {
            complaint.get_or_insert("a validator was set before the type of the answer; call `.output()` first".into());
        }
        let mut output = Output::of().unwrap_or_else(|why| {
            complaint.get_or_insert(format!("the schema of its answer is invalid: {why}"));
            Output::unreadable()
        });
        output.mode = before.mode;
        let parts = Parts { name, instructions, model, tools, schemas, settings, limits, price, output };
        AgentBuilder { parts, complaint }
    }

    /// Sets how a typed answer is requested; [`OutputMode::Auto`] unless set.
    pub fn output_mode(mut self, mode: OutputMode) -> Self {
        self.parts.output.mode = mode;
        self
    }

    /// Checks each answer before it counts. A validator returns the answer, or another one, or [`ToolError::retry`] with a
    /// message for the model. Any other error ends the run. Several validators run one after another.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::{Agent, FunctionModel, ModelResponse, ToolError};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = FunctionModel::new("mock", |request| {
    ///     Ok(ModelResponse::text(if request.messages.len() == 1 { "the tide, obviously" } else { "the tide" }))
    /// });
    /// let agent = Agent::builder(model)
    ///     .validate(|_, answer: String| async move {
    ///         if answer.contains("obviously") { Err(ToolError::retry("leave out `obviously`")) } else { Ok(answer) }
    ///     })
    ///     .build()?;
    /// assert_eq!(agent.run("What moves the sea?").await?.output, "the tide");
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate<F, Fut>(mut self, validator: F) -> Self
    where
        F: Fn(RunContext<D>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, ToolError>> + Send + 'static,
    {
        self.parts.output.validate(validator);
        self
    }

    /// Makes the agent.
    ///
    /// # Errors
    ///
    /// [`AgentError::Invalid`] for an agent name that is empty, longer than
    /// [`MAX_AGENT_NAME_BYTES`](crate::MAX_AGENT_NAME_BYTES) or has control characters, a tool name that providers do not
    /// accept, two tools with the same name, an invalid schema, a typed answer that the model cannot send, and a validator that
    /// was set before the type of the answer.
    pub fn build(mut self) -> Result<Agent<D, T>, AgentError> {
        let invalid = |agent: &str, reason| AgentError::Invalid { agent: agent.to_owned(), reason };
        if let Some(reason) = self.complaint.or_else(|| complaint(&self.parts)) {
            return Err(invalid(&self.parts.name, reason));
        }
        let schemas: Result<Vec<_>, _> = self
            .parts
            .tools
            .iter()
            .map(|tool| {
                let definition = tool.definition();
                Schema::compile(&definition.parameters)
                    .map_err(|why| format!("the parameters of tool `{}` are not a JSON schema: {why}", definition.name))
            })
            .collect();
        match schemas {
            Ok(schemas) => self.parts.schemas = schemas.into(),
            Err(reason) => return Err(invalid(&self.parts.name, reason)),
        }
        let (inner, price) = (self.parts.model, self.parts.price);
        self.parts.model = Arc::new(TracedModel { inner, price });
        Ok(Agent { parts: Arc::new(self.parts) })
    }
}

impl<D, T> fmt::Debug for AgentBuilder<D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder").field("name", &self.parts.name).finish_non_exhaustive()
    }
}

fn complaint<D: Send + Sync + 'static, T>(parts: &Parts<D, T>) -> Option<String> {
    if let Err(reason) = durable_name::check_name(&parts.name) {
        return Some(reason);
    }
    if let Err(reason) = parts.output.form(parts.model.profile()) {
        return Some(reason);
    }
    let mut names = BTreeSet::new();
    names.extend(parts.output.schema().map(|_| ANSWER_TOOL));
    for tool in &parts.tools {
        let name = tool.definition().name.as_str();
        let taken_by_providers = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(taken_by_providers) {
            return Some(format!("a tool is named `{name}`; providers accept 1 to 64 letters, digits, `_` and `-`"));
        }
        if !names.insert(name) {
            return Some(match name {
                ANSWER_TOOL => format!("a tool is named `{name}`, the name of the tool for typed answers; rename it"),
                _ => format!("two tools are named `{name}`; rename one of them"),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function_model::FunctionModel;
    use crate::message::ModelResponse;
    use crate::tool::{FunctionTool, ToolDefinition, ToolOutput};

    fn built_with(name: &str) -> Result<Agent, AgentError> {
        let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("")));
        let tool = FunctionTool::new(ToolDefinition::new(name, ""), |_| async { Ok(ToolOutput::text("")) });
        Agent::builder(model).tool(tool).build()
    }

    #[test]
    fn name_of_a_tool_has_1_to_64_letters_digits_underscores_and_hyphens() {
        for name in ["a", &"a".repeat(64), "A_1-b"] {
            assert!(built_with(name).is_ok(), "{name}");
        }
        for name in ["", &"a".repeat(65), "a b", "a.b", "é"] {
            let error = built_with(name).unwrap_err().to_string();
            assert!(error.contains("1 to 64 letters"), "{error}");
        }
    }
}
