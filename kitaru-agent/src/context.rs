//! What a run hands to the user's code.
//!
//! Owns the context that tools, instructions and validators are given. Must not know how a run goes, nor who records it.

use std::{fmt, sync::Arc};

use crate::Usage;

/// What a tool, an instruction or a validator may know of the run that it is part of. Cheap to clone.
///
/// It holds nothing that differs when the same run is gone through again, but for what the dependencies themselves do.
///
/// # Examples
///
/// ```
/// use kitaru_agent::{Agent, FunctionModel, ModelResponse, RunContext};
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
    /// What the caller gave with [`Agent::with_deps`](crate::Agent::with_deps).
    pub deps: Arc<D>,
    /// What the user asked.
    pub prompt: Arc<str>,
    /// What the run has cost so far.
    pub usage: Usage,
    /// For a tool: how many times in a row the model was told that its call of this tool was wrong. For a validator:
    /// how many times in a row it was told that its answer was.
    pub retry: u32,
}

impl RunContext {
    /// The context of a run on `prompt` that has cost nothing yet. For tests of tools.
    pub fn new(prompt: impl Into<Arc<str>>) -> Self {
        Self { deps: Arc::new(()), prompt: prompt.into(), usage: Usage::default(), retry: 0 }
    }
}

impl<D> RunContext<D> {
    /// The same context with other dependencies.
    pub fn with_deps<D2>(self, deps: impl Into<Arc<D2>>) -> RunContext<D2> {
        RunContext { deps: deps.into(), prompt: self.prompt, usage: self.usage, retry: self.retry }
    }
}

// Not derived: dependencies need not be `Clone` to be shared.
impl<D> Clone for RunContext<D> {
    fn clone(&self) -> Self {
        Self { deps: self.deps.clone(), prompt: self.prompt.clone(), usage: self.usage, retry: self.retry }
    }
}

impl<D> fmt::Debug for RunContext<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The dependencies are left out: they may hold what no log should.
        f.debug_struct("RunContext")
            .field("prompt", &self.prompt)
            .field("usage", &self.usage)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
