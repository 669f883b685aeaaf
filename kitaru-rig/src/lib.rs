//! A [rig](https://docs.rs/rig/0.44) agent that survives its process, in one line.
//!
//! [`KitaruRig`] wraps an existing, built agent of rig 0.44. Its model requests and tool calls, or its turns, are checkpoints
//! of Kitaru: a run that is repeated after a crash resumes where it stopped, and pays for nothing twice.

mod agent;
mod answers;
mod bus;
mod error;
mod event;
mod hook;
mod ongoing;
mod options;
mod result;
mod rig;
mod run;
mod tool_reply;
mod usage;

pub use error::RigError;
pub use event::RigEvent;
pub use kitaru_core::dynamic::agents::Granularity;
pub use options::{ToolOptions, happened};
pub use result::RigResult;
pub use rig::KitaruRig;
pub use run::RigRun;
pub use usage::RigUsage;
