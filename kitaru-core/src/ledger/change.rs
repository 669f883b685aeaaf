//! What is written of a generation next to its records. Must not know how it is kept.

use std::collections::BTreeSet;

use crate::id::{JournalId, Seq};
use crate::journal::{Asks, AuditLine, Header, NotUndone, Note, NoteKind, OwnedPayload, ParentCall, Status, Tally};
use crate::ledger::{ClaimedGeneration, ForkStart, GenerationState, Question};
use crate::machine::Due;
use crate::value::Key;

/// Something that is written of a generation, in the same commit as the record that it comes with.
#[derive(Debug)]
pub(crate) enum Change {
    /// An attempt is under way.
    Running { attempts: u32, at_ms: u64, tally: Tally },
    /// An attempt is under way over a generation that has ended with this, and keeps its result.
    Reopened { ended: Status, attempts: u32, at_ms: u64, tally: Tally },
    /// The attempt was interrupted in a process that lives.
    Interrupted { attempts: u32, at_ms: u64, tally: Tally },
    /// The flow is parked, until then.
    Parked { attempts: u32, at_ms: u64, due: Due },
    /// The generation keeps its status, which it has since another time.
    Since { at_ms: u64, state: GenerationState },
    /// The generation is finished: its last record says how.
    Finished,
    /// The text of a shape, the first time that it is met.
    Shape { fingerprint: u64, text: String },
    /// A result for other executions.
    Memo { key: Key, memo: MemoEntry },
    /// A question under a visible name, and why the last answer to it did not fit.
    Asks { name: String, asks: Asks, question: Question, opened_ms: u64, refused: String },
    /// No answer to a question came in time.
    WaitOver { name: String, asks: Asks, question: Question },
    /// Nothing is asked under a visible name.
    Unasked { name: String },
    /// An answer under a visible name, for a wait if it is known, and only for a question of this digest if there is one.
    Answered { name: String, json: String, sent_ms: u64, wait: Option<Key>, question: Option<Key> },
    /// No answer is there under a visible name.
    TakenBack { name: String },
    /// A signal, under its number.
    Signal { number: u64, name: String, json: String, sent_ms: u64 },
    /// The idempotency key of a signal that was sent to a chain of generations, of which this is the first.
    Sent { first: JournalId, signal: String, key: String, number: u64 },
    /// What the flow shows under a name.
    Shows { kind: NoteKind, name: String, note: Note },
    /// When the generation is to be finished, known now that it begins.
    Deadline(u64),
    /// A person has resumed the generation: why its work was not undone counts no more.
    Resumed,
    /// The call of a parent that is notified of the generation's end.
    AwaitedBy(ParentCall),
    /// Who did what to the generation.
    Audit(AuditLine),
}

/// A result that other executions may use.
#[derive(Debug)]
pub(crate) struct MemoEntry {
    pub(crate) recorded_ms: u64,
    pub(crate) payload: OwnedPayload,
}

/// A generation that begins.
pub(crate) struct NewGeneration {
    pub(crate) journal: JournalId,
    pub(crate) header: Header,
    pub(crate) first: FirstAttempt,
    pub(crate) deadline_ms: Option<u64>,
    /// What it is found by.
    pub(crate) tags: BTreeSet<String>,
    pub(crate) parent: Option<ParentCall>,
    /// The parents that waited for the generation that this one is begun over.
    pub(crate) waiters: Vec<ParentCall>,
    /// The shape of its input, where its text is to be kept.
    pub(crate) shape: Option<Change>,
    /// The unfinished generation that it is begun over, which ends in the same commit.
    pub(crate) over: Option<UnattendedEnd>,
    /// What it begins with, if it is a fork or a part of one.
    pub(crate) fork: Option<ForkStart>,
}

/// When the first attempt at a generation begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FirstAttempt {
    /// With the generation.
    Together,
    /// When the generation is recorded.
    Behind,
    /// At this time.
    At(u64),
}

/// How an attempt ends its generation.
pub(crate) struct AttemptEnd {
    /// The last record, which says that it ends with this status.
    pub(crate) frame: Vec<u8>,
    pub(crate) status: Status,
    /// What the generation had ended with before, if it had.
    pub(crate) earlier: Option<Status>,
    /// Whether the generation is on the list of unfinished ones.
    pub(crate) is_listed: bool,
}

/// An unfinished generation that ends without an attempt.
pub(crate) struct UnattendedEnd {
    pub(crate) claimed: Box<ClaimedGeneration>,
    /// The number of its last record, which says that it ends with this status.
    pub(crate) seq: Seq,
    pub(crate) status: Status,
    pub(crate) frame: Vec<u8>,
    /// Why its work is not undone, unless it has done none.
    pub(crate) undo: Option<NotUndone>,
    /// Who ended it, if known.
    pub(crate) audit: Option<AuditLine>,
}
