//! The rows that are written next to records. Must not know how they are kept.

use std::collections::BTreeSet;

use crate::id::{JournalId, Seq};
use crate::journal::{Header, MailRow, NotUndone, Note, NoteKind, ParentCall, Status, UnfinishedRow, WaitRow};
use crate::ledger::Stored;
use crate::value::Key;

/// Something that is written of a generation, in the same commit as the record that it comes with.
#[derive(Debug)]
pub(crate) enum Change {
    /// Where the generation stands, while it is unfinished.
    State(UnfinishedRow),
    /// The generation is finished: its last record says how.
    Finished,
    /// The list finds the generation by this, with which it has ended.
    Indexed(Status),
    /// It does so no more: the generation has ended otherwise.
    Unindexed(Status),
    /// The text of a shape, the first time that it is met.
    Shape { fingerprint: u64, text: String },
    /// A result for other executions.
    Memo { key: Key, memo: Vec<u8> },
    /// A question under a visible name; none takes it away.
    Wait { name: String, wait: Option<WaitRow> },
    /// An answer under a visible name; none takes it away.
    Answer { name: String, answer: Option<MailRow> },
    /// A signal, under its number.
    Signal { number: u64, signal: MailRow },
    /// The idempotency key of a signal that was sent to a chain of generations, of which this is the first.
    Sent { first: JournalId, signal: String, key: String, number: u64 },
    /// What the flow shows under a name.
    Note { kind: NoteKind, name: String, note: Note },
    /// What is known of undoing the generation's work.
    Undo(Option<NotUndone>),
    /// A parent that is to hear of the generation's end.
    Waiter(ParentCall),
}

/// By what the list finds a generation that ends with this, and whose last end before was that one.
pub(crate) fn indexed(status: Status, earlier: Option<Status>) -> Vec<Change> {
    match earlier {
        Some(earlier) if earlier == status => Vec::new(),
        Some(earlier) => vec![Change::Indexed(status), Change::Unindexed(earlier)],
        None => vec![Change::Indexed(status)],
    }
}

/// A generation that begins.
pub(crate) struct NewGeneration {
    pub(crate) journal: JournalId,
    pub(crate) header: Header,
    pub(crate) state: UnfinishedRow,
    pub(crate) deadline_ms: Option<u64>,
    /// What it is found by.
    pub(crate) tags: BTreeSet<String>,
    pub(crate) parent: Option<ParentCall>,
    /// The parents that waited for the generation that this one is begun over.
    pub(crate) waiters: Vec<ParentCall>,
    /// The shape of its input, where its text is to be kept.
    pub(crate) shape: Option<Change>,
    /// The unfinished generation that it is begun over, which ends in the same commit.
    pub(crate) over: Option<Ending>,
}

/// How an attempt ends its generation.
pub(crate) struct Ended {
    pub(crate) frame: Vec<u8>,
    pub(crate) indexed: Vec<Change>,
}

/// An unfinished generation that ends without an attempt.
pub(crate) struct Ending {
    pub(crate) stored: Box<Stored>,
    /// The number of its last record, which says that it ends with this status.
    pub(crate) seq: Seq,
    pub(crate) status: Status,
    pub(crate) frame: Vec<u8>,
    pub(crate) undo: Option<NotUndone>,
}
