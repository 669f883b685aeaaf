//! What a generation begins with that is a fork. Must not know how it is kept.

use std::sync::Arc;

use crate::id::ExecutionId;
use crate::journal::{AuditLine, Lineage, call_identity};
use crate::ledger::{Addressee, Sent};
use crate::machine::Journal;
use crate::value::Key;

/// What a generation begins with that is a fork, or a part of one.
pub(crate) struct ForkStart {
    pub(crate) row: Lineage,
    /// The records that it takes over.
    pub(crate) journal: Arc<Journal>,
    /// Who forked, if the request says so.
    pub(crate) audit: Option<AuditLine>,
    /// What was sent to the original and is there for the fork.
    pub(crate) mail: Vec<ForkMail>,
}

/// Something that was sent to an execution, for a fork of it.
#[derive(Clone, Debug)]
pub(crate) struct ForkMail {
    pub(crate) sent: Sent,
    /// The call of the fork that waits for it, if it is the answer to a wait: its key and its occurrence.
    pub(crate) call: Option<(Key, u32)>,
    /// The name of the signal, or the visible name of the wait.
    pub(crate) name: String,
    pub(crate) sent_ms: u64,
}

impl ForkStart {
    /// Addresses what was sent to the waits of the fork, now that its generation is known.
    pub(crate) fn address(&mut self, execution: &ExecutionId, generation: u32) {
        for ForkMail { sent, call, .. } in &mut self.mail {
            if let (Sent::Answer { wait, .. }, Some((key, occurrence))) = (sent, *call) {
                *wait = Addressee::Wait(call_identity(execution, generation, key, occurrence));
            }
        }
    }

    /// Of a generation that a fork begins as a child.
    pub(crate) fn of_child() -> Self {
        ForkStart { row: Lineage::of_child(), journal: Arc::default(), audit: None, mail: Vec::new() }
    }
}
