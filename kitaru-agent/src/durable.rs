//! The durable agent: the same agent, each of whose turns, or requests and tool calls, is a checkpoint.
//!
//! Owns the decorators in front of a plain agent's seams and the keys of their checkpoints. Must not know how a run goes,
//! nor how a checkpoint is recorded.

mod agent;
mod agreement;
mod approval;
mod bill;
mod continued;
mod error;
mod progress;
mod record;
mod replayed;
mod run;
mod seams;
mod tool;
mod tool_reply;
mod turn;

pub use agent::KitaruAgent;
pub use agreement::Approval;
pub use error::RunError;
pub use kitaru_core::dynamic::agents::Granularity;
pub use run::KitaruRun;
