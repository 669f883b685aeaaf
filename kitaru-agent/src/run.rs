//! One run of an agent: the future of its result.
//!
//! Owns the shape of a run and the ways to drive it. Must not know how it goes: that is `turn`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::FutureExt as _;

use crate::agent::{Agent, HasDeps};
use crate::blocking;
use crate::budget::Budget;
use crate::error::AgentError;
use crate::event::Events;
use crate::lazy::Lazy;
use crate::message::History;
use crate::model::ModelSettings;
use crate::options::RunOptions;
use crate::prompt::Prompt;
use crate::result::RunResult;
use crate::steps::Steps;
use crate::stream::RunStream;
use crate::turn::Turn;
use crate::usage::Limits;

/// A run of an agent. It is the future of its result. It borrows nothing, and nothing happens before it is polled.
///
/// There are other ways to run it: [`stream`](Self::stream) streams its events as they happen, [`steps`](Self::steps) waits
/// before each step, [`sync`](Self::sync) is for code that is not async.
///
/// # Panics
///
/// When it is polled after it returned its result.
///
/// # Cancel safety
///
/// Dropping it drops the running request or tool calls.
#[must_use = "nothing happens until a run is awaited"]
pub struct Run<T = String> {
    state: Lazy<Question<T>, Result<RunResult<T>, AgentError>>,
}

struct Question<T> {
    agent: Agent<(), T>,
    prompt: Prompt,
    options: RunOptions,
    budget: Option<Budget>,
}

impl<T: Send + 'static> Question<T> {
    fn into_turn(self) -> Turn<T> {
        Turn::new(self.agent, self.prompt, self.options, self.budget)
    }
}

// The bound is on each method, where the compiler explains it.
impl<D: Send + Sync + 'static, T: Send + 'static> Agent<D, T> {
    /// Asks the agent: a text, or a [`Prompt`] with media. Nothing happens before the [`Run`] is polled.
    ///
    /// If the agent has dependencies, set them first, with [`with_deps`](Self::with_deps).
    pub fn run(&self, prompt: impl Into<Prompt>) -> Run<T>
    where
        D: HasDeps,
    {
        Run::new(D::ready(self.clone()), prompt.into())
    }

    /// Asks the agent, and streams its events as they happen. Short for `run(prompt).stream()`.
    pub fn run_stream(&self, prompt: impl Into<Prompt>) -> RunStream<T>
    where
        D: HasDeps,
    {
        self.run(prompt).stream()
    }

    /// Asks the agent from code that is not async. Short for `run(prompt).sync()`.
    ///
    /// # Errors
    ///
    /// As [`Run::sync`].
    pub fn run_sync(&self, prompt: impl Into<Prompt>) -> Result<RunResult<T>, AgentError>
    where
        D: HasDeps,
    {
        self.run(prompt).sync()
    }
}

impl<T: Send + 'static> Run<T> {
    fn new(agent: Agent<(), T>, prompt: Prompt) -> Self {
        Self { state: Lazy::new(Question { agent, prompt, options: RunOptions::default(), budget: None }) }
    }

    /// Continues from `history`.
    pub fn history(self, history: impl Into<History>) -> Self {
        self.map(|options| options.history(history))
    }

    /// Overrides the model's settings for this run.
    pub fn settings(self, settings: ModelSettings) -> Self {
        self.map(|options| options.settings(settings))
    }

    /// Limits what this run may cost.
    pub fn limits(self, limits: Limits) -> Self {
        self.map(|options| options.limits(limits))
    }

    /// Sets all options together.
    pub fn options(self, options: RunOptions) -> Self {
        self.map(|_| options)
    }

    /// Counts this run in `budget`, and ends it in [`AgentError::Budget`] when that is used up.
    pub fn budget(mut self, budget: &Budget) -> Self {
        self.state.change(|question| question.budget = Some(budget.clone()));
        self
    }

    fn map(mut self, change: impl FnOnce(RunOptions) -> RunOptions) -> Self {
        self.state.change(|question| question.options = change(std::mem::take(&mut question.options)));
        self
    }

    /// Runs one step at a time. Nothing happens before the first step.
    ///
    /// # Panics
    ///
    /// When the run was polled before.
    pub fn steps(self) -> Steps<T> {
        Steps::new(self.state.into_question().into_turn())
    }

    /// Streams the events of the run as they happen. Nothing happens before the stream is polled.
    ///
    /// # Panics
    ///
    /// When the run was polled before.
    pub fn stream(self) -> RunStream<T> {
        RunStream::of(self.state.into_question().into_turn())
    }

    /// Runs and blocks until the end, for code that is not async. All such runs of a process share one runtime, which lives as
    /// long as the process.
    ///
    /// # Errors
    ///
    /// As the run itself, and [`AgentError::Misuse`] in async code, whose thread it would block. Threads of
    /// `tokio::task::spawn_blocking` and `block_in_place` may block.
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
