//! The promises of the execution model, each by a test that would fail if it broke. One module for each section.

// Every line of these modules is a test, helpers and flows included.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod adversary;
mod asking;
mod beginning;
mod bounds;
mod calls;
mod cancelling;
mod chance;
mod children;
mod closing;
mod corners;
mod divergence;
mod durability;
mod dying;
mod encoding;
mod errors;
mod executions;
mod faults;
mod going_on;
mod mapping;
mod odd;
mod order;
mod publishing;
mod records;
mod retention;
mod retrying;
mod shared_children;
mod support;
mod time;
mod undoing;
