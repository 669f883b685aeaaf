//! What was done with many executions.

use crate::error::Error;
use crate::view::cursor::Cursor;
use crate::view::reference::ExecutionRef;

/// What was done with the executions of a page. See [`ListRequest::cancel`](crate::ListRequest::cancel).
#[derive(Debug)]
pub struct BulkReport {
    pub(crate) done: Vec<ExecutionRef>,
    pub(crate) skipped: Vec<(ExecutionRef, Error)>,
    pub(crate) failed: Vec<(ExecutionRef, Error)>,
    pub(crate) looked_at: usize,
    pub(crate) next: Option<Cursor>,
}

impl BulkReport {
    /// The executions that were cancelled, or that resume: that is durable. In a dry run, those for which it would be tried.
    pub fn done(&self) -> &[ExecutionRef] {
        &self.done
    }

    /// The executions to which it does not apply, each with the reason.
    pub fn skipped(&self) -> &[(ExecutionRef, Error)] {
        &self.skipped
    }

    /// The executions for which it was tried and failed, each with the error.
    pub fn failed(&self) -> &[(ExecutionRef, Error)] {
        &self.failed
    }

    /// How many executions were looked at. See [`Page::looked_at`](crate::Page::looked_at).
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Where to continue, if there may be more executions.
    pub fn next_cursor(&self) -> Option<Cursor> {
        self.next
    }
}
