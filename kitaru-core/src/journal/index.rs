//! The rows by which a list finds generations. Owns their keys, which are all that they say; must not know when they are written.

use crate::id::{ExecutionId, JournalId};
use crate::journal::status::Status;
use crate::value::digest_parts;

/// What generations are found by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Indexed<'a> {
    Flow(&'a str),
    /// What they ended with.
    Status(Status),
    Tag(&'a str),
    /// The execution whose flow began them.
    Parent {
        flow: &'a str,
        id: &'a str,
    },
}

/// What the keys of all generations begin with that are found by the same.
pub(crate) type IndexPrefix = [u8; 9];

impl<'a> Indexed<'a> {
    pub(crate) fn parent(execution: &'a ExecutionId) -> Self {
        Indexed::Parent { flow: &execution.flow, id: &execution.id }
    }

    pub(crate) fn prefix(self) -> IndexPrefix {
        let (letter, what) = match self {
            Indexed::Flow(flow) => (b'f', digest(&[flow.as_bytes()])),
            Indexed::Status(status) => (b's', [status.code(), 0, 0, 0, 0, 0, 0, 0]),
            Indexed::Tag(tag) => (b't', digest(&[tag.as_bytes()])),
            Indexed::Parent { flow, id } => (b'u', digest(&[flow.as_bytes(), id.as_bytes()])),
        };
        let mut prefix = [letter; 9];
        prefix[1..].copy_from_slice(&what);
        prefix
    }

    /// The key of a generation's row. Those of one prefix are in the order in which the generations began.
    pub(crate) fn key(self, journal: JournalId) -> [u8; 17] {
        let mut key = [0; 17];
        key[..9].copy_from_slice(&self.prefix());
        key[9..].copy_from_slice(&journal.0.to_be_bytes());
        key
    }
}

/// Short, so that a key costs little. The rows of a generation distinguish two texts of one digest.
fn digest(parts: &[&[u8]]) -> [u8; 8] {
    let digest = digest_parts(parts).0;
    std::array::from_fn(|nth| digest[nth])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_that_are_found_by_the_same_are_in_the_order_in_which_they_began() {
        let by = [
            Indexed::Flow("a"),
            Indexed::Flow("b"),
            Indexed::Tag("a"),
            Indexed::Status(Status::Completed),
            Indexed::Status(Status::Failed),
            Indexed::Parent { flow: "a", id: "b" },
            Indexed::Parent { flow: "ab", id: "" },
        ];
        for (nth, one) in by.into_iter().enumerate() {
            let [first, second] = [1, 256].map(|journal| one.key(JournalId(journal)));
            assert!(first < second && first.starts_with(&one.prefix()));
            for other in &by[nth + 1..] {
                assert_ne!(one.prefix(), other.prefix(), "{one:?} {other:?}");
            }
        }
    }
}
