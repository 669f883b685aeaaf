//! One turn of a durable agent, as its caller sees it.
//!
//! Owns the run's options and where it goes: into the flow around it, or into a flow of its own. Must not know what is
//! a checkpoint.

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
use crate::result::RunResult;
use crate::stream::RunStream;
use crate::usage::Limits;
use tokio::sync::mpsc;

/// One turn of a [`KitaruAgent`], which is the future of its result.
///
/// In a flow it is a part of that. A run that is equal in agent, prompt and history to an earlier run of the flow, which has
/// ended in an error, continues that one: it is given what the earlier run was given, and asks again where that stopped. Each
/// broken run is continued once. Runs side by side share nothing. A run that was dropped is not continued.
///
/// Outside a flow it is a flow of its own. That stays in memory where a tool waits for a person, and after a restart it
/// continues when the same question is asked again.
///
/// # Cancel safety
///
/// In a flow, dropping it cancels the checkpoint that runs; what was recorded stays. Outside a flow the run goes on by
/// itself once it has been polled.
#[must_use = "nothing happens until a run is awaited"]
pub struct KitaruRun<T = String> {
    run: DurableRun<Turn<T>, Result<RunResult<T>, RunError>>,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruAgent<T> {
    /// Asks the agent: one turn. Nothing happens before the run is polled, and its checkpoints claim their names then.
    pub fn run(&self, prompt: impl Into<String>) -> KitaruRun<T> {
        KitaruRun::new(self.clone(), prompt.into())
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> KitaruAgent<T> {
    /// Asks the agent outside a flow, and gives what happens as it happens. Short for `run(prompt).stream()`.
    pub fn run_stream(&self, prompt: impl Into<String>) -> RunStream<T, RunError> {
        self.run(prompt).stream()
    }

    /// Asks the agent from code that is not async. Short for `run(prompt).sync()`.
    ///
    /// # Errors
    ///
    /// As [`KitaruRun::sync`].
    pub fn run_sync(&self, prompt: impl Into<String>) -> Result<RunResult<T>, RunError> {
        self.run(prompt).sync()
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruRun<T> {
    fn new(agent: KitaruAgent<T>, prompt: String) -> Self {
        let turn = Turn { agent, prompt, options: RunOptions::default(), listener: None, budget: None };
        KitaruRun { run: DurableRun::new(turn) }
    }

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

    /// Counts this run in `budget`, and ends it in [`AgentError::Budget`] where that is used up.
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

    /// Tells `listener` what happens in the run, as it happens: text while the model still says it, tool calls, usage
    /// and the result. It is called in the run, and holds it up for as long as it takes.
    ///
    /// What comes from a record is told as well, a response at a time. What is told of a response before its
    /// [`Usage`](RunEvent::Usage) is not recorded yet: when it breaks off, [`Void`](RunEvent::Void) takes it back, and
    /// after a crash, or a wait that took the flow out of memory, its listener is told all from the beginning. So a listener
    /// shows, and decides nothing.
    ///
    /// Outside a flow, whoever asks a question that is under way is given its result, and hears nothing.
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

    /// Outside a flow: the store on which the run opens its flow, in place of the implicit one. In a flow it does not count.
    pub fn on(self, kitaru: &Kitaru) -> Self {
        KitaruRun { run: self.run.on(kitaru) }
    }

    /// Outside a flow: the id of the execution, in place of a digest of the question. In a flow it does not count.
    pub fn id(self, id: impl Into<String>) -> Self {
        KitaruRun { run: self.run.id(id) }
    }

    /// Begins anew: outside a flow it reads nothing of an unfinished run of the same question, and in a flow it does not
    /// continue a run of the same question that has ended in an error.
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
    /// Outside a flow: gives what happens in the run as it happens, as [`on_event`](Self::on_event) tells it, and in its
    /// place. Nothing happens before the stream is polled; then the run goes on by itself, however slowly it is listened to.
    ///
    /// In a flow's own code the stream ends at once in [`AgentError::Misuse`].
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
        // The stream may be gone before its run is over.
        let run = self.on_event(move |event| drop(sender.send(event)));
        RunStream::new(stream::poll_fn(move |cx| events.poll_recv(cx)), async {
            if dynamic::scope() == Scope::Flow {
                let message = "a flow's own code would go by the pieces of an answer, which no record repeats; hear them with \
                               `on_event`, and await the run";
                return Err(AgentError::Misuse(message.to_owned()).into());
            }
            run.await
        })
    }

    /// Goes through the run and blocks until it is over, for code that is not async. All such runs of a process share one
    /// runtime, which lives as long as the process, and the implicit store unless one is given.
    ///
    /// # Errors
    ///
    /// As the run itself, and [`AgentError::Misuse`] in async code, whose thread it would
    /// block. `tokio::task::spawn_blocking` and `block_in_place` have threads that may.
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
        // The flow's result comes from its record, which says nothing of who paid.
        let agent = self.agent.agent.clone();
        let reader = agent.clone();
        let own = Arc::new(OnceLock::new());
        let replayed = own.clone();
        let flow = dynamic::flow(agent.name().to_owned()).version(self.agent.version.clone()).reuse(Reuse::Unfinished);
        let flow = match self.agent.sensitivity {
            Sensitivity::Shown => flow
                .input("agent", &key.agent)
                .input("prompt", &key.prompt)
                // Each turn of a conversation has all turns before it in its history: kept whole, a conversation would cost
                // the square of its length.
                .key("history", &key.history)
                .input("settings", &key.settings),
            Sensitivity::Hidden => flow.key("question", &dynamic::checkpoint("question").arg("key", &key).question()?),
        };
        let call = flow.run(move || async move {
            let result = self.go(FlowOptions::default()).await?;
            let _ = replayed.set(result.replayed());
            Ok::<_, RunError>(TurnRecord::of(&agent, result, Noted::default(), Noted::default()))
        });
        let result = options.apply(call).await?.into_result(&reader)?;
        let replayed = own.get().copied().unwrap_or_else(|| {
            // Somebody else's call has run it, and paid.
            if let Some(budget) = budget {
                budget.add(result.usage);
                budget.add_replayed(result.usage);
            }
            result.usage
        });
        Ok(result.with_history(history).with_replayed(replayed))
    }
}
