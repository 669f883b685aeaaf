//! The right to write to a journal, and what a claim gives with it. Owns the numbers of its records, and when it ends; must not know
//! what is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::id::{JournalId, Seq};
use crate::journal::Status;
use crate::ledger::Stored;

/// The newest generation of an execution, and the right to write to it. No other task or process has that right.
pub(crate) struct ClaimedGeneration {
    /// As it is recorded. One that was running is interrupted: its attempt is over.
    pub(crate) stored: Stored,
    pub(crate) earlier: Earlier,
    pub(crate) tenure: Arc<Tenure>,
    /// The status in its row.
    pub(in crate::ledger) recorded: Status,
}

/// How the attempt before a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// With its last word, or there was none.
    Ended,
    /// In a process that lived: it was cut off, or a fault of the store stopped it.
    CutOff,
    /// With its process.
    Crashed,
}

/// The right to write to a journal, and the numbers of its records, given out in the order of commits. It ends when something
/// that was to be written is lost, since a journal has no holes, and when its attempt has had its last word.
pub(crate) struct Tenure {
    journal: JournalId,
    next: AtomicU64,
    /// Something that was to be written to it is lost.
    cut: AtomicBool,
    /// The last word of its attempt is written.
    over: AtomicBool,
}

impl Tenure {
    /// `next` is the number that the next record gets.
    pub(in crate::ledger) fn new(journal: JournalId, next: Seq) -> Self {
        Tenure { journal, next: AtomicU64::new(next.0), cut: AtomicBool::new(false), over: AtomicBool::new(false) }
    }

    /// For changes without a record.
    pub(in crate::ledger) fn of_changes(journal: JournalId) -> Self {
        Self::new(journal, Seq(0))
    }

    /// Of a journal that is not kept: nothing is written to it.
    pub(crate) fn of_nothing() -> Arc<Self> {
        let tenure = Self::of_changes(JournalId(0));
        tenure.cut();
        Arc::new(tenure)
    }

    /// The records that it writes follow those of the journal, which has been loaded: this one is next.
    pub(in crate::ledger) fn follow(&self, next: Seq) {
        self.next.store(next.0, Ordering::Relaxed);
    }

    pub(crate) fn journal(&self) -> JournalId {
        self.journal
    }

    /// Lets nothing more be written to the journal: what comes behind is not to be there without what is lost.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Whether nothing more is to be written to the journal.
    pub(crate) fn is_cut(&self) -> bool {
        self.has_lost() || self.over.load(Ordering::SeqCst)
    }

    pub(in crate::ledger) fn has_lost(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// The last word of its attempt is written.
    pub(in crate::ledger) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn take(&self) -> u64 {
        // Only the writer's thread takes numbers.
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
