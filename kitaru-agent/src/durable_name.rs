//! Which names an agent may have.
//!
//! Owns that they are those of checkpoints. Must not know the agent.

pub use kitaru_core::dynamic::agents::MAX_AGENT_NAME_BYTES;
pub(crate) use kitaru_core::dynamic::agents::check_name;
