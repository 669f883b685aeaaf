//! The promises of the execution model, each by a test that would fail if it broke. One module for each section.

mod bounds;
mod calls;
mod chance;
mod divergence;
mod durability;
mod encoding;
mod errors;
mod executions;
mod order;
mod records;
mod support;
