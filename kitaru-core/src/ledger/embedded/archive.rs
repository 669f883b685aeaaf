//! Reading executions from the store. All of it blocks; must not know why something is read.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    Aside, EndFrame, Frame, Header, Malformed, MemoRow, NotUndone, Note, NoteKind, OwnedPayload, ParentCall, Status,
    Tally, UnfinishedRow, aside_key, aside_name, aside_range, generation_key, journal_range, name_key, name_range,
    read_tag,
};
use crate::ledger::embedded::rows;
use crate::ledger::{GenerationState, Listing, MemoEntry, Stored, malformed};
use crate::machine::{Due, Journal};
use crate::store::{Footprint, Order, Reader, Table};
use crate::value::Key;

/// Receives the name and the value of each row next to a journal, and decides whether to continue.
pub(super) type VisitBeside<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// What a store has, to be read. All of it blocks.
#[derive(Clone)]
pub(crate) struct Archive {
    pub(super) reader: Reader,
    /// The highest journal whose generation lacks the rows by which a list finds it; 0 if none does.
    pub(super) unindexed: Arc<AtomicU64>,
}

impl Archive {
    /// What this store has.
    #[cfg(feature = "testkit")]
    pub(crate) fn of(store: Arc<dyn crate::store::Store>) -> Self {
        Archive { reader: Reader::new(store), unindexed: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Goes through the rows next to a journal: the name and the value of each.
    pub(super) fn beside(&self, journal: JournalId, aside: Aside, see: &mut VisitBeside<'_>) -> Result<(), Error> {
        let (first, end) = aside_range(journal, aside);
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        self.reader.scan(Table::Aside, range, Order::Ascending, &mut |key, row| see(aside_name(key), row))
    }

    /// Reads all rows of one kind next to a journal. `what` names the kind in errors.
    pub(super) fn read_beside<T>(
        &self,
        stored: &Stored,
        aside: Aside,
        what: &str,
        read: impl Fn(&[u8], &[u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut malformed_row) = (Vec::new(), None);
        self.beside(stored.journal, aside, &mut |name, row| {
            match read(name, row) {
                Ok(one) => all.push(one),
                Err(why) => malformed_row = Some(why),
            }
            ControlFlow::Continue(())
        })?;
        match malformed_row {
            Some(why) => Err(malformed(&stored.header.execution, what, why)),
            None => Ok(all),
        }
    }

    /// Reads the row next to a journal under a name. `what` names it in errors.
    pub(super) fn one_beside<T>(
        &self,
        stored: &Stored,
        aside: Aside,
        name: &str,
        what: &str,
        read: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Error> {
        let row = self.reader.get(Table::Aside, &aside_key(stored.journal, aside, name.as_bytes()))?;
        let read = row.map(|row| read(&row)).transpose();
        read.map_err(|why| malformed(&stored.header.execution, what, why))
    }

    /// What the store occupies.
    pub(crate) fn footprint(&self) -> Footprint {
        self.reader.footprint()
    }

    /// Whether a generation is still there. What was read of one that was deleted meanwhile counts for nothing.
    pub(crate) fn has(&self, stored: &Stored) -> Result<bool, Error> {
        let Header { execution, generation, .. } = &stored.header;
        Ok(self.reader.get(Table::Name, &name_key(execution, *generation))?.is_some())
    }

    /// A generation, if its header fits, and unless its deletion has begun. Nothing but the header is read of others.
    pub(crate) fn listed(&self, journal: JournalId, fits: impl Fn(&Header) -> bool) -> Result<Option<Stored>, Error> {
        let Some(header) = self.header(journal)?.filter(fits) else { return Ok(None) };
        let Some(stored) = self.with_state(journal, header)? else { return Ok(None) };
        Ok(self.has(&stored)?.then_some(stored))
    }

    /// The newest generation of an execution.
    pub(crate) fn newest(&self, execution: &ExecutionId) -> Result<Option<Stored>, Error> {
        let mut continued = None;
        loop {
            match self.newest_name(execution)? {
                // It has continued as new since its name was read, so that there is a newer one.
                Some(stored) if stored.state.status == Status::ContinuedAsNew && continued != Some(stored.journal) => {
                    continued = Some(stored.journal);
                }
                found => return Ok(found),
            }
        }
    }

    fn newest_name(&self, execution: &ExecutionId) -> Result<Option<Stored>, Error> {
        let (first, last) = name_range(execution);
        let mut newest = None;
        self.reader.scan(
            Table::Name,
            (Bound::Included(&first), Bound::Included(&last)),
            Order::Descending,
            &mut |_, value| {
                newest = Some(value.to_vec());
                ControlFlow::Break(())
            },
        )?;
        newest.map(|journal| self.named(execution, &journal)).transpose().map(Option::flatten)
    }

    /// One generation of an execution.
    pub(crate) fn generation(&self, execution: &ExecutionId, generation: u32) -> Result<Option<Stored>, Error> {
        let journal = self.reader.get(Table::Name, &name_key(execution, generation))?;
        journal.map(|journal| self.named(execution, &journal)).transpose().map(Option::flatten)
    }

    /// The generation that a name leads to, unless it was deleted meanwhile.
    fn named(&self, execution: &ExecutionId, journal: &[u8]) -> Result<Option<Stored>, Error> {
        let journal =
            journal.try_into().map_err(|_| malformed(execution, "name", Malformed("not a journal's number")))?;
        let journal = JournalId(u64::from_be_bytes(journal));
        let found = self.stored(journal)?;
        let (first, last) = name_range(execution);
        let mut is_named = false;
        if found.is_none() {
            self.reader.scan(
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

    pub(crate) fn stored(&self, journal: JournalId) -> Result<Option<Stored>, Error> {
        let Some(header) = self.header(journal)? else { return Ok(None) };
        self.with_state(journal, header)
    }

    fn header(&self, journal: JournalId) -> Result<Option<Header>, Error> {
        let header = self.reader.get(Table::Execution, &generation_key(journal))?;
        let header = header.map(|header| Header::read(&header)).transpose();
        header.map_err(|why| malformed_journal(journal, "header", why))
    }

    fn with_state(&self, journal: JournalId, header: Header) -> Result<Option<Stored>, Error> {
        match self.state(&header.execution, journal) {
            Ok(state) => Ok(Some(Stored { journal, header, state })),
            // It was deleted between the two reads.
            Err(_) if self.reader.get(Table::Execution, &generation_key(journal))?.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a generation stands. A further attempt may begin between the two reads: then the second look finds it.
    fn state(&self, execution: &ExecutionId, journal: JournalId) -> Result<GenerationState, Error> {
        for _ in 0..2 {
            if let Some(row) = self.reader.get(Table::Unfinished, &generation_key(journal))? {
                let row = UnfinishedRow::read(&row).map_err(|why| malformed(execution, "state", why))?;
                let UnfinishedRow { status, attempts, updated_ms, wake_ms, tally } = row;
                // It has ended, and its process crashed while it was cancelled: its result stays.
                let reason = match status.is_final() {
                    true => self.with_end(execution, journal, reason)?.unwrap_or_default(),
                    false => String::new(),
                };
                let due = rows::due(wake_ms);
                return Ok(GenerationState {
                    status,
                    attempts,
                    updated_ms,
                    due,
                    reason,
                    listing: Listing::Earlier,
                    tally,
                });
            }
            let ended = self.with_end(execution, journal, |end| GenerationState {
                status: end.status,
                attempts: end.attempt,
                updated_ms: end.ended_ms,
                due: Due::Never,
                reason: reason(end),
                listing: Listing::Off,
                tally: Tally::default(),
            })?;
            if let Some(state) = ended {
                return Ok(state);
            }
        }
        Err(malformed(execution, "state", Malformed("it is neither unfinished nor ended")))
    }

    /// Reads the last record of a finished generation, which has its result; `None` if that is another record.
    fn with_end<R>(
        &self,
        execution: &ExecutionId,
        journal: JournalId,
        read: impl Fn(&EndFrame<'_>) -> R,
    ) -> Result<Option<R>, Error> {
        let mut found = Ok(None);
        self.last_record(journal, &mut |_, frame| {
            found = match Frame::read(frame) {
                Ok(Frame::End(end)) => Ok(Some(read(&end))),
                Ok(_) => Ok(None),
                Err(why) => Err(malformed(execution, "result", why)),
            };
        })?;
        found
    }

    fn last_record(&self, journal: JournalId, see: &mut dyn FnMut(Seq, &[u8])) -> Result<(), Error> {
        let (first, last) = journal_range(journal);
        self.reader.scan(
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
    pub(crate) fn deadline(&self, stored: &Stored) -> Result<Option<u64>, Error> {
        self.one_beside(stored, Aside::Deadline, "", "deadline", |row| {
            row.try_into().map(u64::from_be_bytes).map_err(|_| Malformed("it is not a time"))
        })
    }

    /// What a generation is found by, in the order of their bytes.
    pub(crate) fn tags(&self, stored: &Stored) -> Result<Vec<String>, Error> {
        self.read_beside(stored, Aside::Tag, "tag", |tag, row| read_tag(row).map(|()| text(tag)))
    }

    /// Whether a generation has this tag.
    pub(crate) fn has_tag(&self, stored: &Stored, tag: &str) -> Result<bool, Error> {
        Ok(self.one_beside(stored, Aside::Tag, tag, "tag", read_tag)?.is_some())
    }

    /// Whose child a generation is.
    pub(crate) fn parent(&self, stored: &Stored) -> Result<Option<ParentCall>, Error> {
        self.one_beside(stored, Aside::Parent, "", "parent", ParentCall::read)
    }

    /// The parents to notify of a generation's end: its own parent, and other parked executions that wait for it.
    pub(crate) fn waiters(&self, stored: &Stored) -> Result<Vec<ParentCall>, Error> {
        let mut waiters: Vec<_> = self.parent(stored)?.into_iter().collect();
        waiters.extend(self.read_beside(stored, Aside::Waiter, "waiting parent", |_, row| ParentCall::read(row))?);
        Ok(waiters)
    }

    /// What a generation shows under names.
    pub(crate) fn notes(&self, stored: &Stored) -> Result<Vec<(NoteKind, String, Note)>, Error> {
        let mut notes = Vec::new();
        for kind in [NoteKind::Published, NoteKind::Logged] {
            let read = |name: &[u8], row: &[u8]| Note::read(row).map(|row| (kind, text(name), row));
            notes.extend(self.read_beside(stored, kind.into(), "note", read)?);
        }
        Ok(notes)
    }

    /// What a generation has published under a name, as JSON.
    pub(crate) fn published(&self, stored: &Stored, name: &str) -> Result<Option<String>, Error> {
        let row = self.one_beside(stored, Aside::Published, name, "published value", Note::read)?;
        Ok(row.map(|note| note.json))
    }

    /// What is recorded of a call for other executions, if that can be read.
    pub(crate) fn memo(&self, key: &Key) -> Option<MemoEntry> {
        let row = self.reader.get(Table::Memo, &key.0).ok()??;
        let MemoRow { recorded_ms, preview, payload } = MemoRow::read(&row).ok()?;
        Some(MemoEntry { recorded_ms, payload: OwnedPayload::new(&payload, preview) })
    }

    /// The text of a shape, for an error message.
    pub(crate) fn shape_text(&self, fingerprint: u64) -> Option<String> {
        let text = self.reader.get(Table::Shape, &fingerprint.to_be_bytes()).ok()??;
        String::from_utf8(text).ok()
    }

    /// The first of the generations that have followed one another as continuations, down to this one.
    pub(crate) fn first_of_chain(&self, journal: JournalId) -> Result<JournalId, Error> {
        let row = self.reader.get(Table::Aside, &aside_key(journal, Aside::First, &[]))?;
        let first = row.as_deref().and_then(|row| row.try_into().ok()).map(u64::from_be_bytes);
        Ok(first.map_or(journal, JournalId))
    }

    /// What is known of undoing a generation's work.
    pub(crate) fn undo(&self, stored: &Stored) -> Result<Option<NotUndone>, Error> {
        self.one_beside(stored, Aside::Undo, "", "undoing", NotUndone::read)
    }

    /// The number that the next record of a journal gets.
    pub(crate) fn next_seq(&self, stored: &Stored) -> Result<Seq, Error> {
        let mut last = Seq(0);
        self.last_record(stored.journal, &mut |seq, _| last = seq)?;
        match last.0 < MOST_RECORDS {
            true => Ok(Seq(last.0 + 1)),
            false => {
                Err(malformed(&stored.header.execution, "journal", Malformed("the number of its last record is none")))
            }
        }
    }

    /// The records of a journal, which has no holes: what is missing would be done again.
    pub(crate) fn journal(&self, stored: &Stored) -> Result<Journal, Error> {
        let (first, last) = journal_range(stored.journal);
        let mut loaded = Journal::default();
        let mut missing = None;
        self.reader.scan(
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
            Some(Seq(missing)) => Err({
                let execution = &stored.header.execution;
                cannot!(
                    Kind::Store,
                    "read the journal of execution {execution}",
                    "record {missing} is missing",
                    "restore a backup, or use .fresh()"
                )
            }),
        }
    }

    /// The result of a finished execution.
    pub(crate) fn outcome(&self, stored: &Stored) -> Result<OwnedPayload, Error> {
        let execution = &stored.header.execution;
        self.with_end(execution, stored.journal, |end| OwnedPayload::new(&end.payload, end.preview))?
            .ok_or_else(|| malformed(execution, "result", Malformed("it is missing")))
    }
}

/// Why a generation has ended, unless it is completed.
fn reason(end: &EndFrame<'_>) -> String {
    match end.status {
        Status::Completed => String::new(),
        _ => end.payload.kitaru_error().map_or_else(|| end.preview.to_owned(), |error| format!("{error:#}")),
    }
}

/// More records than a journal has in any time: a number that is not below is none.
const MOST_RECORDS: u64 = 1 << 62;

fn malformed_journal(journal: JournalId, what: &str, why: Malformed) -> Error {
    let (journal, why) = (journal.0, why.0);
    cannot!(
        Kind::Store,
        "read the {what} of journal {journal}",
        "{why}",
        "use the version that wrote it, or restore a backup"
    )
}

/// A name, for people.
pub(super) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
