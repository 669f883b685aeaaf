//! What a list of generations is narrowed to. Must not know how they are found.

use crate::id::ExecutionId;
use crate::journal::Status;

/// What a list is narrowed to, as far as an index leads there. It only says where to look: among what is found there may be
/// generations that do not fit.
#[derive(Debug, Default)]
pub(crate) struct Narrow<'a> {
    pub(crate) flow: Option<&'a str>,
    pub(crate) id_prefix: Option<&'a str>,
    /// The flow and the id of the execution whose flow began them.
    pub(crate) parent: Option<(&'a str, &'a str)>,
    /// All of these.
    pub(crate) tags: &'a [String],
    pub(crate) by_status: Option<ByStatus>,
    /// A word that their id begins with, or that is their flow, a tag of theirs, or in the error that they ended with.
    pub(crate) search: Option<&'a str>,
}

/// Where generations stand.
#[derive(Debug, Default)]
pub(crate) struct ByStatus {
    /// What they have ended with.
    pub(crate) ended: Vec<Status>,
    /// What the rows of unfinished ones say.
    pub(crate) unfinished: Vec<Status>,
    /// All generations of these, wherever they stand.
    pub(crate) executions: Vec<ExecutionId>,
}
