//! What people are asked. Must not know how it is kept.

use crate::value::Key;

/// A question as people see it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) text: String,
    /// The JSON schema of an answer, or an empty text.
    pub(crate) schema: String,
    /// A JSON object.
    pub(crate) metadata: String,
    /// When it ends by itself; 0 is never.
    pub(crate) due_ms: u64,
}

/// A wait of a generation that can be answered.
#[derive(Clone, Debug)]
pub(crate) struct OpenQuestion {
    /// The visible name.
    pub(crate) name: String,
    /// Which wait it is. `None` for one of an earlier version, which identified waits by their names.
    pub(crate) wait: Option<Key>,
    pub(crate) question: Question,
    /// Why the last answer did not fit, or an empty text.
    pub(crate) refused: String,
}
