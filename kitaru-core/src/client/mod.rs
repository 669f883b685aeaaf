//! The face of a store: opening it, running flows on it, looking at what is in it. Must not know how an execution is driven or
//! how rows are kept.

mod builder;
mod cancel;
mod closing;
mod decode;
mod execution;
mod executions;
mod export;
mod flow_call;
mod handle;
mod implicit;
mod kitaru;
mod mail;
mod register;
mod restart;
mod retry;
mod watch;

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod outside_tests;

pub(crate) use builder::Stage;
pub use builder::{KitaruBuilder, Recovery};
pub use cancel::Cancelling;
pub use closing::Closing;
pub use execution::ExecutionRequest;
pub use executions::ListRequest;
pub use flow_call::{FlowCall, flow_call, refused_flow};
pub use handle::Handle;
pub use kitaru::Kitaru;
pub use mail::Sending;
pub use restart::Restart;
pub use retry::Retrying;
pub use watch::Watch;
