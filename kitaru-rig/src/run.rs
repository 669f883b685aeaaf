//! One turn of a durable rig agent, as its caller sees it.
//!
//! Owns the run's options, where it goes (into the flow around it, or into a flow of its own) and the content of a turn's key.
//! Must not know which of its parts is a checkpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kitaru_core::dynamic::agents::{Granularity, summary_of_calls};
use kitaru_core::dynamic::{self, DurableRun, FlowOptions, Occasion, Work};
use kitaru_core::{Kitaru, Reuse};
use rig_agent::AgentRunner;
use rig_core::completion::{CompletionResponse, Message};
use rig_core::message::{Api, Origin};
use serde::Serialize;

use crate::agent::PreparedAgent;
use crate::error::RigError;
use crate::event::{Listener, RigEvent, tell_whole};
use crate::hook::Durable;
use crate::ongoing::{Ongoing, Recording};
use crate::options::refusal;
use crate::result::RigResult;
use crate::rig::KitaruRig;
use crate::usage::Counter;

/// One turn of a [`KitaruRig`]. It is the future of its result.
///
/// # Cancel safety
///
/// In a flow, dropping it cancels the running checkpoint; records stay. Outside a flow, a run that was polled continues without
/// it.
#[must_use = "nothing happens until a run is awaited"]
pub struct RigRun {
    run: DurableRun<Turn, Result<RigResult, RigError>>,
}

/// One turn, before it runs.
struct Turn {
    rig: KitaruRig,
    prompt: Message,
    history: Option<Vec<Message>>,
    configure: Option<Configure>,
    listener: Option<Listener>,
    paid: Counter,
}

type Configure = Arc<dyn Fn(AgentRunner) -> AgentRunner + Send + Sync>;

impl KitaruRig {
    /// Asks the agent: one turn. Nothing happens before the run is polled, and its checkpoints claim their names then.
    pub fn run(&self, prompt: impl Into<Message>) -> RigRun {
        RigRun::new(self.clone(), prompt.into())
    }
}

impl RigRun {
    fn new(rig: KitaruRig, prompt: Message) -> Self {
        let turn = Turn { rig, prompt, history: None, configure: None, listener: None, paid: Counter::default() };
        RigRun { run: DurableRun::new(turn) }
    }

    /// Continues from `history`, instead of the agent's memory.
    pub fn history<M: Into<Message>>(self, history: impl IntoIterator<Item = M>) -> Self {
        let history = history.into_iter().map(Into::into).collect();
        self.with(|turn| turn.history = Some(history))
    }

    /// Sets options of rig's own runner for one run: how many turns, how many tools concurrently, hooks, parameters.
    ///
    /// A change of a request is in the request's key. It is not in the key of a turn, or of a flow that the run opens by
    /// itself: there, change the [version](KitaruRig::version) with it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(agent: &kitaru_rig::KitaruRig) -> kitaru_rig::RigRun {
    /// agent.run("Compare three cities.").configure(|runner| runner.max_turns(5).tool_concurrency(3))
    /// # }
    /// ```
    pub fn configure(self, change: impl Fn(AgentRunner) -> AgentRunner + Send + Sync + 'static) -> Self {
        self.with(|turn| turn.configure = Some(Arc::new(change)))
    }

    /// Calls `listener` with the events of the run, as they happen: the model's answer while the model still produces it, tool
    /// calls and usage. The run calls it, and waits until it returns.
    ///
    /// Replayed records are events as well, one response at a time. The events of a response before its
    /// [`Usage`](RigEvent::Usage) are not recorded yet. If the response breaks off, [`Void`](RigEvent::Void) takes them back.
    /// After a crash the listener of the next process receives all events from the start. So use a listener to show, not to
    /// decide.
    pub fn on_event(self, listener: impl Fn(RigEvent) + Send + Sync + 'static) -> Self {
        self.with(|turn| turn.listener = Some(Arc::new(listener)))
    }

    /// Outside a flow: the store on which the run opens its flow, instead of the implicit one.
    pub fn on(self, kitaru: &Kitaru) -> Self {
        RigRun { run: self.run.on(kitaru) }
    }

    /// Outside a flow: the id of the execution, instead of a digest of the question.
    pub fn id(self, id: impl Into<String>) -> Self {
        RigRun { run: self.run.id(id) }
    }

    /// Outside a flow: starts over, and reads nothing of an unfinished run of the same question.
    pub fn fresh(self) -> Self {
        RigRun { run: self.run.fresh() }
    }

    fn with(self, change: impl FnOnce(&mut Turn)) -> Self {
        RigRun { run: self.run.change(change) }
    }
}

impl Future for RigRun {
    type Output = Result<RigResult, RigError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.run).poll(cx)
    }
}

