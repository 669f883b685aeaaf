//! The rows that changes are. Must not know when they are written.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::id::JournalId;
use crate::journal::{
    Aside, AuditLine, Indexed, MailRow, MemoRow, NotUndone, NoteKind, ParentCall, Status, Tally, UnfinishedRow,
    WaitRow, aside_key, generation_key, journal_key, name_key, sent_name, write_tag,
};
use crate::ledger::{AttemptEnd, Change, FirstAttempt, GenerationState, NewGeneration, Question, UnattendedEnd};
use crate::machine::Due;
use crate::store::{Row, RowKey, Table};

impl Change {
    /// The row of a journal's generation.
    pub(super) fn row(self, journal: JournalId) -> Row {
        match self {
            Change::Running { attempts, at_ms, tally } => {
                unfinished(journal, (Status::Running, attempts, at_ms), 0, tally)
            }
            Change::Reopened { ended, attempts, at_ms, tally } => {
                unfinished(journal, (ended, attempts, at_ms), 0, tally)
            }
            Change::Interrupted { attempts, at_ms, tally } => {
                unfinished(journal, (Status::Interrupted, attempts, at_ms), 0, tally)
            }
            Change::Parked { attempts, at_ms, due } => {
                unfinished(journal, (Status::Waiting, attempts, at_ms), wake_ms(due), Tally::default())
            }
            Change::Since { at_ms, state: GenerationState { status, attempts, due, tally, .. } } => {
                unfinished(journal, (status, attempts, at_ms), wake_ms(due), tally)
            }
            Change::Finished => row(Table::Unfinished, generation_key(journal), None),
            Change::Shape { fingerprint, text } => {
                row(Table::Shape, fingerprint.to_be_bytes(), Some(text.into_bytes()))
            }
            Change::Memo { key, memo } => {
                let payload = memo.payload.borrow();
                let memo = MemoRow { recorded_ms: memo.recorded_ms, preview: &memo.payload.preview, payload };
                row(Table::Memo, key.0, Some(memo.write()))
            }
            Change::Asks { name, asks, question, opened_ms, refused } => {
                let wait = WaitRow { opened_ms, refused, asks: Some(asks), ..WaitRow::of(question) };
                aside(journal, Aside::Wait, name.as_bytes(), Some(wait.write()))
            }
            Change::WaitOver { name, asks, question } => {
                let wait = WaitRow { over: true, asks: Some(asks), ..WaitRow::of(question) };
                aside(journal, Aside::Wait, name.as_bytes(), Some(wait.write()))
            }
            Change::Unasked { name } => aside(journal, Aside::Wait, name.as_bytes(), None),
            Change::Answered { name, json, sent_ms, wait, question } => {
                let answer = MailRow { sent_ms, name, json, wait, question };
                aside(journal, Aside::Answer, answer.name.as_bytes(), Some(answer.write()))
            }
            Change::TakenBack { name } => aside(journal, Aside::Answer, name.as_bytes(), None),
            Change::Signal { number, name, json, sent_ms } => {
                let signal = MailRow { sent_ms, name, json, wait: None, question: None };
                aside(journal, Aside::Signal, &number.to_be_bytes(), Some(signal.write()))
            }
            Change::Sent { first, signal, key, number } => {
                aside(first, Aside::Sent, &sent_name(&signal, &key).0, Some(number.to_be_bytes().to_vec()))
            }
            Change::Shows { kind, name, note } => aside(journal, kind.into(), name.as_bytes(), Some(note.write())),
            Change::Deadline(ms) => deadline(journal, ms),
            Change::Resumed => undo(journal, None),
            Change::Audit(entry) => audit(journal, &entry),
            Change::AwaitedBy(call) => aside(journal, Aside::Waiter, &generation_key(call.journal), Some(call.write())),
        }
    }
}

impl WaitRow {
    fn of(question: Question) -> Self {
        let Question { text: question, schema, metadata, due_ms } = question;
        WaitRow { due_ms, question, schema, metadata, ..WaitRow::default() }
    }
}

