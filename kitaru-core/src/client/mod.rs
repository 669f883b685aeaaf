//! The public interface of a store: opening it, running flows on it, reading it. Must not know how an execution is driven or
//! how rows are kept.

mod audit;
mod backup;
mod builder;
mod bulk;
mod cancel;
mod checkup;
mod closing;
mod companion;
mod continue_as_new;
mod current;
mod decode;
mod delete;
mod execution;
mod executions;
mod export;
mod flow_call;
mod fork;
mod handle;
mod implicit;
mod kitaru;
mod mail;
mod metrics;
mod pulse;
mod refusals;
mod register;
mod resume;
mod watch;

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod outside_tests;

#[cfg(feature = "testkit")]
pub(crate) use builder::TestStage;
pub use builder::{KitaruBuilder, Recovery};
pub use bulk::BulkRequest;
pub use cancel::CancelRequest;
pub use closing::CloseRequest;
pub use companion::{Accompaniment, Companion};
pub use continue_as_new::ContinueAsNew;
pub use current::{current_execution, is_fork};
pub use delete::GcRequest;
pub use execution::ExecutionRequest;
pub use executions::ListRequest;
pub use flow_call::{FlowCall, flow_call, refused_flow};
pub use fork::ForkRequest;
pub use handle::Handle;
pub use kitaru::{Kitaru, WeakKitaru};
pub use mail::SignalRequest;
pub use resume::ResumeRequest;
pub use watch::Watch;
