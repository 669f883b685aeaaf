//! The right to write to a journal. Owns the numbers of its records, and when it ends; must not know what is written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::id::{JournalId, Seq};

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
    pub(super) fn new(journal: JournalId, next: Seq) -> Self {
        Tenure { journal, next: AtomicU64::new(next.0), cut: AtomicBool::new(false), over: AtomicBool::new(false) }
    }

    /// For changes without a record.
    pub(super) fn of_changes(journal: JournalId) -> Self {
        Self::new(journal, Seq(0))
    }

    /// The records that it writes follow those of the journal, which has been loaded: this one is next.
    pub(super) fn follow(&self, next: Seq) {
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

    pub(super) fn has_lost(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// The last word of its attempt is written.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn take(&self) -> u64 {
        // Only the writer's thread takes numbers.
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
