//! The stand-in for a director in a build without the feature `testkit`. Each method does what the other build does in
//! a store without a director.

use std::task::Waker;

use crate::director::{Cue, Observation, Turn};
use crate::id::ExecutionId;

/// The stand-in. It is made and cloned as in the other build.
#[derive(Clone, Default)]
pub(crate) struct Direction(());

impl Direction {
    #[inline(always)]
    pub(crate) fn is_some(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn stops_call<'a>(&self, _: impl FnOnce() -> Cue<'a>) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn stops_attempt(&self, _: &ExecutionId, _: Turn) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn observe<'a>(&self, _: impl FnOnce() -> Observation<'a>) {}

    #[inline(always)]
    pub(crate) fn order(&self, _: &mut [Waker]) {}

    #[inline(always)]
    pub(crate) fn chance(&self) -> Option<u64> {
        None
    }
}

const _: () = assert!(size_of::<Direction>() == 0);
