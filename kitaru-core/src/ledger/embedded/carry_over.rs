//! What a generation keeps of the one before it. Must not know when a generation follows another.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::error::Error;
use crate::id::JournalId;
use crate::journal::{Aside, Note, ParentCall, aside_key};
use crate::ledger::Stored;
use crate::ledger::embedded::{Archive, rows};
use crate::store::{Row, Table};

/// What a generation keeps of the one before it: its deadline and its tags, unless there are new ones, whose child it is, who else waits for it,
/// what it shows, of which fork it is a part, and what was sent to it and was not taken.
pub(crate) struct CarryOver {
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) tags: BTreeSet<String>,
    parent: Option<ParentCall>,
    rows: Vec<(Aside, Vec<u8>, Vec<u8>)>,
}

impl Archive {
    /// What the next generation keeps. `takes` says which signals, by their numbers, a record holds. Blocks.
    pub(crate) fn carry_over(&self, stored: &Stored, takes: impl Fn(u64) -> bool) -> Result<CarryOver, Error> {
        let journal = stored.journal;
        let mut sent = Vec::new();
        for aside in [Aside::Signal, Aside::Answer] {
            self.beside(journal, aside, &mut |name, row| {
                sent.push((aside, name.to_vec(), row.to_vec()));
                ControlFlow::Continue(())
            })?;
        }
        let mut rows = Vec::new();
        for (aside, name, row) in sent {
            let is_taken = match aside {
                Aside::Signal => name.first_chunk().is_some_and(|number| takes(u64::from_be_bytes(*number))),
                // The answer of a wait that has begun: it belongs to that wait, and so to its generation.
                _ => self.reader.get(Table::Aside, &aside_key(journal, Aside::Wait, &name))?.is_some(),
            };
            if !is_taken {
                rows.push((aside, name, row));
            }
        }
        for (kind, name, row) in self.notes(stored)? {
            // There until the new generation shows something else.
            rows.push((kind.into(), name.into_bytes(), Note { nth: 0, ..row }.write()));
        }
        self.beside(journal, Aside::Waiter, &mut |name, row| {
            rows.push((Aside::Waiter, name.to_vec(), row.to_vec()));
            ControlFlow::Continue(())
        })?;
        if let Some(fork) = self.fork(stored)? {
            rows.push((Aside::Fork, Vec::new(), fork.continued().write()));
        }
        let first = self.first_of_chain(journal)?;
        rows.push((Aside::First, Vec::new(), first.0.to_be_bytes().to_vec()));
        let tags = self.tags(stored)?.into_iter().collect();
        Ok(CarryOver { deadline_ms: self.deadline(stored)?, tags, parent: self.parent(stored)?, rows })
    }
}

impl CarryOver {
    /// The rows next to the journal of the new generation.
    pub(super) fn rows(self, journal: JournalId) -> impl Iterator<Item = Row> {
        let child = self.parent.into_iter().flat_map(move |parent| rows::child(journal, &parent));
        let others = self.rows.into_iter();
        child.chain(others.map(move |(aside, name, row)| rows::aside(journal, aside, &name, Some(row))))
    }
}
