//! The promises of the execution model, each by a test that would fail if it broke. One module for each section.

// Every line of these modules is a test, helpers and flows included.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod adversary;
mod arguments;
mod asking;
mod bounds;
mod calls;
mod cancelling;
mod chance;
mod children;
mod clauses;
mod closing;
mod corners;
mod divergence;
mod durability;
mod encoding;
mod errors;
mod executions;
mod failing_children;
mod faults;
mod generations;
mod going_on;
mod limits;
mod kept;
mod handles;
mod identity;
mod keys;
mod mapping;
mod memos;
mod odd;
mod order;
mod publishing;
mod records;
mod retention;
mod retrying;
mod saying;
mod shared_children;
mod support;
mod time;
mod tries;
mod undoing;
mod values;
