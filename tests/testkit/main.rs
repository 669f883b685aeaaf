//! The testkit, used as a user does. One module for each part of it.

// Every line of these modules is a test, helpers and flows included.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod crashes;
mod histories;
mod kit;
