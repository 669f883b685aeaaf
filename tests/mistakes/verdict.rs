//! The verdict on a mistake.

use std::fmt;

use crate::list::TestName;

/// Whether the tests of a mistake notice it.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Each of these tests fails.
    Noticed,
    /// This one passes.
    Passes(TestName),
    /// This one does not end.
    Hangs(TestName),
    /// The trial proves nothing, and why.
    Unsound(String),
}

impl Verdict {
    pub(crate) fn is_noticed(&self) -> bool {
        matches!(self, Verdict::Noticed)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Noticed => f.write_str("noticed"),
            Verdict::Passes(test) => write!(f, "NOT NOTICED by {test}"),
            Verdict::Hangs(test) => write!(f, "HANGS in {test}"),
            Verdict::Unsound(why) => write!(f, "UNSOUND, {why}"),
        }
    }
}
