//! The place of one polled call: its phase, and its waker. Must not know in which order calls continue.

use std::task::Waker;

use crate::id::Seq;

/// The place of a polled call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SlotId(pub(crate) u32);

pub(super) struct Slot {
    pub(super) phase: Phase,
    pub(super) waker: Option<Waker>,
    /// The number of its record, once it has one.
    pub(super) seq: Seq,
    /// Whether its outcome is an error that a later attempt would try again.
    pub(super) unsettled: bool,
    /// When an open wait ends by itself, if ever. `None` for any other call.
    pub(super) due: Option<Due>,
    /// Its body failed and is tried again soon.
    pub(super) napping: bool,
}

/// When a wait ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    At(u64),
    /// When another execution ends, which is parked too.
    Execution,
    Never,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Phase {
    Free,
    /// It has a record and waits to be released.
    Ready,
    Released,
    /// It must run and waits until nothing is left to release.
    Waiting,
    /// It may run.
    Begin,
    /// Its body was polled and has not been woken since.
    Running,
    /// Its body was woken.
    Woken,
    /// A body of it begins once what the flow received is durable.
    Gated(Behind),
    /// The intent of its body is on its way to the store.
    Intending,
    /// Its outcome is on its way to the store.
    Landing,
    /// As `Intending` or `Landing`, and the call was dropped meanwhile.
    Orphan,
}

/// The phase of a call whose body is about to begin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Behind {
    /// Its intent is durable.
    Intent,
    /// An earlier try, or the search for a memo, has ended.
    Try,
}

/// What a polled call does next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Step {
    Pending,
    /// Its outcome was released to it: it answers.
    Answer,
    /// It starts its body.
    Begin,
    /// It polls its body.
    Poll,
}
