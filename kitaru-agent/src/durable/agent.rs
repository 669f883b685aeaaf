//! The options of an agent that survives its process.
//!
//! Must not know how a run goes, nor which of its parts is a checkpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kitaru_core::dynamic::DynamicCheckpoint;
use kitaru_core::dynamic::agents::Granularity;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{Agent, HasDeps};
use crate::tool::{ToolDefinition, ToolOptions};

/// Makes a plain [`Agent`] survive its process, in one line.
///
/// In a flow, each model request and each tool call is a checkpoint: `<agent>_model_request`, `<agent>_model_request_2`, …,
/// `<tool>_tool`, … With [`Granularity::Turn`] each turn is one checkpoint, with the agent's name. Outside a flow, a run opens
/// a flow of its own, with the agent's name. If the same question is asked again, an unfinished run resumes where it stopped,
/// and a finished one is asked again from the start.
///
/// The key of a turn is the agent's whole identity, the prompt, the history and the settings. The key of a model request is the
/// full request, with the model's name. The key of a tool call is the names of the tool and the agent, and the arguments. All
/// keys contain the [`version`](Self::version). So what has changed runs again, and what has not changed is never paid for
/// twice. Code is not a part of any key, and neither are dependencies: change the version with the code of tools, computed
/// instructions and validators, and with the dependencies.
///
/// Computed instructions are computed once for each turn, and recorded: `<agent>_instructions`. A validator is code of the
/// flow: it must give the same result for the same answer.
///
/// A run [waits for](Self::wait_for_model) an unavailable model. If a run still ends in an error, the next run of the same flow
/// with an equal agent, prompt and history continues it: it gets the same outcomes, and asks again where the broken run
/// stopped. So a loop around a run pays for nothing twice. [`KitaruRun::fresh`](crate::KitaruRun::fresh) starts over.
/// Dependencies are not compared: runs that differ only in them need different versions.
///
/// Each agent in a flow needs a name of its own.
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
    /// How long to wait for an unavailable model; the default time unless set.
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

/// Whether previews show the agent's questions and answers.
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
    /// Makes each model request and each tool call of this agent a checkpoint. The agent itself does not change.
    ///
    /// If the agent has dependencies, set them first, with [`Agent::with_deps`].
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

    /// Makes each model request and each tool call a checkpoint, or each turn. [`Granularity::Call`] unless set.
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

    /// As [`granularity`](Self::granularity), under its name in Kitaru for Python: `true` is [`Granularity::Call`], `false` is
    /// [`Granularity::Turn`].
    #[must_use]
    pub fn granular_checkpoints(self, granular: bool) -> Self {
        self.granularity(if granular { Granularity::Call } else { Granularity::Turn })
    }

    /// The version of everything that is not a part of a key. A new version runs everything again.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets how the calls of the tool `name` are made. Options set here override those that the tool declares. If the agent has
    /// no such tool, its runs end in [`AgentError::Invalid`](crate::AgentError::Invalid) before the first request.
    #[must_use]
    pub fn tool_options(mut self, name: impl Into<String>, options: ToolOptions) -> Self {
        self.tools.insert(name.into(), options);
        self
    }

    /// How long a run waits for an unavailable model, from the first request that fails: 24 hours in a `#[flow]` and 2 minutes
    /// elsewhere, unless set. With zero, only the model itself retries.
    ///
    /// It waits after [transient](crate::ModelErrorKind::is_transient) errors: the model cannot be reached, times out, limits
    /// the rate, fails, breaks off, or sends an answer that cannot be read. The run asks again, in the same checkpoint, after
    /// half a second, then after ever longer pauses of up to 5 minutes, or at the time in `Retry-After`. A long pause is
    /// recorded: the flow is parked, the rest of the pause continues after a restart, and `Execution::pauses` shows it. Any
    /// other error ends the run immediately.
    ///
    /// If a turn is one checkpoint, the pause is only in memory, and a restart runs that turn again. For long outages use
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

    /// Hides prompts, answers and arguments in previews, log lines and exports. The records still contain them all, and a
    /// person who is asked for approval sees the arguments. It does not hide the arguments and the result of the flow.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitivity = Sensitivity::Hidden;
        self
    }

    /// The wrapped agent.
    pub fn agent(&self) -> &Agent<(), T> {
        &self.agent
    }

    /// The options for the calls of a tool.
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
