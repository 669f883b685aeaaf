//! The durable agent: the same agent, each of whose turns, or requests and tool calls, is a checkpoint.
//!
//! Owns the decorators in front of a plain agent's seams and the keys of their checkpoints. Must not know how a run goes,
//! nor how a checkpoint is recorded.

mod error;
mod seams;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kitaru_core::dynamic::{self, Occasion, Scope};
use kitaru_core::{Kitaru, Reuse};
use serde::Serialize;

pub use error::RunError;

use crate::durable::seams::{DurableModel, DurableTool};
use crate::{Agent, History, Identity, Limits, Model, ModelSettings, RunOptions, RunResult, Tool};

/// A plain [`Agent`] that survives its process, in one line.
///
/// In a flow, each model request and each tool call is a checkpoint: `<agent>_model_request`, `<agent>_model_request_2`,
/// …, `<tool>_tool`, … With [`granular_checkpoints(false)`](Self::granular_checkpoints) each turn is one, by the agent's
/// name. Outside a flow a run opens a flow of its own, by the agent's name, which goes on where it stopped if the same
/// question is asked again, and asks the model anew once it has been answered.
///
/// A turn is keyed on the agent's whole identity, the prompt, the history and the settings; a model request on the full
/// request, the model's name included; a tool call on the tool's name and its arguments. So what has changed runs
/// again, and what has not is never paid for twice.
///
/// Several agents in one flow need names of their own.
///
/// # Examples
///
/// ```
/// use kitaru_agent::{Agent, FunctionModel, KitaruAgent, ModelResponse};
/// use kitaru_core::Kitaru;
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
#[derive(Clone)]
pub struct KitaruAgent {
    agent: Agent,
    grain: Grain,
}

/// What is one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grain {
    /// A model request, a tool call.
    Call,
    /// A turn.
    Turn,
}

impl KitaruAgent {
    /// Makes each model request and each tool call of this agent a checkpoint. The agent itself stays as it is.
    pub fn new(agent: Agent) -> Self {
        KitaruAgent { agent, grain: Grain::Call }
    }

    /// Whether each model request and each tool call is a checkpoint, which is the default, or each turn.
    #[must_use]
    pub fn granular_checkpoints(mut self, granular: bool) -> Self {
        self.grain = if granular { Grain::Call } else { Grain::Turn };
        self
    }

    /// The agent that was wrapped.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Asks the agent: one turn. Nothing happens before the run is polled, and its checkpoints claim their names then.
    pub fn run(&self, prompt: impl Into<String>) -> KitaruRun {
        let turn = Turn { agent: self.clone(), prompt: prompt.into(), options: RunOptions::default() };
        KitaruRun { state: State::Ready(Box::new(Ready { turn, on: None, id: None, fresh: Fresh::No })) }
    }
}

impl fmt::Debug for KitaruAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KitaruAgent").field("agent", &self.agent).field("grain", &self.grain).finish()
    }
}

/// One turn of a [`KitaruAgent`], which is the future of its result.
///
/// # Cancel safety
///
/// In a flow, dropping it cancels the checkpoint that runs; what was recorded stays. Outside a flow the run goes on by
/// itself once it has been polled.
#[must_use = "nothing happens until a run is awaited"]
pub struct KitaruRun {
    state: State,
}

enum State {
    Ready(Box<Ready>),
    Running(BoxFuture<'static, Result<RunResult, RunError>>),
    Over,
}

struct Ready {
    turn: Turn,
    on: Option<Kitaru>,
    id: Option<String>,
    fresh: Fresh,
}

#[derive(PartialEq)]
enum Fresh {
    Yes,
    No,
}

struct Turn {
    agent: KitaruAgent,
    prompt: String,
    options: RunOptions,
}

impl KitaruRun {
    /// Goes on from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        self.with_options(|options| options.history(history))
    }

    /// Sets what `settings` sets, for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        self.with_options(|options| options.settings(settings))
    }

    /// Sets what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        self.with_options(|options| options.limits(limits))
    }

    /// Outside a flow: the store on which the run opens its flow, in place of the implicit one.
    pub fn on(self, kitaru: &Kitaru) -> Self {
        let kitaru = kitaru.clone();
        self.with(|ready| ready.on = Some(kitaru))
    }

    /// Outside a flow: the id of the execution, in place of a digest of the question.
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.with(|ready| ready.id = Some(id))
    }

    /// Outside a flow: begins anew, and reads nothing of an unfinished run of the same question.
    pub fn fresh(self) -> Self {
        self.with(|ready| ready.fresh = Fresh::Yes)
    }

    fn with_options(self, change: impl FnOnce(RunOptions) -> RunOptions) -> Self {
        self.with(|ready| ready.turn.options = change(std::mem::take(&mut ready.turn.options)))
    }

    /// A run that was polled keeps the options that it began with.
    fn with(mut self, change: impl FnOnce(&mut Ready)) -> Self {
        if let State::Ready(ready) = &mut self.state {
            change(ready);
        }
        self
    }
}

