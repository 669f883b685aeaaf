//! What drives executions. Owns which executions this process drives, and that one task drives each; must not know who calls,
//! nor how anything is kept.

mod active;
mod admissions;
mod admit;
mod attach;
mod attempt;
mod audit;
mod backup;
mod bulk;
mod checkup;
mod children;
mod companions;
mod continue_as_new;
mod control;
mod counting;
mod deletion;
mod delivery;
mod entered;
mod forget;
mod forking;
mod head;
mod holding;
mod indexed;
mod indexing;
mod keeper;
mod launch;
mod looking;
mod metrics;
mod naming;
mod plan;
mod planning;
mod pulse;
mod recovery;
mod registry;
mod rehearsal;
mod resume;
mod retention;
mod shutdown;
mod state;
mod status;
mod task;

#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod waits_tests;

pub use crate::ledger::{Backup, Checkup, CheckupFinding, ExecutionSize, FindingKind, FlowSize, TableSize};
pub(crate) use active::{Awaited, Ended, ended};
pub(crate) use attach::Attached;
pub(crate) use backup::restore;
pub(crate) use bulk::BulkAction;
pub(crate) use delivery::AnswerToSend;
pub(crate) use keeper::{Keeper, Logs};
#[cfg(test)]
pub(crate) use looking::MOST_LOOKED_AT;
pub(crate) use looking::Published;
pub use pulse::Pulse;
pub use retention::Collected;
pub(crate) use state::{Engine, closed};
