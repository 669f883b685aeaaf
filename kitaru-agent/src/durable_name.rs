//! The names that an agent may have.
//!
//! Owns that they are valid names of checkpoints. Must not know the agent.

pub use kitaru_core::dynamic::agents::MAX_AGENT_NAME_BYTES;
pub(crate) use kitaru_core::dynamic::agents::check_name;
