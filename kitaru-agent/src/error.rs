//! What can go wrong, in a form that can be kept.
//!
//! Owns the errors of models, tools and runs: all can be cloned and stored, and keep the messages of what caused them.
//! Must not know a provider's error types, and never holds a key.

use std::{error::Error, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::price::Cost;

/// Why a model gave no answer.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{ModelError, ModelErrorKind};
///
/// let error = ModelError::new(ModelErrorKind::TimedOut, "no answer from `gpt-x` within 30s");
/// assert_eq!(error.kind(), ModelErrorKind::TimedOut);
/// assert_eq!(error.to_string(), "no answer from `gpt-x` within 30s");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelError {
    kind: ModelErrorKind,
    message: String,
    retry_after_ms: Option<u64>,
}

impl ModelError {
    /// An error of this kind. The message names the model and says what to do.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None }
    }

    /// The same error, with how long the provider asks to be left alone.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after_ms = Some(after.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// What went wrong, coarsely.
    pub fn kind(&self) -> ModelErrorKind {
        self.kind
    }

    /// Whether the same request may be answered later: [`ModelErrorKind::is_transient`] of its kind. A durable run waits for
    /// its model then; see [`KitaruAgent::wait_for_model`](crate::KitaruAgent::wait_for_model).
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }

    /// How long the provider asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ModelError {}

/// What kept a model from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The model is not set up right; nothing was sent.
    Configuration,
    /// The provider could not be reached, or the connection broke.
    Unreachable,
    /// There was no answer in time.
    TimedOut,
    /// The provider has had enough requests for now.
    RateLimited,
    /// The provider does not know the key, or the key may not do this.
    Unauthorized,
    /// The provider found the request wrong.
    Rejected,
    /// The provider failed.
    Unavailable,
    /// The provider withheld the answer.
    Refused,
    /// The provider's answer broke off or stalled.
    Interrupted,
    /// The provider's answer could not be read.
    InvalidResponse,
    /// Anything else.
    Other,
    /// The answer stopped before it was complete, and would again: it came to the bound on its tokens, or ended for a
    /// reason that does not mean "complete".
    Incomplete,
    /// The account has no quota left; waiting does not help.
    OutOfQuota,
}

impl ModelErrorKind {
    /// Whether the same request may be answered later. The other kinds need a change first: of the request, of the
    /// settings, of the key or of the account.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::ModelErrorKind;
    ///
    /// assert!(ModelErrorKind::RateLimited.is_transient());
    /// assert!(!ModelErrorKind::Incomplete.is_transient());
    /// ```
    pub fn is_transient(self) -> bool {
        use ModelErrorKind as Kind;
        match self {
            Kind::Unreachable
            | Kind::TimedOut
            | Kind::RateLimited
            | Kind::Unavailable
            | Kind::Interrupted
            | Kind::InvalidResponse => true,
            Kind::Configuration
            | Kind::Unauthorized
            | Kind::Rejected
            | Kind::Refused
            | Kind::Other
            | Kind::Incomplete
            | Kind::OutOfQuota => false,
        }
    }
}

/// What a tool ended in when it gave nothing.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::ToolError;
///
/// fn read(path: &str) -> Result<String, ToolError> {
///     if path.starts_with('/') {
///         return Err(ToolError::retry("the path has to be relative"));
///     }
///     std::fs::read_to_string(path).map_err(ToolError::failed)
/// }
/// assert_eq!(read("/etc").unwrap_err(), ToolError::retry("the path has to be relative"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolError {
    /// The model asked wrongly. It is told this, and may ask again within [`Limits::tool_retries`](crate::Limits).
    #[error("{0}")]
    Retry(String),
    /// Somebody has to agree to the call first, for this reason. A durable run waits until somebody has, and calls the tool
    /// again; any other run ends.
    #[error(
        "the call needs approval ({0}), for which a run has to wait: run the agent by `KitaruAgent`, in a flow's own code, \
         with `granular_checkpoints` on and the tool durable"
    )]
    Approval(String),
    /// The tool failed. The run ends.
    #[error(transparent)]
    Failed(Cause),
}

