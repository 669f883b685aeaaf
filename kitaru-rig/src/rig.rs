//! The options of a durable rig agent, whose every turn, or every request and tool call, is a checkpoint.
//!
//! Must not know how a run goes, nor how a checkpoint is recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kitaru_core::dynamic::agents::{Granularity, check_name, usual_outage};
use rig_agent::Agent;

use crate::agent::PreparedAgent;
use crate::error::RigError;
use crate::options::ToolOptions;

/// Makes a built rig [`Agent`] survive its process, in one line.
///
/// In a flow, each model request and each tool call is a checkpoint: `<agent>_model_request`, `<agent>_model_request_2`, …,
/// `<tool>_tool`, … With [`Granularity::Turn`] each turn is one checkpoint, with the agent's name. Outside a flow, a run opens
/// a flow of its own, with the agent's name. If the same question is asked again, an unfinished run resumes where it stopped,
/// and a finished one is asked again from the start.
///
/// The key of a model request is the full request and the label of the model. The key of a tool call is the names of the tool
/// and the agent, and the arguments. The key of a turn is the agent's settings, the definitions of its tools, the prompt and
/// the history. All keys contain the [`version`](Self::version). So what has changed runs again, and what has not changed is
/// never paid for twice. Some things are not a part of any key: the model behind rig's default label, the code of tools and
/// hooks, a tool's context. Change the version with them, or give the model a label that names it
/// (`AgentBuilder::named_model`).
///
/// The agent's memory (`<agent>_memory`) and retrieval (`<agent>_retrieval`) are recorded too, so that a replay sends the same
/// requests as the first run. Its hooks are code of the flow: they run on every attempt, and see what was recorded. To hooks
/// all requests are plain ones, even if [a listener](crate::RigRun::on_event) makes them streams.
///
/// The error of a tool goes to the model, as in rig, and is recorded like any other result. A panic of a tool is a fault, which
/// ends the run; the model does not see it.
///
/// A run [waits for](Self::wait_for_model) an unavailable model. If a run still ends in an error, it continues when its flow is
/// called or resumed again. Another run of that flow does not continue it: a run in a loop asks, and pays, again.
///
/// # Examples
///
/// ```
/// use kitaru::Kitaru;
/// use kitaru_rig::KitaruRig;
/// use rig_agent::AgentBuilder;
/// # use rig_core::test_utils::MockCompletionModel;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let kitaru = Kitaru::builder().in_memory().open().await?;
/// # let model = MockCompletionModel::text("42");
/// let agent = AgentBuilder::new(model).name("oracle").preamble("Be brief.").build();
///
/// let agent = KitaruRig::new(agent);
/// let result = agent.run("What is the answer?").on(&kitaru).await?;
/// assert_eq!(result.output, "42");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KitaruRig {
    taken: Result<Arc<PreparedAgent>, String>,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) granularity: Granularity,
    pub(crate) patience: Patience,
    pub(crate) tools: BTreeMap<String, ToolOptions>,
}

/// How an unavailable model is handled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// The run waits for the default time of its place.
    Usual,
    /// The run waits for this time.
    Time(Duration),
    /// The run retries this many times.
    Times(u32),
}

impl Patience {
    /// How long to wait for an unavailable model, or else how many retries it gets.
    pub(crate) fn longest(self) -> Result<Duration, u32> {
        match self {
            Patience::Usual => Ok(usual_outage()),
            Patience::Time(longest) => Ok(longest),
            Patience::Times(times) => Err(times),
        }
    }
}

impl KitaruRig {
    /// Makes each model request and each tool call of this agent a checkpoint.
    ///
    /// The agent must be the only one on its bus. An agent with clones, or on a host's bus, is refused at its first run, before
    /// the first request.
    pub fn new(agent: Agent) -> Self {
        KitaruRig {
            name: agent.name().unwrap_or("agent").to_owned(),
            taken: PreparedAgent::new(agent).map(Arc::new),
            version: String::new(),
            granularity: Granularity::Call,
            patience: Patience::Usual,
            tools: BTreeMap::new(),
        }
    }

    /// Makes each model request and each tool call a checkpoint, or each turn. [`Granularity::Call`] unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(agent: kitaru_rig::KitaruRig) -> kitaru_rig::KitaruRig {
    /// use kitaru_rig::Granularity;
    ///
    /// agent.granularity(Granularity::Turn)
    /// # }
    /// ```
    #[must_use]
    pub fn granularity(mut self, granularity: Granularity) -> Self {
        self.granularity = granularity;
        self
    }

    /// Sets the name of this agent's checkpoints and flows; rig's name for it, or `agent`, unless set. Each agent in a flow
    /// needs a name of its own.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The version of everything that is not a part of a key. A new version runs everything again.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// How long a run waits for an unavailable model, from the first request that fails: 24 hours in a `#[flow]` and 2 minutes
    /// elsewhere, unless set. With zero it does not wait.
    ///
    /// It waits after errors that rig calls retryable: a busy server, a connection that breaks, a stream that breaks off. The
    /// run asks again in the same checkpoint, after half a second, then after ever longer pauses of up to 5 minutes, or after
    /// the seconds in `Retry-After`. A long pause is recorded: the flow is parked, and the rest of the pause continues after a
    /// restart. If a turn is one checkpoint, the pause is only in memory, and a restart runs that turn again.
    ///
    /// It replaces [`model_retries`](Self::model_retries), and the other way round.
    #[must_use]
    pub fn wait_for_model(mut self, longest: Duration) -> Self {
        self.patience = Patience::Time(longest);
        self
    }

    /// Retries a model this many times when rig says that it may help, instead of [waiting](Self::wait_for_model) for it.
    #[must_use]
    pub fn model_retries(mut self, retries: u32) -> Self {
        self.patience = Patience::Times(retries);
        self
    }

    /// Sets how the calls of the tool `name` are made, if each is a checkpoint. If the agent has no such tool, its runs end in
    /// [`RigError::Invalid`] before the first request.
    #[must_use]
    pub fn tool_options(mut self, name: impl Into<String>, options: ToolOptions) -> Self {
        self.tools.insert(name.into(), options);
        self
    }

    pub(crate) fn taken(&self) -> Result<Arc<PreparedAgent>, RigError> {
        let refused = |reason| RigError::Invalid { agent: self.name.clone(), reason };
        let unfit = |reason| format!("{reason}, or give it another one with `.name(…)`");
        check_name(&self.name).map_err(unfit).map_err(refused)?;
        self.taken.clone().map_err(refused)
    }
}

impl fmt::Debug for KitaruRig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KitaruRig")
            .field("name", &self.name)
            .field("granularity", &self.granularity)
            .finish_non_exhaustive()
    }
}
