//! The attempts at a generation, as a ledger knows them: what one continues from, what it appends, and how it leaves. Must not
//! know how that is kept.

use std::sync::Arc;

use crate::error::Error;
use crate::id::{JournalId, Seq};
use crate::journal::{Lineage, Note, NoteKind};
use crate::ledger::{Change, Sent};
use crate::machine::Journal;

/// What an attempt continues from.
pub(crate) struct Loaded {
    pub(crate) journal: Journal,
    /// Everything that was sent to the generation.
    pub(crate) sent: Vec<Sent>,
    /// What it shows.
    pub(crate) notes: Vec<(NoteKind, String, Note)>,
    pub(crate) deadline_ms: Option<u64>,
    /// What it has of the execution that it was forked from.
    pub(crate) fork: Option<Lineage>,
}

/// Something that an attempt writes.
pub(crate) struct Append<A> {
    pub(crate) appender: Arc<A>,
    /// Given back when it has landed.
    pub(crate) token: u64,
    pub(crate) changes: Vec<Change>,
    /// Goes to the end of the appender's journal.
    pub(crate) frame: Option<Vec<u8>>,
}

/// An attempt that appends to a journal. The ledger calls it on one thread, and under none of its locks.
pub(crate) trait Appender: Send + Sync + 'static {
    /// The journal.
    fn journal(&self) -> JournalId;

    /// The number of its next record. Asked in the order of commits; one whose commit fails is lost.
    fn next(&self) -> Seq;

    /// Whether nothing more is to be written to the journal: it has no holes.
    fn is_cut(&self) -> bool;

    /// What was appended is durable, its record under this number, or is not.
    fn landed(&self, token: u64, result: Result<Seq, Error>);
}

/// How an attempt leaves its generation.
pub(crate) enum Left {
    /// Its last word has landed: it has ended, or is parked.
    Done,
    /// Whether its last word has landed is not known.
    Unsure,
    /// It was cut off before its last word. The ledger is to say this of it.
    CutOff(Option<Change>),
}
