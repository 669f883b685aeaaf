//! Reading executions from the store. All of it blocks; must not know why something is read.

use std::ops::{Bound, ControlFlow};

use crate::client::active::OwnedPayload;
use crate::error::{Error, Kind};
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{Frame, Header, Malformed, State, journal_range, name_key, name_range};
use crate::machine::Journal;
use crate::store::{Order, Reader, Table};

/// One generation, as it is kept.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) journal: JournalId,
    pub(crate) header: Header,
    pub(crate) state: State,
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
    newest.map(|journal| named(reader, execution, &journal)).transpose()
}

/// One generation of an execution.
pub(crate) fn generation(reader: &Reader, execution: &ExecutionId, generation: u32) -> Result<Option<Stored>, Error> {
    let journal = reader.get(Table::Name, &name_key(execution, generation))?;
    journal.map(|journal| named(reader, execution, &journal)).transpose()
}

fn named(reader: &Reader, execution: &ExecutionId, journal: &[u8]) -> Result<Stored, Error> {
    let journal = journal.try_into().map_err(|_| malformed(execution, "name", Malformed("not a journal's number")))?;
    let journal = JournalId(u64::from_be_bytes(journal));
    stored(reader, journal)?.ok_or_else(|| malformed(execution, "header", Malformed("it is missing")))
}

pub(crate) fn stored(reader: &Reader, journal: JournalId) -> Result<Option<Stored>, Error> {
    let key = journal.0.to_be_bytes();
    let Some(header) = reader.get(Table::Execution, &key)? else { return Ok(None) };
    let header = Header::read(&header).map_err(|why| malformed_journal(journal, "header", why))?;
    let state = reader.get(Table::State, &key)?.unwrap_or_default();
    let state = State::read(&state).map_err(|why| malformed(&header.execution, "state", why))?;
    Ok(Some(Stored { journal, header, state }))
}

/// The records of a journal.
pub(crate) fn journal(reader: &Reader, journal: JournalId) -> Result<Journal, Error> {
    let (first, last) = journal_range(journal);
    let mut loaded = Journal::default();
    reader.scan(
        Table::Journal,
        (Bound::Included(&first), Bound::Included(&last)),
        Order::Ascending,
        &mut |key, frame| {
            if let Some(seq) = key.last_chunk() {
                loaded.push(Seq(u64::from_be_bytes(*seq)), frame);
            }
            ControlFlow::Continue(())
        },
    )?;
    Ok(loaded)
}

/// What a finished execution came to: its last record.
pub(crate) fn outcome(reader: &Reader, stored: &Stored) -> Result<OwnedPayload, Error> {
    let (first, last) = journal_range(stored.journal);
    let mut end = None;
    reader.scan(
        Table::Journal,
        (Bound::Included(&first), Bound::Included(&last)),
        Order::Descending,
        &mut |_, frame| {
            end = Some(frame.to_vec());
            ControlFlow::Break(())
        },
    )?;
    match Frame::read(&end.unwrap_or_default()) {
        Ok(Frame::End(end)) => Ok(OwnedPayload::new(&end.payload, end.preview)),
        Ok(_) => Err(malformed(&stored.header.execution, "result", Malformed("it is missing"))),
        Err(why) => Err(malformed(&stored.header.execution, "result", why)),
    }
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
