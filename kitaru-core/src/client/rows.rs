//! Reading executions from the store. All of it blocks; must not know why something is read.

use std::ops::{Bound, ControlFlow};

use crate::context::Listing;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    Aside, EndFrame, Frame, Header, Malformed, NoteRow, OwnedPayload, ParentRow, Status, Tally, UndoRow, UnfinishedRow,
    aside_key, aside_name, aside_range, generation_key, journal_range, name_key, name_range,
};
use crate::machine::Journal;
use crate::store::{Key as RowKey, Order, Reader, Row, Table};

/// One generation, as it is kept.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) journal: JournalId,
    pub(crate) header: Header,
    pub(crate) state: State,
}

/// Where a generation stands: what its row says while it is unfinished, and its last record from then on.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) updated_ms: u64,
    /// When a parked one goes on by itself; 0 if it does not.
    pub(crate) wake_ms: u64,
    /// Why it failed, was cancelled or is stuck.
    pub(crate) reason: String,
    pub(crate) listing: Listing,
    pub(crate) tally: Tally,
}

/// The newest generation of an execution.
pub(crate) fn newest(reader: &Reader, execution: &ExecutionId) -> Result<Option<Stored>, Error> {
    let (first, last) = name_range(execution);
    let mut newest = None;
    reader.scan(
        Table::Name,
        (Bound::Included(&first), Bound::Included(&last)),
        Order::Descending,
        &mut |_, value| {
            newest = Some(value.to_vec());
            ControlFlow::Break(())
        },
    )?;
    newest.map(|journal| named(reader, execution, &journal)).transpose().map(Option::flatten)
}

/// One generation of an execution.
pub(crate) fn generation(reader: &Reader, execution: &ExecutionId, generation: u32) -> Result<Option<Stored>, Error> {
    let journal = reader.get(Table::Name, &name_key(execution, generation))?;
    journal.map(|journal| named(reader, execution, &journal)).transpose().map(Option::flatten)
}

/// The generation that a name leads to, unless it was taken away meanwhile.
fn named(reader: &Reader, execution: &ExecutionId, journal: &[u8]) -> Result<Option<Stored>, Error> {
    let journal = journal.try_into().map_err(|_| malformed(execution, "name", Malformed("not a journal's number")))?;
    let journal = JournalId(u64::from_be_bytes(journal));
    let found = stored(reader, journal)?;
    let (first, last) = name_range(execution);
    let mut is_named = false;
    if found.is_none() {
        reader.scan(
            Table::Name,
            (Bound::Included(&first), Bound::Included(&last)),
            Order::Ascending,
            &mut |_, value| {
                is_named |= value == journal.0.to_be_bytes();
                ControlFlow::Continue(())
            },
        )?;
    }
    if is_named { Err(malformed(execution, "header", Malformed("it is missing"))) } else { Ok(found) }
}