impl Future for KitaruRun {
    type Output = Result<RunResult, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Ready(ready) => {
                    let run = match dynamic::scope() {
                        Scope::Outside => ready.open_flow().boxed(),
                        _ => ready.turn.run().boxed(),
                    };
                    self.state = State::Running(run);
                }
                State::Running(mut run) => {
                    let polled = run.poll_unpin(cx);
                    if polled.is_pending() {
                        self.state = State::Running(run);
                    }
                    return polled;
                }
                State::Over => panic!("a run is polled after it has given its result"),
            }
        }
    }
}

impl fmt::Debug for KitaruRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Ready(_) => "KitaruRun(not begun)",
            State::Running(_) | State::Over => "KitaruRun(begun)",
        })
    }
}

impl Ready {
    /// A flow of its own, for a run outside flows.
    async fn open_flow(self) -> Result<RunResult, RunError> {
        let Ready { turn, on, id, fresh } = self;
        let history = turn.options.history.clone();
        let key = turn.key();
        let mut call = dynamic::flow(turn.agent.agent.name().to_owned())
            .reuse(Reuse::Unfinished)
            .input("agent", &key.agent)
            .input("prompt", &key.prompt)
            .input("history", &key.history)
            .input("settings", &key.settings)
            .run(move || turn.run());
        if let Some(kitaru) = &on {
            call = call.on(kitaru);
        }
        if let Some(id) = id {
            call = call.id(id);
        }
        if fresh == Fresh::Yes {
            call = call.fresh();
        }
        Ok(call.await?.with_history(history))
    }
}

/// What decides what a turn comes to.
#[derive(Serialize)]
struct Key {
    agent: Identity,
    prompt: String,
    history: History,
    settings: ModelSettings,
}

impl Turn {
    fn key(&self) -> Key {
        Key {
            agent: self.agent.agent.identity(),
            prompt: self.prompt.clone(),
            history: self.options.history.clone(),
            settings: self.options.settings.clone(),
        }
    }

    async fn run(self) -> Result<RunResult, RunError> {
        match self.agent.grain {
            Grain::Call => {
                let Turn { agent, prompt, options } = self;
                Ok(granular(&agent.agent).run(prompt).options(options).await?)
            }
            Grain::Turn => self.run_as_checkpoint().await,
        }
    }

    async fn run_as_checkpoint(self) -> Result<RunResult, RunError> {
        let key = self.key();
        let Turn { agent, prompt, options } = self;
        let history = options.history.clone();
        let turn = dynamic::checkpoint(agent.agent.name().to_owned())
            // Read by name, so that a later version of the messages still reads it.
            .json()
            .arg("agent", &key.agent)
            .arg("prompt", &key.prompt)
            .arg("history", &key.history)
            .arg("settings", &key.settings)
            .run_with_summary(
                move || {
                    let run = agent.agent.run(prompt.clone()).options(options.clone());
                    async move { Ok::<_, RunError>(run.await?) }
                },
                summary,
            );
        // A record holds what the turn added; what was there before is at hand.
        Ok(turn.await?.with_history(history))
    }
}

/// The agent with a checkpoint in front of its model and of each tool.
fn granular(agent: &Agent) -> Agent {
    let name = agent.name().to_owned();
    agent
        .map_model(|model| -> Arc<dyn Model> { Arc::new(DurableModel::new(&name, model)) })
        .map_tools(|tool| -> Arc<dyn Tool> { Arc::new(DurableTool::new(tool)) })
}

/// How many calls a turn made, for its log line.
fn summary(result: &Result<RunResult, RunError>, occasion: Occasion) -> String {
    let Ok(result) = result else { return "failed".to_owned() };
    let count = |count: u64, what: &str| format!("{count} {what} call{}", if count == 1 { "" } else { "s" });
    let calls = [count(result.usage.requests, "model"), count(result.usage.tool_calls, "tool")].join(", ");
    match occasion {
        Occasion::Cached => format!("0 model calls; {calls} replayed"),
        _ => calls,
    }
}
