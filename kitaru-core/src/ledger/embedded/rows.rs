//! The rows that changes are. Must not know when they are written.

use crate::id::JournalId;
use crate::journal::{
    Aside, NoteKind, UndoRow, aside_key, generation_key, journal_key, name_key, sent_name, write_tag,
};
use crate::ledger::{Change, Ending, NewGeneration};
use crate::store::{Key, Row, Table};

impl Change {
    /// The row of a journal's generation.
    pub(super) fn row(self, journal: JournalId) -> Row {
        match self {
            Change::State(state) => row(Table::Unfinished, generation_key(journal), Some(state.write())),
            Change::Finished => row(Table::Unfinished, generation_key(journal), None),
            Change::Shape { fingerprint, text } => {
                row(Table::Shape, fingerprint.to_be_bytes(), Some(text.into_bytes()))
            }
            Change::Memo { key, memo } => row(Table::Memo, key.0, Some(memo)),
            Change::Wait { name, wait } => aside(journal, Aside::Wait, name.as_bytes(), wait.map(|wait| wait.write())),
            Change::Answer { name, answer } => {
                aside(journal, Aside::Answer, name.as_bytes(), answer.map(|answer| answer.write()))
            }
            Change::Signal { number, signal } => {
                aside(journal, Aside::Signal, &number.to_be_bytes(), Some(signal.write()))
            }
            Change::Sent { first, signal, key, number } => {
                aside(first, Aside::Sent, &sent_name(&signal, &key).0, Some(number.to_be_bytes().to_vec()))
            }
            Change::Note { kind, name, note } => aside(journal, kind.into(), name.as_bytes(), Some(note.write())),
            Change::Undo(undo) => aside(journal, Aside::Undo, &[], undo.map(UndoRow::write)),
            Change::Waiter(parent) => {
                aside(journal, Aside::Waiter, &generation_key(parent.journal), Some(parent.write()))
            }
        }
    }
}

impl NewGeneration {
    pub(super) fn rows(self) -> Vec<Row> {
        let NewGeneration { journal, header, state, deadline_ms, tags, parent, waiters, shape, over } = self;
        let named = journal.0.to_be_bytes().to_vec();
        let mut rows = vec![
            row(Table::Execution, generation_key(journal), Some(header.write())),
            row(Table::Name, name_key(&header.execution, header.generation), Some(named)),
            Change::State(state).row(journal),
        ];
        rows.extend(deadline_ms.map(|ms| aside(journal, Aside::Deadline, &[], Some(ms.to_be_bytes().to_vec()))));
        rows.extend(tags.iter().map(|tag| aside(journal, Aside::Tag, tag.as_bytes(), Some(write_tag()))));
        rows.extend(parent.map(|parent| aside(journal, Aside::Parent, &[], Some(parent.write()))));
        rows.extend(waiters.into_iter().map(|parent| Change::Waiter(parent).row(journal)));
        rows.extend(over.into_iter().flat_map(Ending::rows));
        rows.extend(shape.map(|shape| shape.row(journal)));
        rows
    }
}

impl Ending {
    pub(super) fn rows(self) -> Vec<Row> {
        let Ending { stored, seq, frame, undo } = self;
        let journal = stored.journal;
        let end = row(Table::Journal, journal_key(journal, seq), Some(frame));
        let undo = undo.map(|undo| Change::Undo(Some(undo)).row(journal));
        [end, Change::Finished.row(journal)].into_iter().chain(undo).collect()
    }
}

impl From<NoteKind> for Aside {
    fn from(kind: NoteKind) -> Self {
        match kind {
            NoteKind::Published => Aside::Published,
            NoteKind::Logged => Aside::Logged,
        }
    }
}

pub(super) fn aside(journal: JournalId, aside: Aside, name: &[u8], value: Option<Vec<u8>>) -> Row {
    row(Table::Aside, aside_key(journal, aside, name), value)
}

fn row(table: Table, key: impl Into<Key>, value: Option<Vec<u8>>) -> Row {
    Row { table, key: key.into(), value }
}
