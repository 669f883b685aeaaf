//! One run of an agent: what it is given, the future, and what it comes to.
//!
//! Owns the shape of a run. Must not know how it goes: that is `turn`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use serde::{Deserialize, Serialize};

use crate::{Agent, AgentError, History, Limits, ModelSettings, Usage, turn};

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
/// # Cancel safety
///
/// Dropping it drops the request or the tool calls that are under way.
#[must_use = "nothing happens until a run is awaited"]
pub struct Run {
    state: State,
}

enum State {
    Ready(Option<Box<(Agent, String, RunOptions)>>),
    Running(BoxFuture<'static, Result<RunResult, AgentError>>),
}

impl Run {
    pub(crate) fn new(agent: Agent, prompt: String) -> Self {
        Self { state: State::Ready(Some(Box::new((agent, prompt, RunOptions::default())))) }
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

    /// A run that was polled keeps the options that it began with.
    fn map(mut self, change: impl FnOnce(RunOptions) -> RunOptions) -> Self {
        if let State::Ready(Some(question)) = &mut self.state {
            question.2 = change(std::mem::take(&mut question.2));
        }
        self
    }
}

impl Future for Run {
    type Output = Result<RunResult, AgentError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.state {
                State::Running(run) => return run.poll_unpin(cx),
                State::Ready(question) => {
                    let Some((agent, prompt, options)) = question.take().map(|question| *question) else {
                        return Poll::Pending;
                    };
                    self.state = State::Running(turn::run(agent, prompt, options).boxed());
                }
            }
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Ready(_) => "Run(not begun)",
            State::Running(_) => "Run(begun)",
        })
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
}

impl<T> RunResult<T> {
    /// The result `output` of a run that added `new_messages`.
    pub fn new(output: T, new_messages: impl Into<History>, usage: Usage) -> Self {
        Self { new_messages: new_messages.into(), usage, output, history: History::default() }
    }

    /// The same result, of a run that began with `history`.
    #[must_use]
    pub fn with_history(self, history: impl Into<History>) -> Self {
        Self { history: history.into(), ..self }
    }

    /// The whole conversation, for the next run.
    pub fn all_messages(&self) -> History {
        self.history.messages().iter().chain(self.new_messages.messages()).cloned().collect()
    }
}
