//! An attempt that is under way. Owns that the ledger learns how a living process leaves it; must not know what the attempt does.

use std::sync::Arc;

use crate::context::Context;
use crate::engine::task::Task;
use crate::ledger::{Change, Left, Tenure};

/// An attempt that is under way.
pub(super) struct Entered<'a> {
    pub(super) task: &'a Task,
    pub(super) trace: Trace,
    /// The end of the attempt has been submitted.
    pub(super) ended: bool,
    /// The end has landed, and all before it.
    pub(super) landed: bool,
}

/// What the store knows of an attempt that has not ended.
pub(super) enum Trace {
    Nothing,
    /// Something of it may be on its way.
    Journal(Arc<Tenure>),
    /// That it is counted. The change says that it was interrupted.
    Count(Arc<Tenure>, Change),
    Attempt(Arc<Context>),
}

impl<'a> Entered<'a> {
    pub(super) fn new(task: &'a Task) -> Self {
        Entered { task, trace: Trace::Nothing, ended: false, landed: false }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let (tenure, interrupted) = match std::mem::replace(&mut self.trace, Trace::Nothing) {
            Trace::Nothing => return,
            Trace::Journal(tenure) => (tenure, None),
            Trace::Count(tenure, interrupted) => (tenure, Some(interrupted)),
            Trace::Attempt(context) => {
                context.release();
                (context.tenure.clone(), context.cut_off())
            }
        };
        let left = match (self.ended, self.landed) {
            (_, true) => Left::Done,
            (true, false) => Left::Unsure,
            // The attempt did not crash.
            (false, false) => Left::CutOff(interrupted),
        };
        self.task.engine.runtime.ledger.leave(&self.task.execution, &tenure, left);
    }
}
