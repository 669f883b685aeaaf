//! What finished long ago, on its way out of the store. Owns which rows of a generation go; must not know which generations.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{
    Aside, AuditLine, Indexed, Status, aside_range, generation_key, journal_range, name_key, name_range,
};
use crate::ledger::embedded::audit::store_entry;
use crate::ledger::embedded::opening::{DELETED_GENERATION, DELETED_JOURNAL};
use crate::ledger::embedded::rows::RESUMED;
use crate::ledger::embedded::{Archive, Ledger};
use crate::ledger::{Listed, Stored, Tenure};
use crate::store::{Order, Row, RowKey, Table};

/// How many rows go in one commit.
const ROWS_PER_COMMIT: usize = 1_000;

/// A generation that is to go.
pub(crate) struct Expired {
    journal: JournalId,
    generation: u32,
    /// How many bytes its rows have, about.
    pub(crate) bytes: u64,
    /// The keys of its rows. The name is the first to go: what is read from then on is no longer there.
    keys: Vec<(Table, Vec<u8>)>,
    /// The header and the last record are the last to go, in one commit: a generation that a dead process has begun to delete is
    /// found by them.
    head: Vec<(Table, Vec<u8>)>,
}

impl Archive {
    /// So many generations behind one of them, and of those the ones that `expires` names. Blocks.
    pub(crate) fn expired(
        &self,
        after: JournalId,
        limit: usize,
        expires: impl Fn(&Stored) -> Result<bool, Error>,
    ) -> Result<Listed<Expired>, Error> {
        let after = generation_key(after);
        let range = (Bound::Excluded(&after[..]), Bound::Unbounded);
        self.page(Table::Execution, range, Order::Ascending, limit, |journal| {
            let Some(stored) = self.stored(journal)? else { return Ok(None) };
            if expires(&stored)? { self.rows_of(&stored).map(Some) } else { Ok(None) }
        })
    }

    /// The journals of an execution's generations, the oldest first. Blocks.
    pub(crate) fn generations_of(&self, execution: &ExecutionId) -> Result<Vec<JournalId>, Error> {
        let (first, last) = name_range(execution);
        let mut journals = Vec::new();
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        self.reader.scan(Table::Name, range, Order::Ascending, &mut |_, journal| {
            journals.extend(journal.first_chunk().map(|journal| JournalId(u64::from_be_bytes(*journal))));
            ControlFlow::Continue(())
        })?;
        Ok(journals)
    }

    /// What goes of these generations. Blocks.
    pub(crate) fn rows_of_all(&self, journals: &[JournalId]) -> Result<Vec<Expired>, Error> {
        let stored = journals.iter().filter_map(|journal| self.stored(*journal).transpose());
        stored.map(|stored| self.rows_of(&stored?)).collect()
    }

    fn rows_of(&self, stored: &Stored) -> Result<Expired, Error> {
        let journal = stored.journal;
        let generation = stored.header.generation;
        let mut keys = vec![(Table::Name, name_key(&stored.header.execution, generation))];
        // Before the rows that they are made of: if the process dies, they can be made again.
        let index = |by: Indexed<'_>| (Table::Index, by.key(journal).to_vec());
        self.found_by(stored, |by| keys.push(index(by)))?;
        let others = RESUMED.into_iter().filter(|status| *status != stored.state.status);
        keys.extend(others.map(|status| index(Indexed::Status(status))));
        // All but `Sent`, which counts for the generations behind it, too.
        let asides = [
            Aside::Signal,
            Aside::Answer,
            Aside::Wait,
            Aside::Deadline,
            Aside::Tag,
            Aside::Parent,
            Aside::Waiter,
            Aside::Published,
            Aside::Logged,
            Aside::First,
            Aside::Undo,
            Aside::Fork,
            Aside::Audit,
        ];
        let mut bytes = keys.iter().map(|(_, key)| key.len() as u64).sum::<u64>() + stored.header.input.len() as u64;
        let mut gather = |table, range: (Bound<&[u8]>, Bound<&[u8]>)| {
            self.reader.scan(table, range, Order::Ascending, &mut |key, row| {
                bytes += (key.len() + row.len()) as u64;
                keys.push((table, key.to_vec()));
                ControlFlow::Continue(())
            })
        };
        for aside in asides {
            let (first, end) = aside_range(journal, aside);
            gather(Table::Aside, (Bound::Included(&first), Bound::Excluded(&end)))?;
        }
        if stored.state.status != Status::ContinuedAsNew {
            // The last of those that followed one another as continuations takes it along.
            let (first, end) = aside_range(self.first_of_chain(journal)?, Aside::Sent);
            gather(Table::Aside, (Bound::Included(&first), Bound::Excluded(&end)))?;
        }
        let (first, last) = journal_range(journal);
        gather(Table::Journal, (Bound::Included(&first), Bound::Included(&last)))?;
        let mut head: Vec<_> = keys.pop().into_iter().collect();
        head.push((Table::Execution, generation_key(journal).to_vec()));
        Ok(Expired { journal, generation, bytes, keys, head })
    }
}

impl Ledger {
    /// Deletes these in their order, many in a commit: as many executions end as begin. The entry of the store's audit is
    /// written with the name of the last one.
    pub(crate) async fn delete(&self, expired: Vec<Expired>, audit: Option<AuditLine>) -> Result<(), Error> {
        let mut gone = Vec::new();
        let count = expired.len();
        for (nth, Expired { journal, generation, keys, head, .. }) in expired.into_iter().enumerate() {
            // One that fits into a commit goes whole.
            if !gone.is_empty() && gone.len() + keys.len() > ROWS_PER_COMMIT {
                self.erase(std::mem::take(&mut gone)).await?;
            }
            // Before its name goes: the next one of that name has a higher number.
            self.deleted_generation.fetch_max(generation, SeqCst);
            self.deleted_journal.fetch_max(journal.0, SeqCst);
            if nth + 1 == count {
                gone.extend(audit.as_ref().map(store_entry));
            }
            for key in keys {
                gone.push(gone_row(key));
                if gone.len() >= ROWS_PER_COMMIT {
                    self.erase(std::mem::take(&mut gone)).await?;
                }
            }
            gone.extend(head.into_iter().map(gone_row));
        }
        if gone.is_empty() { Ok(()) } else { self.erase(gone).await }
    }

    /// Nothing of an execution that was deleted is on its way any more.
    pub(crate) fn forget_left(&self, execution: &ExecutionId) {
        self.claims.done(execution);
    }

    async fn erase(&self, gone: Vec<Row>) -> Result<(), Error> {
        let meta = |key: &[u8], value: Vec<u8>| Row { table: Table::Meta, key: RowKey::from(key), value: Some(value) };
        let generation = meta(DELETED_GENERATION, self.deleted_generation.load(SeqCst).to_le_bytes().to_vec());
        let journal = meta(DELETED_JOURNAL, self.deleted_journal.load(SeqCst).to_le_bytes().to_vec());
        let nobody = Arc::new(Tenure::of_changes(JournalId(0)));
        self.write_rows(&nobody, gone.into_iter().chain([generation, journal]).collect(), None).await
    }
}

fn gone_row((table, key): (Table, Vec<u8>)) -> Row {
    Row { table, key: RowKey::from(key), value: None }
}