pub(crate) fn stored(reader: &Reader, journal: JournalId) -> Result<Option<Stored>, Error> {
    let Some(header) = reader.get(Table::Execution, &generation_key(journal))? else { return Ok(None) };
    let header = Header::read(&header).map_err(|why| malformed_journal(journal, "header", why))?;
    match state(reader, &header.execution, journal) {
        Ok(state) => Ok(Some(Stored { journal, header, state })),
        // It was taken away between the two.
        Err(_) if reader.get(Table::Execution, &generation_key(journal))?.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a generation stands. A further attempt may begin between the two reads: then the second look finds it.
fn state(reader: &Reader, execution: &ExecutionId, journal: JournalId) -> Result<State, Error> {
    for _ in 0..2 {
        if let Some(row) = reader.get(Table::Unfinished, &generation_key(journal))? {
            let row = UnfinishedRow::read(&row).map_err(|why| malformed(execution, "state", why))?;
            let UnfinishedRow { status, attempts, updated_ms, wake_ms, tally } = row;
            // It has ended, and its process died when it was cancelled: what it has come to stands.
            let reason = match status.is_final() {
                true => with_end(reader, execution, journal, reason)?.unwrap_or_default(),
                false => String::new(),
            };
            return Ok(State { status, attempts, updated_ms, wake_ms, reason, listing: Listing::Earlier, tally });
        }
        let ended = with_end(reader, execution, journal, |end| State {
            status: end.status,
            attempts: end.attempt,
            updated_ms: end.ended_ms,
            wake_ms: 0,
            reason: reason(end),
            listing: Listing::Off,
            tally: Tally::default(),
        })?;
        if let Some(state) = ended {
            return Ok(state);
        }
    }
    Err(malformed(execution, "state", Malformed("it is neither unfinished nor has it come to an end")))
}

/// Why a generation has come to its end, unless it is completed.
fn reason(end: &EndFrame<'_>) -> String {
    match end.status {
        Status::Completed => String::new(),
        _ => end.payload.kitaru_error().map_or_else(|| end.preview.to_owned(), |error| format!("{error:#}")),
    }
}

/// Reads the last record of a finished generation, which says what it came to; nothing, if that is another record.
fn with_end<R>(
    reader: &Reader,
    execution: &ExecutionId,
    journal: JournalId,
    read: impl Fn(&EndFrame<'_>) -> R,
) -> Result<Option<R>, Error> {
    let mut found = Ok(None);
    last_record(reader, journal, &mut |_, frame| {
        found = match Frame::read(frame) {
            Ok(Frame::End(end)) => Ok(Some(read(&end))),
            Ok(_) => Ok(None),
            Err(why) => Err(malformed(execution, "result", why)),
        };
    })?;
    found
}

fn last_record(reader: &Reader, journal: JournalId, see: &mut dyn FnMut(Seq, &[u8])) -> Result<(), Error> {
    let (first, last) = journal_range(journal);
    reader.scan(
        Table::Journal,
        (Bound::Included(&first), Bound::Included(&last)),
        Order::Descending,
        &mut |key, frame| {
            if let Some(seq) = key.last_chunk() {
                see(Seq(u64::from_be_bytes(*seq)), frame);
            }
            ControlFlow::Break(())
        },
    )
}

/// When a generation has to be finished.
pub(crate) fn deadline(reader: &Reader, stored: &Stored) -> Result<Option<u64>, Error> {
    let row = reader.get(Table::Aside, &aside_key(stored.journal, Aside::Deadline, &[]))?;
    let read = |row: Vec<u8>| {
        let deadline = row.try_into().map(u64::from_be_bytes);
        deadline.map_err(|_| malformed(&stored.header.execution, "deadline", Malformed("it is no time")))
    };
    row.map(read).transpose()
}

/// Whose child a generation is.
pub(crate) fn parent(reader: &Reader, stored: &Stored) -> Result<Option<ParentRow>, Error> {
    let row = reader.get(Table::Aside, &aside_key(stored.journal, Aside::Parent, &[]))?;
    let read = |row: Vec<u8>| ParentRow::read(&row).map_err(|why| malformed(&stored.header.execution, "parent", why));
    row.map(read).transpose()
}

/// The parents that are to hear of a generation's end: whose child it is, and who else waits for it out of memory.
pub(crate) fn waiters(reader: &Reader, stored: &Stored) -> Result<Vec<ParentRow>, Error> {
    let mut waiters: Vec<_> = parent(reader, stored)?.into_iter().collect();
    let (first, end) = aside_range(stored.journal, Aside::Waiter);
    let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
    let mut malformed_row = None;
    reader.scan(Table::Aside, range, Order::Ascending, &mut |_, row| {
        match ParentRow::read(row) {
            Ok(row) => waiters.push(row),
            Err(why) => malformed_row = Some(why),
        }
        ControlFlow::Continue(())
    })?;
    match malformed_row {
        Some(why) => Err(malformed(&stored.header.execution, "waiting parent", why)),
        None => Ok(waiters),
    }
}

/// What a generation shows under names.
pub(crate) fn notes(reader: &Reader, stored: &Stored) -> Result<Vec<(Aside, String, NoteRow)>, Error> {
    let mut notes = Vec::new();
    let mut malformed_row = None;
    for aside in [Aside::Published, Aside::Logged] {
        let (first, end) = aside_range(stored.journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| {
            match NoteRow::read(row) {
                Ok(row) => notes.push((aside, String::from_utf8_lossy(aside_name(key)).into_owned(), row)),
                Err(why) => malformed_row = Some(why),
            }
            ControlFlow::Continue(())
        })?;
    }
    match malformed_row {
        Some(why) => Err(malformed(&stored.header.execution, "note", why)),
        None => Ok(notes),
    }
}

/// The first of the generations that have followed one another by restarts, down to this one.
pub(crate) fn first_of_chain(reader: &Reader, journal: JournalId) -> Result<JournalId, Error> {
    let row = reader.get(Table::Aside, &aside_key(journal, Aside::First, &[]))?;
    let first = row.as_deref().and_then(|row| row.try_into().ok()).map(u64::from_be_bytes);
    Ok(first.map_or(journal, JournalId))
}

pub(crate) fn parent_row(journal: JournalId, parent: &ParentRow) -> Row {
    let key = RowKey::from(aside_key(journal, Aside::Parent, &[]));
    Row { table: Table::Aside, key, value: Some(parent.write()) }
}

pub(crate) fn waiter_row(journal: JournalId, parent: &ParentRow) -> Row {
    let key = RowKey::from(aside_key(journal, Aside::Waiter, &generation_key(parent.journal)));
    Row { table: Table::Aside, key, value: Some(parent.write()) }
}

pub(crate) fn deadline_row(journal: JournalId, deadline_ms: u64) -> Row {
    let key = RowKey::from(aside_key(journal, Aside::Deadline, &[]));
    Row { table: Table::Aside, key, value: Some(deadline_ms.to_be_bytes().to_vec()) }
}

/// What is known of undoing a generation's work.
pub(crate) fn undo(reader: &Reader, stored: &Stored) -> Result<Option<UndoRow>, Error> {
    let row = reader.get(Table::Aside, &aside_key(stored.journal, Aside::Undo, &[]))?;
    let read = |row: Vec<u8>| UndoRow::read(&row).map_err(|why| malformed(&stored.header.execution, "undoing", why));
    row.map(read).transpose()
}

pub(crate) fn undo_row(journal: JournalId, undo: Option<UndoRow>) -> Row {
    let key = RowKey::from(aside_key(journal, Aside::Undo, &[]));
    Row { table: Table::Aside, key, value: undo.map(UndoRow::write) }
}

/// The row that takes a generation off the list of unfinished ones.
pub(crate) fn finished_row(journal: JournalId) -> Row {
    Row { table: Table::Unfinished, key: RowKey::from(generation_key(journal)), value: None }
}

/// The number that the next record of a journal gets.
pub(crate) fn next_seq(reader: &Reader, stored: &Stored) -> Result<Seq, Error> {
    let mut last = Seq(0);
    last_record(reader, stored.journal, &mut |seq, _| last = seq)?;
    match last.0 < MOST_RECORDS {
        true => Ok(Seq(last.0 + 1)),
        false => {
            Err(malformed(&stored.header.execution, "journal", Malformed("the number of its last record is none")))
        }
    }
}

/// More records than a journal has in any time: a number that is not below is none.
const MOST_RECORDS: u64 = 1 << 62;

/// The records of a journal, which has no holes: what is missing would be done again.
pub(crate) fn journal(reader: &Reader, stored: &Stored) -> Result<Journal, Error> {
    let (first, last) = journal_range(stored.journal);
    let mut loaded = Journal::default();
    let mut missing = None;
    reader.scan(
        Table::Journal,
        (Bound::Included(&first), Bound::Included(&last)),
        Order::Ascending,
        &mut |key, frame| {
            let next = loaded.next();
            match key.last_chunk().map(|seq| Seq(u64::from_be_bytes(*seq))) {
                Some(seq) if seq == next => loaded.push(seq, frame),
                _ => missing = Some(next),
            }
            if missing.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    )?;
    match missing {
        None => Ok(loaded),
        Some(Seq(missing)) => Err(Error::new(
            Kind::Store,
            format!(
                "the journal of execution {} cannot be read: record {missing} is missing and later ones are there; the store \
                 is damaged. Restore it from a backup, or begin the execution anew with .fresh()",
                stored.header.execution
            ),
        )),
    }
}

/// What a finished execution came to.
pub(crate) fn outcome(reader: &Reader, stored: &Stored) -> Result<OwnedPayload, Error> {
    let execution = &stored.header.execution;
    with_end(reader, execution, stored.journal, |end| OwnedPayload::new(&end.payload, end.preview))?
        .ok_or_else(|| malformed(execution, "result", Malformed("it is missing")))
}

pub(crate) fn malformed(execution: &ExecutionId, what: &str, why: Malformed) -> Error {
    Error::new(
        Kind::Store,
        format!(
            "the {what} of execution {execution} cannot be read: {}; it was written by a newer version or is damaged. \
             Use the version that wrote it, or restore the store from a backup",
            why.0
        ),
    )
}

fn malformed_journal(journal: JournalId, what: &str, why: Malformed) -> Error {
    Error::new(
        Kind::Store,
        format!(
            "the {what} of journal {} cannot be read: {}; it was written by a newer version or is damaged. Use the \
             version that wrote it, or restore the store from a backup",
            journal.0, why.0
        ),
    )
}
