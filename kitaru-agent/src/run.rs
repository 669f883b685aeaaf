//! One run of an agent: what it is given, the future, and what it comes to.
//!
//! Owns the shape of a run and the ways to go through it. Must not know how it goes: that is `turn`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};

use crate::{
    Agent, AgentError, Bill, Budget, History, Limits, ModelSettings, RunStream, Steps, Usage, blocking, event::Events,
    lazy::Lazy, turn::Turn,
};

/// What may differ from one run of an agent to the next, the prompt aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunOptions {
    /// What was said before.
    pub history: History,
    /// Settings that take the place of the agent's, one by one.
    pub settings: ModelSettings,
    /// Limits in place of the agent's.
    pub limits: Option<Limits>,
}

impl RunOptions {
    /// Goes on from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        Self { history: history.into(), ..self }
    }

    /// Sets what `settings` sets, for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        Self { settings, ..self }
    }

    /// Sets what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }
}

/// A run of an agent, which is the future of its result. It borrows nothing, and nothing happens before it is polled.
///
/// There are other ways to go through it: [`stream`](Self::stream) gives what happens as it happens,
/// [`steps`](Self::steps) waits before each step, [`sync`](Self::sync) is for code that is not async.
///
/// # Panics
///
/// When it is polled after it has given its result.
///
/// # Cancel safety
///
/// Dropping it drops the request or the tool calls that are under way.
#[must_use = "nothing happens until a run is awaited"]
pub struct Run<T = String> {
    state: Lazy<Question<T>, Result<RunResult<T>, AgentError>>,
}

struct Question<T> {
    agent: Agent<(), T>,
    prompt: String,
    options: RunOptions,
    budget: Option<Budget>,
}

impl<T: Send + 'static> Question<T> {
    fn into_turn(self) -> Turn<T> {
        Turn::new(self.agent, self.prompt, self.options, self.budget)
    }
}

impl<T: Send + 'static> Run<T> {
    pub(crate) fn new(agent: Agent<(), T>, prompt: String) -> Self {
        Self { state: Lazy::new(Question { agent, prompt, options: RunOptions::default(), budget: None }) }
    }

    /// Goes on from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        self.map(|options| options.history(history))
    }

    /// Sets what `settings` sets, for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        self.map(|options| options.settings(settings))
    }

    /// Sets what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        self.map(|options| options.limits(limits))
    }

    /// Sets everything that can be set at once.
    pub fn options(self, options: RunOptions) -> Self {
        self.map(|_| options)
    }

    /// Counts this run in `budget`, and ends it in [`AgentError::Budget`] where that is used up.
    pub fn budget(mut self, budget: &Budget) -> Self {
        self.state.change(|question| question.budget = Some(budget.clone()));
        self
    }

    fn map(mut self, change: impl FnOnce(RunOptions) -> RunOptions) -> Self {
        self.state.change(|question| question.options = change(std::mem::take(&mut question.options)));
        self
    }

    /// Goes through the run one step at a time. Nothing happens before the first is asked for.
    ///
    /// # Panics
    ///
    /// When the run was polled before.
    pub fn steps(self) -> Steps<T> {
        Steps::new(self.state.into_question().into_turn())
    }

    /// Gives what happens in the run as it happens. Nothing happens before the stream is polled.
    ///
    /// # Panics
    ///
    /// When the run was polled before.
    pub fn stream(self) -> RunStream<T> {
        RunStream::of(self.state.into_question().into_turn())
    }

    /// Goes through the run and blocks until it is over, for code that is not async. All such runs of a process share
    /// one runtime, which lives as long as the process.
    ///
    /// # Errors
    ///
    /// As the run itself, and [`AgentError::Misuse`] in async code, whose thread it would block. `tokio::task::spawn_blocking` and
    /// `block_in_place` have threads that may.
    pub fn sync(self) -> Result<RunResult<T>, AgentError> {
        blocking::block_on(self)?
    }
}

impl<T: Send + 'static> Future for Run<T> {
    type Output = Result<RunResult<T>, AgentError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.state.poll(cx, |question| {
            let mut turn = question.into_turn();
            async move { turn.run(&Events::unheard()).await }.boxed()
        })
    }
}

impl<T> fmt::Debug for Run<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Run").field(&self.state).finish()
    }
}

/// What a run came to.
///
/// Stored, it holds only what the run added. Whoever reads it back has the history that the run began with, and gives
/// it by [`with_history`](Self::with_history); so a stored conversation costs each message once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunResult<T = String> {
    /// What the run added to the conversation, the prompt included.
    pub new_messages: History,
    /// What the run cost.
    pub usage: Usage,
    /// The answer.
    pub output: T,
    #[serde(skip)]
    history: History,
    #[serde(skip)]
    paid: Usage,
}

impl<T> RunResult<T> {
    /// The result `output` of a run that added `new_messages`.
    pub fn new(output: T, new_messages: impl Into<History>, usage: Usage) -> Self {
        Self { new_messages: new_messages.into(), usage, output, history: History::default(), paid: usage }
    }

    /// The same result, of a run that began with `history`.
    #[must_use]
    pub fn with_history(self, history: impl Into<History>) -> Self {
        Self { history: history.into(), ..self }
    }

    /// What of its [`usage`](Self::usage) this run has paid for itself. The rest was paid for by an earlier attempt, and
    /// comes from its record. A run without durability pays for all; what was stored and read back, for nothing.
    pub fn paid(&self) -> Usage {
        self.paid
    }

    /// What of its [`usage`](Self::usage) comes from records.
    pub fn replayed(&self) -> Usage {
        self.usage.less(self.paid)
    }

    /// Both, as a bill.
    pub fn bill(&self) -> Bill {
        Bill { paid: self.paid(), replayed: self.replayed() }
    }

    /// The same result, of which this much comes from records.
    #[must_use]
    pub(crate) fn with_replayed(self, replayed: Usage) -> Self {
        Self { paid: self.usage.less(replayed), ..self }
    }

    /// The whole conversation, for the next run.
    pub fn all_messages(&self) -> History {
        self.history.messages().iter().chain(self.new_messages.messages()).cloned().collect()
    }
}
