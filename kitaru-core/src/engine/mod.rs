//! What drives executions. Owns which executions this process drives, and that one task drives each; must not know who calls,
//! nor how anything is kept.

mod active;
mod admissions;
mod admit;
mod attempt;
mod children;
mod continue_as_new;
mod control;
mod delivery;
mod entered;
mod forget;
mod found;
mod head;
mod holding;
mod indexing;
mod keeper;
mod launch;
mod plan;
mod planning;
mod recovery;
mod registry;
mod resume;
mod retention;
mod shutdown;
mod standing;
mod state;
mod task;

#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod waits_tests;

pub(crate) use active::{Awaited, Ended, ended};
pub(crate) use delivery::Answer;
pub(crate) use found::{Found, unknown};
pub(crate) use keeper::{Keeper, Logs};
pub(crate) use state::{Engine, closed};
