//! The testkit, used as a user does. One module for each part of it.

// Every line of these modules is a test, helpers and flows included.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod agents;
mod crashes;
mod divergence;
mod forking;
mod histories;
mod kit;
mod steering;
mod waiting;
