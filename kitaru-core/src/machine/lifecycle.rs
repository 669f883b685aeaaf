//! The life of one execution in one process. Owns what has the seat of an execution: a task that plans, a running
//! attempt, or nothing; must not know what a plan or an attempt does.

mod seat;
#[cfg(test)]
mod seat_tests;

pub(crate) use seat::{Call, Called, Cancel, Cause, Lost, Parked, Seat, Sent, TaskId, Wakes};
