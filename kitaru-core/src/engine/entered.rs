//! An attempt that is under way. Owns that the store learns of an attempt that a living process interrupts; must not know
//! what the attempt does.

use std::sync::Arc;

use crate::context::Context;
use crate::engine::task::Task;
use crate::ledger::{Change, Tenure};
use crate::runtime::Runtime;

/// An attempt that is under way.
pub(super) struct Entered<'a> {
    runtime: &'a Runtime,
    pub(super) task: &'a Task,
    /// What the store learns if a living process interrupts the attempt.
    pub(super) left: Left,
    /// The end of the attempt has been submitted.
    pub(super) ended: bool,
    /// The end has landed, and all before it.
    pub(super) landed: bool,
}

/// What the store knows of an attempt that has not ended.
pub(super) enum Left {
    Nothing,
    /// Only that it is counted.
    Counted(Arc<Tenure>, Change),
    Begun(Arc<Context>),
}

impl<'a> Entered<'a> {
    pub(super) fn new(task: &'a Task) -> Self {
        Entered { runtime: &task.engine.runtime, task, left: Left::Nothing, ended: false, landed: false }
    }

    /// Records that the attempt did not crash.
    fn cut_off(&mut self) {
        let (tenure, change) = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => return,
            Left::Counted(tenure, change) => (tenure, Some(change)),
            Left::Begun(context) => (context.numbers.clone(), context.cut_off()),
        };
        if let Some(change) = change {
            // If it cannot be written, this process remembers it.
            self.runtime.ledger.write_then(&tenure, vec![change], drop);
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
            self.task.leaves_writes();
        }
    }
}
