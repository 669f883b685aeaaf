//! The errors of models, tools and runs.
//!
//! Owns their form: all can be cloned and stored, and keep the messages of their causes. Must not know a provider's error
//! types, and never contains a key.

use std::{error::Error, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::price::Cost;

/// Why a model sent no answer.
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

    /// The same error, with how long the provider asks clients to wait.
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after_ms = Some(after.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ModelErrorKind {
        self.kind
    }

    /// Whether the same request may be answered later: [`ModelErrorKind::is_transient`] of its kind. A durable run then waits
    /// for its model; see [`KitaruAgent::wait_for_model`](crate::KitaruAgent::wait_for_model).
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }

    /// How long the provider asks clients to wait.
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

/// The kinds of model errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The model is not configured correctly; no request was sent.
    Configuration,
    /// The provider could not be reached, or the connection broke.
    Unreachable,
    /// There was no answer in time.
    TimedOut,
    /// The provider limits the rate of requests.
    RateLimited,
    /// The provider does not accept the key, or the key lacks the permission.
    Unauthorized,
    /// The provider considers the request wrong.
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
    /// The answer stopped before it was complete, and would again: it reached the bound on its tokens, or ended for a reason
    /// that does not mean "complete".
    Incomplete,
    /// The account has no quota left; waiting does not help.
    OutOfQuota,
}

impl ModelErrorKind {
    /// Whether the same request may be answered later. The other kinds need a change first: of the request, the settings, the
    /// key or the account.
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

/// Why a tool returned no output.
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
    /// The model's call was wrong. The model receives this text, and may try again within
    /// [`Limits::tool_retries`](crate::Limits).
    #[error("{0}")]
    Retry(String),
    /// A person must approve the call first, for this reason. A durable run waits for the approval, and calls the tool again;
    /// any other run ends.
    #[error(
        "cannot make the call: it needs approval ({0}); run it by `KitaruAgent` in a flow, with `granular_checkpoints`"
    )]
    Approval(String),
    /// The tool failed. The run ends.
    #[error(transparent)]
    Failed(Cause),
}

impl ToolError {
    /// Tells the model what was wrong with its call, so that it can make another one.
    ///
    /// `?` converts it into any error type that accepts errors, such as `anyhow::Error`; [`ToolError::of`] finds it there.
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

    /// Asks a person to approve the present call, for this reason.
    ///
    /// A durable run waits at `<tool>_approval`, and shows the arguments and the reason, until a person answers with an
    /// [`Approval`](crate::Approval). After an approval, the tool is called again, with
    /// [`is_approved`](crate::RunContext::is_approved) in its context. What the tool did before it asked is not undone. `?`
    /// works as with [`retry`](Self::retry).
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

    /// Ends the run. Takes any error (including `anyhow`'s) or a text, and keeps its chain of messages.
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

/// An error and its causes, as text.
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

/// The messages of an error and of its causes, in one text: an error that is printed alone must show why.
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
    /// The model sent no answer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tool failed.
    #[error("cannot finish the run: tool `{tool}` failed: {}", chain(error))]
    Tool {
        /// The tool.
        tool: String,
        /// The tool's error; its messages are in that of this error.
        error: ToolError,
    },
    /// The model made too many mistakes in a row, in calls of one tool or in its answer.
    #[error("cannot finish the run: the model got {what} wrong {times} times in a row, the last time with: {last}")]
    TooManyRetries {
        /// What was wrong.
        what: String,
        /// How many times.
        times: u32,
        /// The last message to the model, sent or not.
        last: String,
    },
    /// An instruction could not be computed.
    #[error("cannot compute the instructions of the agent: {}", chain(.0))]
    Instructions(ToolError),
    /// A validator of the answer failed.
    #[error("cannot validate the answer: {}", chain(.0))]
    Validator(ToolError),
    /// The run reached a limit.
    #[error("cannot continue the run: it reached its limit of {}; raise it with `Limits`, or ask for less", limit.at(*bound))]
    Limit {
        /// The limit.
        limit: Limit,
        /// Its value; for [`Limit::Cost`] in billionths.
        bound: u64,
    },
    /// The runs that share a [`Budget`](crate::Budget) reached a limit of it.
    #[error("cannot continue the run: the budget of {} is used up; give it a larger one, or ask for less", limit.at(*bound))]
    Budget {
        /// The limit.
        limit: Limit,
        /// Its value; for [`Limit::Cost`] in billionths.
        bound: u64,
    },
    /// A run was requested where it cannot run.
    #[error("{0}")]
    Misuse(String),
    /// The agent's parts contradict each other, or it cannot run here.
    #[error("cannot use agent `{agent}` as it is described: {reason}")]
    Invalid {
        /// The agent.
        agent: String,
        /// What is wrong with the agent.
        reason: String,
    },
    /// A file of the prompt could not be read.
    #[error("cannot begin the run: {}", chain(.0))]
    Prompt(ToolError),
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
