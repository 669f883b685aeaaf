//! An attempt that is under way. Owns that the writer counts it, and that the store is told where it is cut off by a process that
//! lives; must not know what it does.

use std::sync::Arc;

use crate::client::launch::Place;
use crate::context::Context;
use crate::runtime::{Numbers, Runtime};
use crate::store::{Activity, Row};

/// An attempt that counts as running for the writer until it has ended.
pub(super) struct Entered<'a> {
    runtime: &'a Runtime,
    pub(super) place: &'a Place,
    /// What the store is told if it is cut off by a process that lives.
    pub(super) left: Left,
    /// Its end has been submitted.
    pub(super) ended: bool,
    /// It has landed, and all before it.
    pub(super) landed: bool,
}

/// What the store knows of an attempt that has not ended.
pub(super) enum Left {
    Nothing,
    /// It is counted, and nothing else.
    Counted(Arc<Numbers>, Row),
    Begun(Arc<Context>),
}

impl<'a> Entered<'a> {
    pub(super) fn new(place: &'a Place) -> Self {
        let runtime = &*place.inner.runtime;
        runtime.writer.enter();
        Entered { runtime, place, left: Left::Nothing, ended: false, landed: false }
    }

    /// Says that the attempt did not die.
    fn cut_off(&mut self) {
        let (numbers, row) = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => return,
            Left::Counted(numbers, row) => (numbers, Some(row)),
            Left::Begun(context) => (context.numbers.clone(), context.cut_off_row()),
        };
        if let Some(row) = row {
            // Where it cannot be written, this process remembers it.
            self.runtime.write_then(&numbers, vec![row], None, Activity::GoesOn, drop);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Left::Begun(context) = &self.left {
            context.release();
        }
        if !self.ended {
            self.cut_off();
        }
        if !self.landed {
            self.place.leaves_writes();
        }
        if !self.ended {
            self.runtime.writer.leave();
        }
    }
}
