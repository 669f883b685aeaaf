//! The life of one execution in one process. Owns what has the seat of an execution (a task that plans, a running
//! attempt, or nothing), what a call does with what is recorded, and what an attempt is for the store and for its driver; must
//! not know what a plan or an attempt does.

mod attempt;
#[cfg(test)]
mod attempt_tests;
mod policy;
mod seat;
#[cfg(test)]
mod seat_tests;

pub(crate) use attempt::{AttemptReport, AttemptState, Event, Progress, Reported};
pub use policy::Reuse;
pub(crate) use policy::{Ask, Decision, Newest, decide};
pub(crate) use seat::{
    CallEffect, CancelEffect, Cause, LossEffect, ParkEffect, Seat, SeatCall, SendEffect, TaskId, Wakes,
};
