//! The durable agent: somebody's rig agent, each of whose turns, or requests and tool calls, is a checkpoint.
//!
//! Owns its options. Must not know how a run goes, nor how a checkpoint is recorded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kitaru_core::dynamic::agents::{Granularity, check_name, usual_outage};
use rig_agent::Agent;

use crate::agent::Taken;
use crate::error::RigError;
use crate::options::ToolOptions;

/// A built rig [`Agent`] that survives its process, in one line.
///
/// In a flow, each model request and each tool call is a checkpoint: `<agent>_model_request`, `<agent>_model_request_2`,
/// …, `<tool>_tool`, … With [`Granularity::Turn`] each turn is one, by the agent's
/// name. Outside a flow a run opens a flow of its own, by the agent's name, which goes on where it stopped if the same
/// question is asked again, and asks the model anew once it has been answered.
///
/// A model request is keyed on the full request and the label of the model; a tool call on the names of tool and
/// agent and the arguments; a turn on the agent's settings, the definitions of its tools, the prompt and the history; and all of them on
/// the [`version`](Self::version). So what has changed runs again, and what has not is never paid for twice. What cannot
/// be looked into is in no key: which model rig's default label stands for, the code of tools and hooks, what a tool's
/// context holds; change the version with them, or give the model a label that names it (`AgentBuilder::named_model`).
///
/// What the agent remembers (`<agent>_memory`) and looks up (`<agent>_retrieval`) is recorded too, so that a replay asks
/// what the first run asked. Its hooks are code of the flow: they run on every attempt, and see what was recorded. All
/// requests are plain ones to them, also where [somebody listens](crate::RigRun::on_event).
///
/// What a tool fails with is told to the model, as rig does it, and is recorded like any other result. A panic of a tool
/// is a fault, which ends the run; the model is not told.
///
/// A model that is away is [waited for](Self::wait_for_model). A run that ends in an error all the same is continued when its
/// flow is called or resumed again, and by no other run of that flow: one in a loop asks, and pays, anew.
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
    taken: Result<Arc<Taken>, String>,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) granularity: Granularity,
    pub(crate) patience: Patience,
    pub(crate) tools: BTreeMap<String, ToolOptions>,
}

/// What is done about a model that is away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// It is waited for as long as is usual where the run is.
    Usual,
    /// It is waited for so long.
    Time(Duration),
    /// It is asked so many times more.
    Times(u32),
}

impl Patience {
    /// How long the outage of a model may last, or else how many times more it is asked.
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
    /// The agent must be the only one on its bus. One of which there are clones, or that was built over a host's bus, is
    /// refused at its first run, before anything is asked.
    pub fn new(agent: Agent) -> Self {
        KitaruRig {
            name: agent.name().unwrap_or("agent").to_owned(),
            taken: Taken::new(agent).map(Arc::new),
            version: String::new(),
            granularity: Granularity::Call,
            patience: Patience::Usual,
            tools: BTreeMap::new(),
        }
    }

    /// Makes each model request and each tool call a checkpoint, or each turn. The default is [`Granularity::Call`].
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

    /// The name that checkpoints and flows of this agent have; rig's name for it, or `agent`, unless set. Several agents
    /// in one flow need names of their own.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A version of what no key can look into. Another one runs everything again.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// For how long a run waits for its model while that is away, from the first request that fails on: 24 hours in a
    /// `#[flow]` and 2 minutes elsewhere, unless set. Zero waits for nothing.
    ///
    /// What counts are errors that rig calls retryable: a busy server, a connection that breaks, a stream that breaks off. The
    /// run asks again in the same checkpoint, after half a second, then after ever longer pauses of up to 5 minutes, or after
    /// the seconds that the provider asks for by `Retry-After`. A long pause is recorded: the flow is parked, and a restart
    /// waits for what is left of it. Where a turn is one checkpoint the pause stays in memory, and a restart asks that turn
    /// again.
    ///
    /// It takes the place of [`model_retries`](Self::model_retries), and the other way round.
    #[must_use]
    pub fn wait_for_model(mut self, longest: Duration) -> Self {
        self.patience = Patience::Time(longest);
        self
    }

    /// Asks a model so many times more when rig says that it may help, in place of [waiting](Self::wait_for_model) for it.
    #[must_use]
    pub fn model_retries(mut self, retries: u32) -> Self {
        self.patience = Patience::Times(retries);
        self
    }

    /// How the calls of the tool `name` are made, where each is a checkpoint. A run of an agent that has no such tool
    /// ends in [`RigError::Invalid`] before anything is asked.
    #[must_use]
    pub fn tool_options(mut self, name: impl Into<String>, options: ToolOptions) -> Self {
        self.tools.insert(name.into(), options);
        self
    }

    pub(crate) fn taken(&self) -> Result<Arc<Taken>, RigError> {
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
