//! A small library for the stage examples: profiles, the agents and tools built from them, and a model for users without a key.
//!
//! It makes *plain* agents. The example that wraps an agent makes it durable.

pub(crate) mod agents;
pub(crate) mod exec;
pub(crate) mod meter;
pub(crate) mod profile;
pub(crate) mod scripted;
pub(crate) mod tools;
