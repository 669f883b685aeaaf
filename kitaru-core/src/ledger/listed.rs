//! A page of a list of generations. Must not know how they are found.

use crate::error::Error;
use crate::id::JournalId;

/// A page of a list: what could be read, and what could not.
pub(crate) struct Listed<T> {
    pub(crate) found: Vec<T>,
    pub(crate) unread: Vec<Unread>,
    /// How many generations were looked at.
    pub(crate) looked_at: usize,
    /// The last generation that was looked at; none if there was none.
    pub(crate) last: Option<JournalId>,
    /// Whether there are more behind it.
    pub(crate) more: bool,
}

/// A generation whose rows cannot be read.
pub(crate) struct Unread {
    pub(crate) journal: JournalId,
    pub(crate) error: Error,
}
