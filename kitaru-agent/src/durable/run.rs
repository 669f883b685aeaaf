//! One turn of a durable agent, as its caller sees it.
//!
//! Owns the run's options and where it goes: into the flow around it, or into a flow of its own. Must not know what is a
//! checkpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures::stream;
use kitaru_core::dynamic::{self, DurableRun, FlowOptions, Scope, Work};
use kitaru_core::{Kitaru, Reuse};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::agent::{KitaruAgent, Sensitivity};
use super::bill::Noted;
use super::error::RunError;
use super::record::TurnRecord;
use super::turn::Turn;
use crate::blocking;
use crate::budget::Budget;
use crate::error::AgentError;
use crate::event::RunEvent;
use crate::message::History;
use crate::model::ModelSettings;
use crate::options::RunOptions;
use crate::prompt::Prompt;
use crate::result::RunResult;
use crate::stream::RunStream;
use crate::usage::Limits;
use tokio::sync::mpsc;

/// One turn of a [`KitaruAgent`]. It is the future of its result.
///
/// In a flow it is a part of that flow. If an earlier run of the flow with an equal agent, prompt and history ended in an
/// error, this run continues it: it gets the same outcomes, and asks again where the broken run stopped. Each broken run is
/// continued once. Concurrent runs share nothing. A run that was dropped is not continued.
///
/// Outside a flow it is a flow of its own. That flow is not parked while a tool waits for a person. After a restart it resumes
/// when the same question is asked again.
///
/// # Cancel safety
///
/// In a flow, dropping it cancels the running checkpoint; records stay. Outside a flow, a run that was polled continues without
/// it.
#[must_use = "nothing happens until a run is awaited"]
pub struct KitaruRun<T = String> {
    run: DurableRun<Turn<T>, Result<RunResult<T>, RunError>>,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruAgent<T> {
    /// Asks the agent: a text, or a [`Prompt`] with media. It is one turn. Nothing happens before the run is polled, and its checkpoints claim their names then.
    pub fn run(&self, prompt: impl Into<Prompt>) -> KitaruRun<T> {
        KitaruRun::new(self.clone(), prompt.into())
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> KitaruAgent<T> {
    /// Asks the agent outside a flow, and streams its events as they happen. Short for `run(prompt).stream()`.
    pub fn run_stream(&self, prompt: impl Into<Prompt>) -> RunStream<T, RunError> {
        self.run(prompt).stream()
    }

    /// Asks the agent from code that is not async. Short for `run(prompt).sync()`.
    ///
    /// # Errors
    ///
    /// As [`KitaruRun::sync`].
    pub fn run_sync(&self, prompt: impl Into<Prompt>) -> Result<RunResult<T>, RunError> {
        self.run(prompt).sync()
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruRun<T> {
    fn new(agent: KitaruAgent<T>, prompt: Prompt) -> Self {
        let turn = Turn { agent, prompt, options: RunOptions::default(), listener: None, budget: None };
        KitaruRun { run: DurableRun::new(turn) }
    }

    /// Continues from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        self.with_options(|options| options.history(history))
    }

    /// Overrides the model's settings for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        self.with_options(|options| options.settings(settings))
    }

    /// Limits what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        self.with_options(|options| options.limits(limits))
    }

    /// Counts this run in `budget`, and ends it in [`AgentError::Budget`] when that is used up.
    ///
    /// # Examples
    ///
    /// The budget of a flow, which holds across crashes:
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; pub use kitaru_core::*; }
    /// use kitaru::agent::{Agent, Budget, Cost, FunctionModel, KitaruAgent, ModelResponse, Price, RunError, Tokens};
    /// # use kitaru::{Kitaru, dynamic};
    ///
    /// async fn story(agent: KitaruAgent) -> Result<String, RunError> {
    ///     let budget = Budget::new().cost(Cost::of(0.50));
    ///     let plot = agent.run("Think of a plot.").budget(&budget).await?.output;
    ///     let story = agent.run(format!("Write it down: {plot}")).budget(&budget).await?.output;
    ///     println!("{} paid now, {} before", budget.bill().paid.cost, budget.bill().replayed.cost);
    ///     Ok(story)
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let kitaru = Kitaru::builder().in_memory().open().await?;
    /// # let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42").with_tokens(Tokens::new(1_000, 10))));
    /// # let agent = Agent::builder(model).name("teller").price(Price::per_million(3.0, 15.0)).build()?;
    /// # let agent = KitaruAgent::new(agent);
    /// # let story = dynamic::flow("story").run(move || story(agent)).id("job").on(&kitaru).await?;
    /// # assert_eq!(story, "42");
    /// # Ok(())
    /// # }
    /// ```
    pub fn budget(self, budget: &Budget) -> Self {
        let budget = budget.clone();
        self.with(|turn| turn.budget = Some(budget))
    }

    /// Calls `listener` with the events of the run, as they happen: text while the model still produces it, tool calls, usage
    /// and the result. The run calls it, and waits until it returns.
    ///
    /// Replayed records are events as well, one response at a time. The events of a response before its
    /// [`Usage`](RunEvent::Usage) are not recorded yet. If the response breaks off, [`Void`](RunEvent::Void) takes them back.
    /// After a crash, or after the flow was parked, the listener receives all events from the start. So use a listener to show,
    /// not to decide.
    ///
    /// Outside a flow, a run that attaches to an unfinished one receives its result, and no events.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; pub use kitaru_core::*; }
    /// use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, RunEvent};
    /// use kitaru::Kitaru;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let kitaru = Kitaru::builder().in_memory().open().await?;
    /// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")));
    /// let agent = KitaruAgent::new(Agent::builder(model).name("oracle").build()?);
    /// let run = agent.run("What is the answer?").on(&kitaru).on_event(|event| match event {
    ///     RunEvent::Text(text) => print!("{text}"),
    ///     RunEvent::Void => println!(" … no, once more:"),
    ///     _ => {}
    /// });
    /// assert_eq!(run.await?.output, "42");
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_event(self, listener: impl Fn(RunEvent<T>) + Send + Sync + 'static) -> Self {
        self.with(|turn| turn.listener = Some(Arc::new(listener)))
    }

    /// Outside a flow: the store on which the run opens its flow, instead of the implicit one. No effect in a flow.
    pub fn on(self, kitaru: &Kitaru) -> Self {
        KitaruRun { run: self.run.on(kitaru) }
    }

    /// Outside a flow: the id of the execution, instead of a digest of the question. No effect in a flow.
    pub fn id(self, id: impl Into<String>) -> Self {
        KitaruRun { run: self.run.id(id) }
    }

    /// Starts over: outside a flow it reads nothing of an unfinished run of the same question, and in a flow it does not
    /// continue a run of the same question that ended in an error.
    pub fn fresh(self) -> Self {
        KitaruRun { run: self.run.fresh() }
    }

    fn with_options(self, change: impl FnOnce(RunOptions) -> RunOptions) -> Self {
        self.with(|turn| turn.options = change(std::mem::take(&mut turn.options)))
    }

    fn with(self, change: impl FnOnce(&mut Turn<T>)) -> Self {
        KitaruRun { run: self.run.change(change) }
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> KitaruRun<T> {
    /// Outside a flow: streams the events of the run as they happen. It replaces [`on_event`](Self::on_event). Nothing happens
    /// before the stream is polled; then the run continues by itself, even if the stream is read slowly.
    ///
    /// In a flow's own code the stream ends immediately in [`AgentError::Misuse`].
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; pub use kitaru_core::*; }
    /// use kitaru::agent::{Agent, FunctionModel, KitaruAgent, ModelResponse, RunEvent};
    /// use kitaru::Kitaru;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let kitaru = Kitaru::builder().in_memory().open().await?;
    /// let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("The sea.")));
    /// let agent = KitaruAgent::new(Agent::builder(model).name("oracle").build()?);
    /// let mut events = agent.run("What is wet?").on(&kitaru).stream();
    /// while let Some(event) = events.next().await {
    ///     match event? {
    ///         RunEvent::Text(text) => print!("{text}"),
    ///         RunEvent::Void => println!(" … no, once more:"),
    ///         RunEvent::Finished(result) => assert_eq!(result.output, "The sea."),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When the run was polled before.
    pub fn stream(self) -> RunStream<T, RunError> {
        let (sender, mut events) = mpsc::unbounded_channel();
        // The stream may be dropped before its run ends.
        let run = self.on_event(move |event| drop(sender.send(event)));
        RunStream::new(stream::poll_fn(move |cx| events.poll_recv(cx)), async {
            if dynamic::scope() == Scope::Flow {
                let message = "cannot stream in a flow's own code: no record repeats the pieces; use `on_event`, and await the run";
                return Err(AgentError::Misuse(message.to_owned()).into());
            }
            run.await
        })
    }

    /// Runs and blocks until the end, for code that is not async. All such runs of a process share one runtime, which lives as
    /// long as the process, and the implicit store unless one is set.
    ///
    /// # Errors
    ///
    /// As the run itself, and [`AgentError::Misuse`] in async code, whose thread it would block. Threads of
    /// `tokio::task::spawn_blocking` and `block_in_place` may block.
    pub fn sync(self) -> Result<RunResult<T>, RunError> {
        blocking::block_on(self)?
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Future for KitaruRun<T> {
    type Output = Result<RunResult<T>, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.run).poll(cx)
    }
}

impl<T> fmt::Debug for KitaruRun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KitaruRun").field(&self.run).finish()
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Work for Turn<T> {
    type Output = Result<RunResult<T>, RunError>;

    async fn run(self, options: FlowOptions) -> Self::Output {
        self.go(options).await
    }

    async fn open_flow(self, options: FlowOptions) -> Self::Output {
        let history = self.options.history.clone();
        let budget = self.budget.clone();
        let key = self.key();
        // Both of the question: the record has only digests of its media.
        let (prompt, asked) = (self.prompt.clone(), self.prompt.clone());
        // The flow's result comes from its record, which does not say which process paid.
        let agent = self.agent.agent.clone();
        let reader = agent.clone();
        let own = Arc::new(OnceLock::new());
        let replayed = own.clone();
        let flow = dynamic::flow(agent.name().to_owned()).version(self.agent.version.clone()).reuse(Reuse::Unfinished);
        let flow = match self.agent.sensitivity {
            Sensitivity::Shown => flow
                .input("agent", &key.agent)
                .input("prompt", &key.prompt)
                // Each turn of a conversation contains all turns before it in its history. Stored in full, a conversation would
                // grow with the square of its length.
                .key("history", &key.history)
                .input("settings", &key.settings),
            Sensitivity::Hidden => flow.key("question", &dynamic::checkpoint("question").arg("key", &key).question()?),
        };
        let call = flow.run(move || async move {
            let result = self.go(FlowOptions::default()).await?;
            let _ = replayed.set(result.replayed());
            Ok::<_, RunError>(TurnRecord::of(&agent, &prompt, result, Noted::default(), Noted::default()))
        });
        let result = options.apply(call).await?.into_result(&reader, &asked)?;
        let replayed = own.get().copied().unwrap_or_else(|| {
            // Another call has run it, and paid.
            if let Some(budget) = budget {
                budget.add(result.usage);
                budget.add_replayed(result.usage);
            }
            result.usage
        });
        Ok(result.with_history(history).with_replayed(replayed))
    }
}
