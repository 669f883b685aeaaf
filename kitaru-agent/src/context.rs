//! The context of a run, for the user's code.
//!
//! Owns the context that tools, instructions and validators receive. Must not know how a run goes, nor who records it.

use std::{fmt, sync::Arc};

use crate::siblings::Sibling;
use crate::usage::Usage;

/// What a tool, an instruction or a validator knows of its run. Cheap to clone.
///
/// It is the same when the run is replayed, except for what the dependencies do.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionModel, ModelResponse, RunContext};
///
/// struct User {
///     name: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FunctionModel::new("mock", |request| Ok(ModelResponse::text(request.instructions.clone().unwrap())));
/// let agent = Agent::builder(model)
///     .deps::<User>()
///     .instructions("Be brief.")
///     .instructions_from(|context: RunContext<User>| async move { Ok(format!("You speak to {}.", context.deps.name)) })
///     .build()?;
///
/// let ada = agent.with_deps(User { name: "Ada".to_owned() });
/// assert_eq!(ada.run("Who am I?").await?.output, "Be brief.\n\nYou speak to Ada.");
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub struct RunContext<D = ()> {
    /// The dependencies that [`Agent::with_deps`](crate::Agent::with_deps) set.
    pub deps: Arc<D>,
    /// The user's prompt.
    pub prompt: Arc<str>,
    /// The cost of the run so far.
    pub usage: Usage,
    /// For a tool: how many times in a row the model's call of this tool was wrong. For a validator: how many times in a row
    /// its answer was wrong.
    pub retry: u32,
    approved: bool,
    idempotency_key: Option<Arc<str>>,
    /// For a tool: the call among those of its response.
    pub(crate) sibling: Sibling,
}

impl RunContext {
    /// The context of a run on `prompt` that has cost nothing yet. For tests of tools.
    pub fn new(prompt: impl Into<Arc<str>>) -> Self {
        Self {
            deps: Arc::new(()),
            prompt: prompt.into(),
            usage: Usage::default(),
            retry: 0,
            approved: false,
            idempotency_key: None,
            sibling: Sibling::default(),
        }
    }
}

impl<D> RunContext<D> {
    /// The same context with other dependencies.
    pub fn with_deps<D2>(self, deps: impl Into<Arc<D2>>) -> RunContext<D2> {
        let RunContext { deps: _, prompt, usage, retry, approved, idempotency_key, sibling } = self;
        RunContext { deps: deps.into(), prompt, usage, retry, approved, idempotency_key, sibling }
    }

    /// For a tool: whether a person has approved this call. See
    /// [`ToolError::approval_required`](crate::ToolError::approval_required).
    pub fn is_approved(&self) -> bool {
        self.approved
    }

    /// The same context, of an approved call. For tests of tools, and for code that asks for approval.
    #[must_use]
    pub fn approved(self) -> Self {
        Self { approved: true, ..self }
    }

    /// For a tool in a durable run: the identity of this call, the same on every attempt and every try. A service that
    /// recognises the key does its work once. A run without durability has none.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// The same context, of a call with this key. For tests of tools, and for code that repeats calls.
    #[must_use]
    pub fn with_idempotency_key(self, key: impl Into<Arc<str>>) -> Self {
        Self { idempotency_key: Some(key.into()), ..self }
    }
}

// Not derived: dependencies need not be `Clone` to be shared.
impl<D> Clone for RunContext<D> {
    fn clone(&self) -> Self {
        let Self { deps, prompt, usage, retry, approved, idempotency_key, sibling } = self;
        Self {
            deps: deps.clone(),
            prompt: prompt.clone(),
            usage: *usage,
            retry: *retry,
            approved: *approved,
            idempotency_key: idempotency_key.clone(),
            sibling: sibling.clone(),
        }
    }
}

impl<D> fmt::Debug for RunContext<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The dependencies are left out: they may contain secrets.
        f.debug_struct("RunContext")
            .field("prompt", &self.prompt)
            .field("usage", &self.usage)
            .field("retry", &self.retry)
            .field("approved", &self.approved)
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}