impl fmt::Debug for RigRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RigRun").field(&self.run).finish()
    }
}

/// All that determines the outcome of a turn.
#[derive(Serialize)]
struct Key {
    agent: serde_json::Value,
    prompt: Message,
    history: Option<Vec<Message>>,
}

impl Work for Turn {
    type Output = Result<RigResult, RigError>;

    async fn run(self, _: FlowOptions) -> Self::Output {
        self.go().await
    }

    async fn open_flow(self, options: FlowOptions) -> Self::Output {
        let (_, key) = self.key()?;
        // The flow's result comes from its record, which does not say which process paid.
        let paid = self.paid.clone();
        let call = dynamic::flow(self.rig.name.clone())
            .version(self.rig.version.clone())
            .reuse(Reuse::Unfinished)
            .input("agent", &key.agent)
            .input("prompt", &key.prompt)
            // Stored in full, a conversation would grow with the square of its length.
            .key("history", &key.history)
            .run(move || self.go());
        Ok(options.apply(call).await?.with_paid(paid.usage()))
    }
}

impl Turn {
    /// # Errors
    ///
    /// When the agent cannot run at all.
    fn key(&self) -> Result<(Arc<PreparedAgent>, Key), RigError> {
        let taken = self.rig.taken()?;
        let spec = taken.agent.run_spec();
        let tools = taken.agent.tool_server_handle().toolset().tool_definitions();
        let agent = serde_json::json!({ "model": taken.default_model.label, "settings": spec, "tools": tools });
        Ok((taken, Key { agent, prompt: self.prompt.clone(), history: self.history.clone() }))
    }

    async fn go(self) -> Result<RigResult, RigError> {
        let (taken, key) = self.key()?;
        let tools = taken.agent.tool_server_handle().toolset();
        if let Some(reason) = refusal(&self.rig.tools, self.rig.granularity, |name| tools.contains(name)) {
            return Err(RigError::Invalid { agent: self.rig.name, reason });
        }
        match self.rig.granularity {
            Granularity::Call => self.gone_through(taken).await.map(|result| result.with_paid(self.paid.usage())),
            _ => self.run_as_checkpoint(&taken, &key).await,
        }
    }

    async fn run_as_checkpoint(&self, taken: &Arc<PreparedAgent>, key: &Key) -> Result<RigResult, RigError> {
        let (result, origin) = dynamic::checkpoint(self.rig.name.clone())
            .json()
            .version(self.rig.version.clone())
            .arg("agent", &key.agent)
            .arg("prompt", &key.prompt)
            .arg("history", &key.history)
            .run_with_summary(
                // A checkpoint in a flow is a plain call here.
                || self.gone_through(taken.clone()),
                summary,
            )
            .with_origin()
            .await;
        let result = result?;
        if let (dynamic::Origin::Replayed, Some(listener)) = (origin, &self.listener) {
            retell(&result, listener).await;
        }
        Ok(result.with_paid(self.paid.usage()))
    }

    async fn gone_through(&self, taken: Arc<PreparedAgent>) -> Result<RigResult, RigError> {
        let mut runner = taken.agent.prompt(self.prompt.clone());
        if let Some(history) = &self.history {
            runner = runner.history(history.clone());
        }
        if let Some(configure) = &self.configure {
            runner = configure(runner);
        }
        let ongoing = Ongoing::new(Recording {
            taken: taken.clone(),
            name: self.rig.name.clone(),
            version: self.rig.version.clone(),
            patience: self.rig.patience,
            tools: self.rig.tools.clone(),
            listener: self.listener.clone(),
            paid: self.paid.clone(),
        });
        let run = runner.add_hook(Durable(ongoing.clone())).run();
        let response = taken.bus.drive(run).await;
        if let Some(fault) = ongoing.fault() {
            return Err(RigError::Kitaru(fault));
        }
        Ok(RigResult::new(response?, ongoing.usage()))
    }
}

/// Sends the events of a turn that comes from its record.
async fn retell(result: &RigResult, listener: &Listener) {
    for message in &result.response.messages {
        if let Message::Assistant(said) = message {
            let origin = said.origin.clone().unwrap_or_else(|| Origin::new(Api::from_static("unknown"), "", ""));
            let response =
                CompletionResponse::new(said.content.clone(), Default::default(), origin, Default::default());
            tell_whole(response, listener).await;
        }
    }
    listener(RigEvent::Usage(result.usage));
}

/// The number of calls in a turn, for its log line.
fn summary(result: &Result<RigResult, RigError>, occasion: Occasion) -> String {
    let Ok(result) = result else { return "failed".to_owned() };
    summary_of_calls(result.usage.requests, result.usage.tool_calls, occasion)
}
