//! Whether an agent can run: whether it has what its tools are handed.
//!
//! Owns what the compiler says of one that was given no dependencies. Must not know how they are handed on.

use crate::agent::Agent;

/// The dependencies of an agent that can run: none are left to be given.
///
/// Only `()` has it. An agent of other dependencies becomes one of `()` by [`Agent::with_deps`].
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
