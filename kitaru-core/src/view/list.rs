//! The list of executions, in pages.

use std::ops::Deref;
use std::time::SystemTime;

use crate::error::Error;
use crate::id::ExecutionId;
use crate::journal::Status;
use crate::ledger::Stored;
use crate::program;
use crate::view::cursor::Cursor;
use crate::view::reference::ExecutionRef;
use crate::view::time::time;

/// A page of the list: a slice of summaries, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    summaries: Vec<Summary>,
    unreadable: Vec<Unreadable>,
    looked_at: usize,
    next: Option<Cursor>,
}

impl Page {
    pub(crate) fn new(
        (summaries, unreadable): (Vec<Summary>, Vec<Unreadable>),
        looked_at: usize,
        next: Option<Cursor>,
    ) -> Self {
        Page { summaries, unreadable, looked_at, next }
    }

    /// Where the next page begins, if there may be one.
    pub fn next_cursor(&self) -> Option<Cursor> {
        self.next
    }

    /// How many executions were looked at for this page: those that are on it, and those to which no index leads that the filters
    /// leave out.
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// The executions of this page that cannot even be summarized: their rows are damaged, or a newer version wrote them. They
    /// count towards the page's limit, and the next page begins after them.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }
}

/// An execution whose rows cannot be read. See [`Page::unreadable`].
#[derive(Debug)]
pub struct Unreadable {
    execution: Option<ExecutionId>,
    error: Error,
}

impl Unreadable {
    pub(crate) fn new(execution: Option<ExecutionId>, error: Error) -> Self {
        Unreadable { execution, error }
    }

    /// The flow's name, if it can be read.
    pub fn flow(&self) -> Option<&str> {
        self.execution.as_ref().map(|execution| &*execution.flow)
    }

    /// The execution's id, if it can be read.
    pub fn id(&self) -> Option<&str> {
        self.execution.as_ref().map(|execution| &*execution.id)
    }

    /// What is wrong with the execution, and what to do.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl Deref for Page {
    type Target = [Summary];

    fn deref(&self) -> &[Summary] {
        &self.summaries
    }
}

/// An execution, as the list shows it.
#[derive(Debug)]
pub struct Summary {
    stored: Stored,
    status: Status,
    tags: Vec<String>,
}

impl Summary {
    pub(crate) fn new(stored: Stored, status: Status, tags: Vec<String>) -> Self {
        Summary { stored, status, tags }
    }

    /// The flow's name and the id.
    pub fn reference(&self) -> ExecutionRef {
        ExecutionRef::of(&self.stored.header.execution)
    }

    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.stored.header.execution.flow
    }

    /// The execution's id.
    pub fn id(&self) -> &str {
        &self.stored.header.execution.id
    }

    /// Whether its flow is a `#[flow]` of this program, so that it can resume automatically here.
    pub fn is_known(&self) -> bool {
        program::find(self.flow()).is_some()
    }

    /// Its number among the generations of the execution. The first one is 1.
    pub fn generation(&self) -> u32 {
        self.stored.header.generation
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The [tags](crate::FlowCall::tag) of the generation, in the order of their bytes.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// How many attempts have begun a body of their own, or have ended.
    pub fn attempts(&self) -> u32 {
        self.stored.state.attempts
    }

    /// A preview of the flow's arguments.
    pub fn input(&self) -> &str {
        &self.stored.header.input_preview
    }

    /// Why it failed, was cancelled or is stuck.
    pub fn error(&self) -> Option<&str> {
        self.stored.state.error()
    }

    /// When the generation began.
    pub fn created(&self) -> SystemTime {
        time(self.stored.header.created_ms)
    }

    /// When an attempt last began or ended.
    pub fn updated(&self) -> SystemTime {
        time(self.stored.state.updated_ms)
    }
}

impl From<&Summary> for ExecutionRef {
    fn from(execution: &Summary) -> Self {
        execution.reference()
    }
}
