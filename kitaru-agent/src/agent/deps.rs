//! Whether an agent has its dependencies, so that it can run.
//!
//! Owns the compiler's message for an agent without its dependencies. Must not know how they are passed on.

use crate::agent::Agent;

/// The dependencies of an agent that can run: none are missing.
///
/// Only `()` implements it. [`Agent::with_deps`] turns an agent with other dependencies into one with `()`.
#[diagnostic::on_unimplemented(
    message = "an agent runs only with its dependencies, and this one has no `{Self}` yet",
    label = "give them with `.with_deps(…)`",
    note = "`agent.with_deps(deps)` is cheap, and runs: `agent.with_deps(deps).run(prompt)`, or \
            `KitaruAgent::new(agent.with_deps(deps))`"
)]
pub trait HasDeps: sealed::Sealed + Sized {
    /// The same agent.
    #[doc(hidden)]
    fn ready<T>(agent: Agent<Self, T>) -> Agent<(), T>;
}

impl HasDeps for () {
    fn ready<T>(agent: Agent<Self, T>) -> Agent<(), T> {
        agent
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}
}