impl ToolError {
    /// Tells the model what was wrong with its call, so that it can make another one.
    ///
    /// The error goes through `?` into any error that takes errors, as `anyhow::Error` does; [`ToolError::of`] finds it there.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::ToolError;
    ///
    /// fn check(city: &str) -> Result<(), ToolError> {
    ///     if city.is_empty() { Err(ToolError::retry("say which city")) } else { Ok(()) }
    /// }
    /// fn look_up(city: &str) -> anyhow::Result<()> {
    ///     Ok(check(city)?)
    /// }
    /// assert_eq!(ToolError::of(look_up("").unwrap_err()), ToolError::retry("say which city"));
    /// ```
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry(message.into())
    }

    /// Asks somebody to agree to the call that ends in it, for this reason.
    ///
    /// A durable run waits by `<tool>_approval`, with the arguments and the reason in view, until somebody answers with an
    /// [`Approval`](crate::Approval). If they agree, the tool is called again and its context says
    /// [`is_approved`](crate::RunContext::is_approved); what the tool did before it asked has been done. It goes through `?`
    /// as [`retry`](Self::retry) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod kitaru { pub use kitaru_agent as agent; }
    /// use kitaru::agent::{RunContext, ToolError};
    ///
    /// fn delete(context: &RunContext, path: &str) -> Result<String, ToolError> {
    ///     if path.starts_with("/etc") && !context.is_approved() {
    ///         return Err(ToolError::approval_required("it is outside the project"));
    ///     }
    ///     Ok(format!("{path} is gone"))
    /// }
    /// let context = RunContext::new("Tidy up.");
    /// assert_eq!(delete(&context, "/etc/x"), Err(ToolError::approval_required("it is outside the project")));
    /// assert!(delete(&context.approved(), "/etc/x").is_ok());
    /// ```
    pub fn approval_required(reason: impl Into<String>) -> Self {
        Self::Approval(reason.into())
    }

    /// Ends the run. Takes any error (of `anyhow` too) or a text, and keeps its chain of messages.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(Cause::of(&*error.into()))
    }
}

impl From<Box<dyn Error + Send + Sync>> for ToolError {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::failed(error)
    }
}

impl From<std::io::Error> for ToolError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}

/// An error and what caused it, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    message: String,
    source: Option<Box<Cause>>,
}

/// A chain longer than this is cut: an error may be its own source.
pub(crate) const MAX_CAUSES: usize = 32;

impl Cause {
    /// The messages of `error` and of its sources.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut messages = vec![error.to_string()];
        let mut source = error.source();
        while let Some(error) = source.filter(|_| messages.len() < MAX_CAUSES) {
            messages.push(error.to_string());
            source = error.source();
        }
        let innermost = Self { message: messages.pop().unwrap_or_default(), source: None };
        messages.into_iter().rev().fold(innermost, |cause, message| Self { message, source: Some(Box::new(cause)) })
    }
}

/// The messages of an error and of what caused it, in one text: whoever prints an error alone is to see why.
fn chain(error: &ToolError) -> String {
    let chain = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    let mut messages: Vec<String> = chain.take(MAX_CAUSES).map(ToString::to_string).collect();
    messages.dedup();
    messages.join(": ")
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

/// Why a run ended without an answer, or an agent could not be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentError {
    /// The model gave no answer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tool failed.
    #[error("tool `{tool}` failed: {}", chain(error))]
    Tool {
        /// The tool.
        tool: String,
        /// What it ended in; its messages are in that of this error.
        error: ToolError,
    },
    /// The model got a tool call, or its answer, wrong too many times in a row.
    #[error("the model got {what} wrong {times} times in a row, the last time with: {last}")]
    TooManyRetries {
        /// What it got wrong.
        what: String,
        /// How many times.
        times: u32,
        /// What it was told last, or would have been.
        last: String,
    },
    /// An instruction could not be computed.
    #[error("the instructions of the agent could not be computed: {}", chain(.0))]
    Instructions(ToolError),
    /// A validator of the answer failed.
    #[error("a validator of the answer failed: {}", chain(.0))]
    Validator(ToolError),
    /// The run came to a bound.
    #[error("the run came to its limit of {}; raise it with `Limits`, or ask for less", limit.at(*bound))]
    Limit {
        /// Which bound.
        limit: Limit,
        /// Where it is; for [`Limit::Cost`] in billionths.
        bound: u64,
    },
    /// The runs that share a [`Budget`](crate::Budget) came to its bound.
    #[error("the budget of {} is used up; give the runs a larger one, or ask for less", limit.at(*bound))]
    Budget {
        /// Which bound.
        limit: Limit,
        /// Where it is; for [`Limit::Cost`] in billionths.
        bound: u64,
    },
    /// A run was asked for where there can be none.
    #[error("{0}")]
    Misuse(String),
    /// The agent cannot be as it is described, or cannot run so where it is to run.
    #[error("agent `{agent}` cannot be used as it is described: {reason}")]
    Invalid {
        /// The agent.
        agent: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A bound of [`Limits`](crate::Limits) or of a [`Budget`](crate::Budget).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// On requests.
    Requests,
    /// On tool calls.
    ToolCalls,
    /// On tokens.
    TotalTokens,
    /// On the cost.
    Cost,
}

impl Limit {
    fn at(self, bound: u64) -> String {
        match self {
            Self::Cost => format!("a cost of {}", Cost::from_nanos(bound)),
            _ => format!("{bound} {self}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::ToolCalls => "tool calls",
            Self::TotalTokens => "tokens",
            Self::Cost => "cost",
        })
    }
}
