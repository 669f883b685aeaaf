//! An attempt that is under way. Owns that the store is told where it is cut off by a process that lives; must not
//! know what it does.

use std::sync::Arc;

use crate::context::Context;
use crate::engine::task::Task;
use crate::ledger::{Change, Tenure};
use crate::runtime::Runtime;

/// An attempt that is under way.
pub(super) struct Entered<'a> {
    runtime: &'a Runtime,
    pub(super) task: &'a Task,
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
    Counted(Arc<Tenure>, Change),
    Begun(Arc<Context>),
}

impl<'a> Entered<'a> {
    pub(super) fn new(task: &'a Task) -> Self {
        Entered { runtime: &task.engine.runtime, task, left: Left::Nothing, ended: false, landed: false }
    }

    /// Says that the attempt did not die.
    fn cut_off(&mut self) {
        let (tenure, change) = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => return,
            Left::Counted(tenure, change) => (tenure, Some(change)),
            Left::Begun(context) => (context.numbers.clone(), context.cut_off()),
        };
        if let Some(change) = change {
            // Where it cannot be written, this process remembers it.
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
