//! The small library beside the stage examples: profiles, the agents and tools built from them, and a model for those
//! without a key.
//!
//! Everything here makes *plain* agents. That a run survives its process is the business of the example that wraps
//! them.

pub(crate) mod agents;
pub(crate) mod exec;
pub(crate) mod meter;
pub(crate) mod profile;
pub(crate) mod scripted;
pub(crate) mod tools;
