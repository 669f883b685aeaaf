//! The indexes of a store that was written before there were any. Owns which generations lack their rows; must not know what looks
//! for them.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::error::Error;
use crate::id::JournalId;
use crate::journal::{Aside, Indexed};
use crate::ledger::embedded::archive::text;
use crate::ledger::embedded::opening::UNINDEXED;
use crate::ledger::embedded::{Archive, Ledger, rows};
use crate::ledger::{Stored, Tenure};
use crate::store::{Order, Row, RowKey, Table};

/// How many generations are given their rows in one commit.
const GENERATIONS_PER_COMMIT: usize = 256;
/// How often a generation is read whose rows cannot be read: the store may have failed for a moment.
const READS: usize = 3;

/// The rows of generations that lack them.
pub(crate) struct Unindexed {
    rows: Vec<Row>,
    /// The highest journal that lacks its rows behind these; 0 if none does.
    left: u64,
    /// Why a list does not find some of them by an index.
    pub(crate) unread: Vec<Error>,
}

impl Archive {
    /// Whether every generation has the rows by which a list finds it.
    pub(crate) fn is_indexed(&self) -> bool {
        self.unindexed.load(SeqCst) == 0
    }

    /// The rows of the newest generations that lack them; none if none does. Blocks.
    pub(crate) fn unindexed(&self) -> Result<Option<Unindexed>, Error> {
        let from = self.unindexed.load(SeqCst);
        if from == 0 {
            return Ok(None);
        }
        let mut journals = Vec::with_capacity(GENERATIONS_PER_COMMIT);
        let last = from.to_be_bytes();
        let range = (Bound::Unbounded, Bound::Included(&last[..]));
        self.reader.keys(Table::Execution, range, Order::Descending, &mut |key| {
            journals.extend(key.first_chunk().map(|key| JournalId(u64::from_be_bytes(*key))));
            if journals.len() < GENERATIONS_PER_COMMIT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let left = match journals.last() {
            Some(last) if journals.len() == GENERATIONS_PER_COMMIT => last.0 - 1,
            _ => 0,
        };
        let mut unindexed = Unindexed { rows: Vec::new(), left, unread: Vec::new() };
        for journal in journals {
            match self.index_of(journal) {
                Ok(rows) => unindexed.rows.extend(rows),
                Err(error) if error.is_closed() => return Err(error),
                // If the store cannot be read at all, the fault is not in the generation.
                Err(error) => {
                    self.reader.get(Table::Meta, UNINDEXED)?;
                    unindexed.unread.push(error);
                }
            }
        }
        Ok(Some(unindexed))
    }

    fn index_of(&self, journal: JournalId) -> Result<Vec<Row>, Error> {
        let mut read = self.read_index_of(journal);
        for _ in 1..READS {
            if read.is_err() {
                read = self.read_index_of(journal);
            }
        }
        read
    }

    fn read_index_of(&self, journal: JournalId) -> Result<Vec<Row>, Error> {
        let Some(stored) = self.stored(journal)? else { return Ok(Vec::new()) };
        let mut index = Vec::new();
        self.found_by(&stored, |by| index.push(rows::index(journal, by)))?;
        Ok(index)
    }

    /// By what a list finds a generation.
    pub(super) fn found_by(&self, stored: &Stored, mut see: impl FnMut(Indexed<'_>)) -> Result<(), Error> {
        see(Indexed::Flow(&stored.header.execution.flow));
        if stored.state.status.is_final() {
            see(Indexed::Status(stored.state.status));
        }
        self.beside(stored.journal, Aside::Tag, &mut |tag, _| {
            see(Indexed::Tag(&text(tag)));
            ControlFlow::Continue(())
        })?;
        if let Some(parent) = self.parent(stored)? {
            see(Indexed::parent(&parent.execution));
        }
        Ok(())
    }
}

impl Ledger {
    /// Writes the rows of generations that lack them. From the last of them on, lists are made by indexes.
    pub(crate) async fn index(&self, unindexed: Unindexed) -> Result<(), Error> {
        let Unindexed { mut rows, left, .. } = unindexed;
        rows.push(Row { table: Table::Meta, key: RowKey::from(UNINDEXED), value: Some(left.to_le_bytes().to_vec()) });
        let nobody = Arc::new(Tenure::of_changes(JournalId(0)));
        self.write_rows(&nobody, rows, None).await?;
        self.archive.unindexed.store(left, SeqCst);
        Ok(())
    }
}
