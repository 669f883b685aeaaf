//! The place of one polled call: what it does, and who is to be woken for it. Owns the words for that; must not know in
//! which order calls go on.

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
    /// When an open wait is over by itself, if ever; `None` for what is not one.
    pub(super) due: Option<Due>,
    /// Its body has failed and is tried again soon.
    pub(super) napping: bool,
}

/// When a wait is over by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    At(u64),
    /// When another execution is, which is out of memory, too.
    Execution,
    Never,
}

impl Due {
    /// As rows keep it: 0 is never.
    pub(crate) fn unix_ms(self) -> u64 {
        match self {
            Due::At(unix_ms) => unix_ms.max(1),
            Due::Execution | Due::Never => 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Phase {
    Free,
    /// It has a record and waits to be released.
    Ready,
    Released,
    /// It has to run and waits until nothing is left to release.
    Waiting,
    /// It may run.
    Begin,
    /// Its body was polled and has not been woken since.
    Running,
    /// Its body was woken.
    Woken,
    /// A body of it is to begin, once what the flow has seen is durable.
    Gated(Behind),
    /// The intent of its body is on its way to the store.
    Intending,
    /// Its outcome is on its way to the store.
    Landing,
    /// As `Intending` or `Landing`, and the call was dropped meanwhile.
    Orphan,
}

/// How far a call is whose body is to begin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Behind {
    /// Its intent is durable.
    Intent,
    /// An earlier try, or a search for what another execution had, has ended.
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
