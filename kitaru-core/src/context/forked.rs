//! What an attempt knows of the execution that its generation was forked from. Must not know how records are taken over.

use std::collections::HashMap;

use crate::id::{ExecutionId, Seq};
use crate::journal::{ForkWay, Frame, Lineage, OpenFrame, Opening};
use crate::machine::Journal;
use crate::value::Key;

/// The fork that a generation is, or is a part of.
pub(crate) struct ForkOrigin {
    row: Lineage,
    /// The children that the original had begun, by their calls.
    children: HashMap<(Key, u32), ExecutionId>,
}

impl ForkOrigin {
    pub(crate) fn new(row: Lineage, journal: &Journal) -> Self {
        let taken = journal.indices().take_while(|at| journal.seq(*at) <= row.last());
        let child = |at| match journal.frame(at) {
            Ok(Frame::Open(OpenFrame { call, opening: Opening::Execution(child) })) => {
                Some(((call.key, call.occurrence), child))
            }
            _ => None,
        };
        let children = taken.filter_map(child).collect();
        ForkOrigin { row, children }
    }

    /// Whether a call runs only if no record of the original answers it, so that other arguments are not a divergence.
    pub(crate) fn is_by_key(&self) -> bool {
        self.row.is_by_key()
    }

    /// Whether a body without a record fails.
    pub(crate) fn is_strict(&self) -> bool {
        self.row.way == ForkWay::Strict
    }

    /// Whether a person has set the value of the record of this name and number.
    pub(crate) fn has_set(&self, name: &str, number: Seq) -> bool {
        number <= self.row.last() && self.row.set.iter().any(|set| set == name)
    }

    /// The execution that the original began with a call.
    pub(crate) fn child(&self, key: Key, occurrence: u32) -> Option<&ExecutionId> {
        self.children.get(&(key, occurrence))
    }

    /// What random values are drawn from once the flow has received the records up to this one, if not from the generation's own
    /// seed.
    pub(crate) fn seed(&self, reached: Seq) -> Option<&[u8; 32]> {
        self.row.seed(reached)
    }
}
