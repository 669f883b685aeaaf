//! Forks, as they are shown: from which execution one was made, and what one will run again. Must not know how one is begun.

use serde::Serialize;

use crate::journal::{ForkWay, Lineage};
use crate::view::reference::ExecutionRef;

/// From which execution another one was forked. See [`Execution::fork`](crate::Execution::fork).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForkLink {
    original: ExecutionRef,
    generation: u32,
    by_key: bool,
    strict: bool,
    from: Option<String>,
    set: Vec<String>,
    taken_over: u64,
}

impl ForkLink {
    /// What a row says; `None` if it is of a child that a fork began.
    pub(super) fn of(row: Lineage) -> Option<Self> {
        let taken_over = row.last().0;
        let (by_key, strict) = (row.is_by_key(), row.way == ForkWay::Strict);
        let original = row.originals.into_iter().next_back()?;
        Some(ForkLink {
            original: ExecutionRef::of(&original.execution),
            generation: original.generation,
            by_key,
            strict,
            from: Some(row.from).filter(|from| !from.is_empty()),
            set: row.set,
            taken_over,
        })
    }

    /// The execution that was forked.
    pub fn original(&self) -> &ExecutionRef {
        &self.original
    }

    /// The generation that was forked.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether it has all records of the original, for calls with equal arguments.
    pub fn is_by_key(&self) -> bool {
        self.by_key
    }

    /// Whether a body without a record fails.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The record from which on everything runs again, if one was named.
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// The records whose values a person set.
    pub fn set(&self) -> &[String] {
        &self.set
    }

    /// How many records it took over. They are the first ones of its journal.
    pub fn taken_over(&self) -> u64 {
        self.taken_over
    }
}

/// What a fork takes over, and what it runs again. See [`ForkRequest::plan`](crate::ForkRequest::plan).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForkPlan {
    pub(crate) original: ExecutionRef,
    pub(crate) fork: ExecutionRef,
    pub(crate) taken_over: u64,
    pub(crate) answers: u64,
    pub(crate) runs_again: Vec<ForkEffect>,
    pub(crate) may_run_again: Vec<ForkEffect>,
}

impl ForkPlan {
    /// The execution that is forked.
    pub fn original(&self) -> &ExecutionRef {
        &self.original
    }

    /// The new execution.
    pub fn fork(&self) -> &ExecutionRef {
        &self.fork
    }

    /// How many records it takes over.
    pub fn taken_over(&self) -> u64 {
        self.taken_over
    }

    /// How many answers and signals it takes over, for waits that it begins.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// The recorded effects that happen again if the flow calls them again, with new idempotency keys.
    pub fn runs_again(&self) -> &[ForkEffect] {
        &self.runs_again
    }

    /// The recorded effects that happen again if the flow calls them with other arguments.
    pub fn may_run_again(&self) -> &[ForkEffect] {
        &self.may_run_again
    }
}

/// A recorded effect: a checkpoint that ran, or a child that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForkEffect {
    pub(crate) name: String,
    pub(crate) checkpoint: String,
    pub(crate) number: u64,
    pub(crate) child: bool,
}

impl ForkEffect {
    /// The visible name of its record.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the checkpoint, or of the child's flow.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The number of its record in the journal of the original.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is a child execution.
    pub fn is_child(&self) -> bool {
        self.child
    }
}
