//! The agent that survives its process, before it is asked.
//!
//! Owns its options. Must not know how a run goes, nor what is a checkpoint of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kitaru_core::dynamic::DynamicCheckpoint;
use kitaru_core::dynamic::agents::Granularity;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{Agent, HasDeps};
use crate::tool::{ToolDefinition, ToolOptions};

/// A plain [`Agent`] that survives its process, in one line.
///
/// In a flow, each model request and each tool call is a checkpoint: `<agent>_model_request`, `<agent>_model_request_2`,
/// …, `<tool>_tool`, … With [`Granularity::Turn`] each turn is one, by the agent's
/// name. Outside a flow a run opens a flow of its own, by the agent's name, which resumes where it stopped if the same
/// question is asked again, and asks the model anew once it has been answered.
///
/// A turn is keyed on the agent's whole identity, the prompt, the history and the settings; a model request on the full
/// request, the model's name included; a tool call on the names of tool and agent and the arguments; and all of
/// them on the [`version`](Self::version). So what has changed runs again, and what has not is never paid for twice. What cannot be
/// looked into is in no key: the code of tools, computed instructions and validators, and the dependencies; change the
/// version with them.
///
/// Computed instructions are computed once for each turn, and recorded: `<agent>_instructions`. A validator is code of
/// the flow: it gives the same result for the same answer.
///
/// A model that is away is [waited for](Self::wait_for_model). A run that ends in an error all the same is continued by the next
/// run of the same flow that is equal in agent, prompt and history: it asks again where the broken one stopped, and is given
/// what that one was given. So a loop around a run pays for nothing twice. [`KitaruRun::fresh`](crate::KitaruRun::fresh) begins anew. Dependencies are not
/// compared: runs that differ in nothing else want versions of their own.
///
/// Several agents in one flow need names of their own.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; pub use kitaru_core::*; }
/// use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse};
/// use kitaru::Kitaru;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let kitaru = Kitaru::builder().in_memory().open().await?;
/// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")));
/// let agent = Agent::builder(model).name("oracle").build()?;
///
/// let agent = KitaruAgent::new(agent);
/// let result = agent.run("What is the answer?").on(&kitaru).await?;
/// assert_eq!(result.output, "42");
/// # Ok(())
/// # }
/// ```
pub struct KitaruAgent<T = String> {
    pub(super) agent: Agent<(), T>,
    pub(super) granularity: Granularity,
    pub(super) version: String,
    pub(super) tools: BTreeMap<String, ToolOptions>,
    pub(super) sensitivity: Sensitivity,
    /// For how long a model is waited for that is away; the usual time unless set.
    pub(super) outage: Option<Duration>,
}

impl<T> Clone for KitaruAgent<T> {
    fn clone(&self) -> Self {
        let Self { agent, granularity, version, tools, sensitivity, outage } = self;
        KitaruAgent {
            agent: agent.clone(),
            granularity: *granularity,
            version: version.clone(),
            tools: tools.clone(),
            sensitivity: *sensitivity,
            outage: *outage,
        }
    }
}

/// Whether people are shown what an agent is asked and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    Shown,
    Hidden,
}

impl Sensitivity {
    pub(super) fn of(self, checkpoint: DynamicCheckpoint) -> DynamicCheckpoint {
        match self {
            Sensitivity::Shown => checkpoint,
            Sensitivity::Hidden => checkpoint.sensitive(),
        }
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruAgent<T> {
    /// Makes each model request and each tool call of this agent a checkpoint. The agent itself stays as it is.
    ///
    /// An agent with dependencies is given them first, by [`Agent::with_deps`].
    pub fn new<D: HasDeps>(agent: Agent<D, T>) -> Self {
        let agent = D::ready(agent);
        KitaruAgent {
            agent,
            granularity: Granularity::Call,
            version: String::new(),
            tools: BTreeMap::new(),
            sensitivity: Sensitivity::Shown,
            outage: None,
        }
    }

    /// Makes each model request and each tool call a checkpoint, or each turn. The default is [`Granularity::Call`].
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::{Agent, FunctionModel, Granularity, KitaruAgent, ModelResponse};
    ///
    /// let agent = Agent::builder(FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")))).name("oracle").build()?;
    /// let agent = KitaruAgent::new(agent).granularity(Granularity::Turn);
    /// # drop(agent);
    /// # Ok::<(), kitaru_agent::AgentError>(())
    /// ```
    #[must_use]
    pub fn granularity(mut self, granularity: Granularity) -> Self {
        self.granularity = granularity;
        self
    }

    /// As [`granularity`](Self::granularity), by the name that it has in Kitaru for Python: `true` is
    /// [`Granularity::Call`], `false` is [`Granularity::Turn`].
    #[must_use]
    pub fn granular_checkpoints(self, granular: bool) -> Self {
        self.granularity(if granular { Granularity::Call } else { Granularity::Turn })
    }

    /// A version of what no key can look into. Another one runs everything again.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// How the calls of the tool `name` are made: what is set here counts over what the tool declares itself. A run of an
    /// agent that has no such tool ends in [`AgentError::Invalid`](crate::AgentError::Invalid) before anything is asked.
    #[must_use]
    pub fn tool_options(mut self, name: impl Into<String>, options: ToolOptions) -> Self {
        self.tools.insert(name.into(), options);
        self
    }

    /// For how long a run waits for its model while that is away, from the first request that fails on: 24 hours in a
    /// `#[flow]` and 2 minutes elsewhere, unless set. Zero waits for nothing, and leaves it to the model to try again.
    ///
    /// What counts are [transient](crate::ModelErrorKind::is_transient) errors: the model cannot be reached, has no answer in
    /// time, has had enough requests for now, fails, breaks off, or answers with what cannot be read. The run asks again, in the
    /// same checkpoint, after half a second, then after ever longer pauses of up to 5 minutes, or when the provider says by
    /// `Retry-After`. A long pause is recorded: the flow is parked, a restart waits for what is left of it, and
    /// `Execution::pauses` shows it. Any other error ends the run immediately.
    ///
    /// Where a turn is one checkpoint the pause stays in memory, and a restart asks that turn again: long outages want
    /// [`Granularity::Call`].
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use std::time::Duration;
    /// use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse};
    ///
    /// let agent = Agent::builder(FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")))).name("oracle").build()?;
    /// let agent = KitaruAgent::new(agent).wait_for_model(Duration::from_secs(3 * 86_400));
    /// # drop(agent);
    /// # Ok::<(), kitaru_agent::AgentError>(())
    /// ```
    #[must_use]
    pub fn wait_for_model(mut self, longest: Duration) -> Self {
        self.outage = Some(longest);
        self
    }

    /// Shows nothing of prompts, answers and arguments in previews, log lines and exports. The records hold them all the
    /// same, and a person who is asked for approval sees the arguments. What the flow takes and returns is the flow's own.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitivity = Sensitivity::Hidden;
        self
    }

    /// The agent that was wrapped.
    pub fn agent(&self) -> &Agent<(), T> {
        &self.agent
    }

    /// How the calls of a tool are made.
    pub(super) fn options_of(&self, tool: &ToolDefinition) -> ToolOptions {
        let given = self.tools.get(&tool.name).copied().unwrap_or_default();
        tool.options.overridden_by(given)
    }
}

impl<T> fmt::Debug for KitaruAgent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KitaruAgent")
            .field("agent", &self.agent)
            .field("granularity", &self.granularity)
            .finish_non_exhaustive()
    }
}