impl NewGeneration {
    pub(super) fn rows(self) -> Vec<Row> {
        let NewGeneration { journal, header, first, deadline_ms, tags, parent, waiters, shape, over, fork } = self;
        let named = journal.0.to_be_bytes().to_vec();
        let (status, attempts, wake_ms) = match first {
            FirstAttempt::Together => (Status::Running, 1, 0),
            FirstAttempt::Behind => (Status::Running, 0, 0),
            FirstAttempt::At(starts_ms) => (Status::Queued, 0, starts_ms),
        };
        let mut rows = vec![
            row(Table::Execution, generation_key(journal), Some(header.write())),
            row(Table::Name, name_key(&header.execution, header.generation), Some(named)),
            unfinished(journal, (status, attempts, header.created_ms), wake_ms, Tally::default()),
            index(journal, Indexed::Flow(&header.execution.flow)),
        ];
        rows.extend(deadline_ms.map(|ms| deadline(journal, ms)));
        for tag in &tags {
            rows.push(aside(journal, Aside::Tag, tag.as_bytes(), Some(write_tag())));
            rows.push(index(journal, Indexed::Tag(tag)));
        }
        rows.extend(parent.iter().flat_map(|parent| child(journal, parent)));
        rows.extend(waiters.into_iter().map(|parent| Change::AwaitedBy(parent).row(journal)));
        rows.extend(over.into_iter().flat_map(UnattendedEnd::rows));
        rows.extend(fork.into_iter().flat_map(|fork| fork.rows(journal)));
        rows.extend(shape.map(|shape| shape.row(journal)));
        rows
    }
}

impl AttemptEnd {
    /// The rows next to the last record of a journal, and that record.
    pub(super) fn rows(self, journal: JournalId) -> (impl Iterator<Item = Row>, Vec<u8>) {
        let AttemptEnd { frame, status, earlier, is_listed } = self;
        let finished = is_listed.then(|| Change::Finished.row(journal));
        let is_new = earlier != Some(status);
        let indexed = is_new.then(|| ends(journal, status, earlier)).into_iter().flatten();
        (finished.into_iter().chain(indexed), frame)
    }
}

impl UnattendedEnd {
    pub(super) fn rows(self) -> Vec<Row> {
        let UnattendedEnd { claimed, seq, status, frame, undo: why, audit: entry } = self;
        let journal = claimed.tenure.journal();
        let mut rows = vec![row(Table::Journal, journal_key(journal, seq), Some(frame)), Change::Finished.row(journal)];
        // Which one it had, if any, is not known here.
        rows.extend(ends(journal, status, RESUMED));
        rows.extend(why.map(|why| undo(journal, Some(why))));
        rows.extend(entry.map(|entry| audit(journal, &entry)));
        rows
    }
}

/// What a generation may have ended with before it resumed.
pub(super) const RESUMED: [Status; 2] = [Status::Failed, Status::Stuck];

/// By what a list finds a generation that ends with this, and whose end before may have been one of those.
fn ends(journal: JournalId, status: Status, earlier: impl IntoIterator<Item = Status>) -> impl Iterator<Item = Row> {
    let others = earlier.into_iter().filter(move |earlier| *earlier != status);
    let unindexed = others.map(move |earlier| row(Table::Index, Indexed::Status(earlier).key(journal), None));
    [index(journal, Indexed::Status(status))].into_iter().chain(unindexed)
}

/// Where an unfinished generation stands, after how many attempts and since when.
fn unfinished(
    journal: JournalId,
    (status, attempts, updated_ms): (Status, u32, u64),
    wake_ms: u64,
    tally: Tally,
) -> Row {
    let unfinished = UnfinishedRow { status, attempts, updated_ms, wake_ms, tally };
    row(Table::Unfinished, generation_key(journal), Some(unfinished.write()))
}

/// A time in a row: the flow is parked until another execution ends.
const EXECUTION_MS: u64 = 1;

/// The time in the row of a flow that is parked until then; 0 is never.
fn wake_ms(due: Due) -> u64 {
    match due {
        Due::At(unix_ms) => unix_ms.max(1),
        Due::Execution => EXECUTION_MS,
        Due::Never => 0,
    }
}

/// Until when a flow is parked, by the time in its row.
pub(super) fn due(wake_ms: u64) -> Due {
    match wake_ms {
        0 => Due::Never,
        EXECUTION_MS => Due::Execution,
        unix_ms => Due::At(unix_ms),
    }
}

fn deadline(journal: JournalId, ms: u64) -> Row {
    aside(journal, Aside::Deadline, &[], Some(ms.to_be_bytes().to_vec()))
}

fn undo(journal: JournalId, why: Option<NotUndone>) -> Row {
    aside(journal, Aside::Undo, &[], why.map(NotUndone::write))
}

/// An entry of an audit. Its key is new: the time, and a number that this process gives once.
pub(super) fn audit(journal: JournalId, entry: &AuditLine) -> Row {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = entry.at_ms.to_be_bytes().to_vec();
    name.extend_from_slice(&NEXT.fetch_add(1, Relaxed).to_be_bytes());
    aside(journal, Aside::Audit, &name, Some(entry.write()))
}

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

fn row(table: Table, key: impl Into<RowKey>, value: Option<Vec<u8>>) -> Row {
    Row { table, key: key.into(), value }
}
