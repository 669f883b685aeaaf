//! The audits of executions, and that of the store. Owns how many entries one keeps; must not know who writes them.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::error::Error;
use crate::id::JournalId;
use crate::journal::{Aside, AuditLine, aside_name, aside_range};
use crate::ledger::embedded::{Archive, Ledger, rows};
use crate::ledger::{Stored, Tenure, blocking};
use crate::store::{Order, Row, Table};

/// How many entries the audit of a generation keeps.
const MOST_OF_GENERATION: usize = 100;
/// How many entries the audit of the store keeps.
const MOST_OF_STORE: usize = 1_000;
/// The number that no journal has: next to it is what belongs to the store.
const STORE: JournalId = JournalId(0);

fn most(journal: JournalId) -> usize {
    if journal == STORE { MOST_OF_STORE } else { MOST_OF_GENERATION }
}

impl Archive {
    /// Who did what to a generation, the oldest first. Blocks.
    pub(crate) fn audit(&self, stored: &Stored) -> Result<Vec<AuditLine>, Error> {
        self.audit_of(stored.journal)
    }

    /// Who did what to the store, the oldest first. Blocks.
    pub(crate) fn audit_of_store(&self) -> Result<Vec<AuditLine>, Error> {
        self.audit_of(STORE)
    }

    /// An entry that cannot be read is left out: a later version may have written it.
    fn audit_of(&self, journal: JournalId) -> Result<Vec<AuditLine>, Error> {
        let (mut entries, most) = (Vec::new(), most(journal));
        let (first, end) = aside_range(journal, Aside::Audit);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        self.reader.intact(Table::Aside, range, Order::Descending, &mut |_, row| {
            entries.extend(AuditLine::read(row));
            if entries.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        entries.reverse();
        Ok(entries)
    }

    /// The oldest entries of an audit that has more than it keeps.
    fn surplus(&self, journal: JournalId) -> Result<Vec<Row>, Error> {
        let (first, end) = aside_range(journal, Aside::Audit);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        let (mut kept, mut surplus) = (0, Vec::new());
        self.reader.keys(Table::Aside, range, Order::Descending, &mut |key| {
            if kept < most(journal) {
                kept += 1;
            } else {
                surplus.push(rows::aside(journal, Aside::Audit, aside_name(key), None));
            }
            ControlFlow::Continue(())
        })?;
        Ok(surplus)
    }
}

impl Ledger {
    /// Deletes what the audit of an execution's newest generation has in excess.
    pub(crate) async fn bound_audit(&self, stored: &Stored) -> Result<(), Error> {
        self.trim_audit(stored.journal).await
    }

    /// Adds an entry to the audit of the store.
    pub(crate) async fn audit_store(&self, entry: AuditLine) -> Result<(), Error> {
        let tenure = Arc::new(Tenure::of_changes(STORE));
        self.write_rows(&tenure, vec![store_entry(&entry)], None).await?;
        self.trim_audit(STORE).await
    }

    /// Deletes what the audit of the store has in excess.
    pub(crate) async fn bound_audit_of_store(&self) -> Result<(), Error> {
        self.trim_audit(STORE).await
    }

    async fn trim_audit(&self, journal: JournalId) -> Result<(), Error> {
        let archive = self.archive.clone();
        let surplus = blocking(move || archive.surplus(journal)).await??;
        if surplus.is_empty() {
            return Ok(());
        }
        self.write_rows(&Arc::new(Tenure::of_changes(journal)), surplus, None).await
    }
}

/// An entry of the audit of the store.
pub(super) fn store_entry(entry: &AuditLine) -> Row {
    rows::audit(STORE, entry)
}
