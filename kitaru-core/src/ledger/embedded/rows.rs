//! The rows that changes are. Must not know when they are written.

use crate::id::JournalId;
use crate::journal::{
    Aside, Indexed, NotUndone, NoteKind, ParentCall, Status, aside_key, generation_key, journal_key, name_key,
    sent_name, write_tag,
};
use crate::ledger::{Change, Ending, NewGeneration};
use crate::store::{Key, Row, Table};

impl Change {
    /// The row of a journal's generation.
    pub(super) fn row(self, journal: JournalId) -> Row {
        match self {
            Change::State(state) => row(Table::Unfinished, generation_key(journal), Some(state.write())),
            Change::Finished => row(Table::Unfinished, generation_key(journal), None),
            Change::Indexed(status) => index(journal, Indexed::Status(status)),
            Change::Unindexed(status) => row(Table::Index, Indexed::Status(status).key(journal), None),
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
            Change::Undo(undo) => aside(journal, Aside::Undo, &[], undo.map(NotUndone::write)),
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
            index(journal, Indexed::Flow(&header.execution.flow)),
        ];
        rows.extend(deadline_ms.map(|ms| aside(journal, Aside::Deadline, &[], Some(ms.to_be_bytes().to_vec()))));
        for tag in &tags {
            rows.push(aside(journal, Aside::Tag, tag.as_bytes(), Some(write_tag())));
            rows.push(index(journal, Indexed::Tag(tag)));
        }
        rows.extend(parent.iter().flat_map(|parent| child(journal, parent)));
        rows.extend(waiters.into_iter().map(|parent| Change::Waiter(parent).row(journal)));
        rows.extend(over.into_iter().flat_map(Ending::rows));
        rows.extend(shape.map(|shape| shape.row(journal)));
        rows
    }
}

impl Ending {
    pub(super) fn rows(self) -> Vec<Row> {
        let Ending { stored, seq, status, frame, undo } = self;
        let journal = stored.journal;
        let end = row(Table::Journal, journal_key(journal, seq), Some(frame));
        let undo = undo.map(|undo| Change::Undo(Some(undo)));
        // Which one it had, if any, is not known here.
        let others = RESUMED.into_iter().filter(|earlier| *earlier != status).map(Change::Unindexed);
        let changes = [Change::Indexed(status), Change::Finished].into_iter().chain(others).chain(undo);
        [end].into_iter().chain(changes.map(|change| change.row(journal))).collect()
    }
}

/// What a generation may have ended with before it resumed.
pub(super) const RESUMED: [Status; 2] = [Status::Failed, Status::Stuck];

impl From<NoteKind> for Aside {
    fn from(kind: NoteKind) -> Self {
        match kind {
            NoteKind::Published => Aside::Published,
            NoteKind::Logged => Aside::Logged,
        }
    }
}

/// The row by which the list finds a generation.
pub(super) fn index(journal: JournalId, by: Indexed<'_>) -> Row {
    row(Table::Index, by.key(journal), Some(Vec::new()))
}

/// The rows of a generation that a flow has begun.
pub(super) fn child(journal: JournalId, parent: &ParentCall) -> [Row; 2] {
    let link = aside(journal, Aside::Parent, &[], Some(parent.write()));
    [link, index(journal, Indexed::parent(&parent.execution))]
}

pub(super) fn aside(journal: JournalId, aside: Aside, name: &[u8], value: Option<Vec<u8>>) -> Row {
    row(Table::Aside, aside_key(journal, aside, name), value)
}

fn row(table: Table, key: impl Into<Key>, value: Option<Vec<u8>>) -> Row {
    Row { table, key: key.into(), value }
}
