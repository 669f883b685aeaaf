//! The replay logic: which record answers, what is released next, when live work may start. A synchronous state machine
//! without runtime, clock, disk, network or randomness, so that tests can drive it.

mod backoff;
mod claims;
mod deaths;
mod exit;
mod forking;
mod journal;
mod keys;
mod lifecycle;
mod names;
mod replay;
#[cfg(test)]
mod replay_tests;
mod slot;
mod sparse;

pub use backoff::Backoff;
pub(crate) use claims::{Asked, Claim, Item, MAX_CALLS, RecordState, Refused};
#[cfg(test)]
pub(crate) use deaths::MOST_DEATHS;
pub(crate) use deaths::{Verdict, alone_for, died, dies_in_replay, last_chance, verdict};
pub(crate) use exit::{Exit, Unflushed};
pub(crate) use forking::{ForkCut, ForkableCall, ForkableJournal, ForkedJournal, SetValue};
pub(crate) use journal::{Journal, RecordIx};
pub use lifecycle::Reuse;
pub(crate) use lifecycle::{
    Ask, AttemptReport, AttemptState, CallEffect, CancelEffect, Cause, Decision, Event, LossEffect, Newest, ParkEffect,
    Progress, Reported, Seat, SeatCall, SendEffect, TaskId, Wakes, decide,
};
pub(crate) use replay::{Quiet, Replay};
pub(crate) use slot::{Due, SlotId, Step};
