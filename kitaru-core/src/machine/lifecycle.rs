//! The life of one execution in one process. Owns who has the seat of an execution: a task that plans, an attempt that runs, or
//! nobody; must not know what a plan or an attempt does.

mod seat;
#[cfg(test)]
mod seat_tests;

pub(crate) use seat::{Call, Called, Cancel, Cause, Lost, Parked, Seat, Sent, TaskId, Wakes};
