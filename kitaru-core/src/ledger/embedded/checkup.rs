//! A look at every row of a store. Owns what a sound store is; must not know what becomes of the findings.
//!
//! Rows are read in pages, each from one state of the store, and looked at between the pages. So the store may be used meanwhile.
//! What seems to be missing is looked for once more: it may have been deleted.

use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    Aside, AuditLine, Frame, Header, MailRow, Malformed, MemoRow, NotUndone, Note, ParentCall, Status, UnfinishedRow,
    WaitRow, generation_key, name_key, read_name_key, read_tag,
};
use crate::ledger::checkup::{Checkup, ExecutionSize, FindingKind, TableSize};
use crate::ledger::embedded::Archive;
use crate::ledger::{Listed, Stored};
use crate::store::{Order, Table};
use crate::value::Key;

/// How many rows a page has, and how many bytes, but for a single row that is larger.
const PAGE_ROWS: usize = 1_000;
const PAGE_BYTES: usize = 4 << 20;
/// How many generations are looked at in a page.
const PAGE_GENERATIONS: usize = 256;
/// Of how many calls of one journal the arguments are compared.
const MOST_CALLS: usize = 200_000;

/// A row, and its value if that is as it was written.
type FoundRow = (Vec<u8>, Option<Vec<u8>>);

impl Archive {
    /// Looks at every row, until `goes_on` says no. `status` says where a generation stands. Blocks.
    pub(crate) fn check_up(
        &self,
        status: impl Fn(&Stored) -> Result<Option<Status>, Error>,
        goes_on: impl Fn() -> Result<(), Error>,
    ) -> Result<Checkup, Error> {
        let format = self.reader.get(Table::Meta, b"format").ok().flatten();
        let format = format.and_then(|format| format.try_into().ok()).map(u32::from_le_bytes);
        let mut checkup = Checkup { format, ..Checkup::default() };
        for table in Table::ALL {
            self.check_table(table, &mut checkup, &goes_on)?;
        }
        self.check_generations(&mut checkup, status, &goes_on)?;
        Ok(checkup.finish())
    }

    fn check_table(
        &self,
        table: Table,
        checkup: &mut Checkup,
        goes_on: &impl Fn() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut size = TableSize { table: name(table), rows: 0, bytes: 0 };
        let (mut after, mut journal) = (None, JournalCheck::default());
        loop {
            goes_on()?;
            let rows = self.rows_behind(table, after.as_deref())?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, value) in &rows {
                size.rows += 1;
                size.bytes += (key.len() + value.as_ref().map_or(0, Vec::len)) as u64;
                self.check_row(table, (key, value.as_deref()), &mut journal, checkup)?;
            }
        }
        self.end_journal(table, journal, checkup);
        checkup.tables.push(size);
        Ok(())
    }

    fn rows_behind(&self, table: Table, after: Option<&[u8]>) -> Result<Vec<FoundRow>, Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.reader.all(table, range, Order::Ascending, |key, value| {
            bytes += key.len() + value.map_or(0, <[u8]>::len);
            rows.push((key.to_vec(), value.map(<[u8]>::to_vec)));
            match rows.len() < PAGE_ROWS && bytes < PAGE_BYTES {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        Ok(rows)
    }

    fn check_row(
        &self,
        table: Table,
        (key, value): (&[u8], Option<&[u8]>),
        journal: &mut JournalCheck,
        checkup: &mut Checkup,
    ) -> Result<(), Error> {
        let number = key.first_chunk().map(|number| JournalId(u64::from_be_bytes(*number)));
        let of_journal = number.filter(|_| matches!(table, Table::Unfinished | Table::Journal | Table::Aside));
        if let Some(number) = of_journal.filter(|number| journal.number != Some(*number)) {
            self.end_journal(table, std::mem::take(journal), checkup);
            journal.number = Some(number);
            journal.header = self.header_row(number);
            let is_shared = table == Table::Aside && (number.0 == 0 || key.get(8) == Some(&(Aside::Sent as u8)));
            if journal.header == HeaderRow::Missing
                && !is_shared
                && self.reader.get(table, key).is_ok_and(|row| row.is_some())
            {
                checkup.find(FindingKind::Orphaned, format!("journal {} in table {}", number.0, name(table)), "");
            }
        }
        journal.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        let Some(value) = value else {
            checkup.find(FindingKind::Damaged, journal.place(table, key), "its checksum does not fit");
            if table == Table::Journal {
                journal.follow(key);
            }
            return Ok(());
        };
        match table {
            Table::Execution => match Header::read(value) {
                Ok(header) => {
                    let flow = checkup.flow(&header.execution.flow);
                    flow.generations += 1;
                    flow.bytes += (key.len() + value.len()) as u64;
                }
                Err(Malformed(why)) => checkup.find(FindingKind::Malformed, journal.place(table, key), why),
            },
            Table::Name => self.check_name(key, value, checkup)?,
            Table::Journal => {
                if let Some(missing) = journal.follow(key)
                    && self.is_named(&journal.header)?
                {
                    checkup.find(FindingKind::Missing, format!("record {missing} of {}", journal.named()), "");
                }
                match Frame::read(value) {
                    Ok(Frame::Outcome(outcome)) => {
                        let call = &outcome.call;
                        if journal.diverges((call.checkpoint, call.place), call.key) {
                            let name = call.name();
                            checkup.find(FindingKind::Diverged, format!("record {name} of {}", journal.named()), "");
                        }
                    }
                    Ok(_) => {}
                    Err(Malformed(why)) => checkup.find(FindingKind::Malformed, journal.place(table, key), why),
                }
            }
            _ => {
                if let Err(Malformed(why)) = read(table, key, value) {
                    checkup.find(FindingKind::Malformed, journal.place(table, key), why);
                }
            }
        }
        Ok(())
    }

    fn check_name(&self, key: &[u8], value: &[u8], checkup: &mut Checkup) -> Result<(), Error> {
        let (Some((execution, generation)), Ok(journal)) = (read_name_key(key), value.try_into()) else {
            checkup.find(FindingKind::Malformed, format!("row {} in table name", key.escape_ascii()), "");
            return Ok(());
        };
        let is_missing = self.header_row(JournalId(u64::from_be_bytes(journal))) == HeaderRow::Missing;
        if is_missing && self.reader.get(Table::Name, key)?.is_some() {
            let place = format!("the header of generation {generation} of {execution}");
            checkup.find(FindingKind::Missing, place, "");
        }
        Ok(())
    }

    /// The rows of a journal have been looked at.
    fn end_journal(&self, table: Table, journal: JournalCheck, checkup: &mut Checkup) {
        let HeaderRow::Read { flow, id, generation } = journal.header else { return };
        let of_flow = checkup.flow(&flow);
        of_flow.bytes += journal.bytes;
        if table == Table::Journal {
            of_flow.records += journal.records;
            let (records, bytes) = (journal.records, journal.bytes);
            checkup.measure(ExecutionSize { flow, id, generation, records, bytes });
        }
    }

    /// Whether the deletion of a generation has not begun.
    fn is_named(&self, header: &HeaderRow) -> Result<bool, Error> {
        let HeaderRow::Read { flow, id, generation } = header else { return Ok(false) };
        let execution = ExecutionId { flow: flow.as_str().into(), id: id.as_str().into() };
        Ok(self.reader.get(Table::Name, &name_key(&execution, *generation))?.is_some())
    }

    fn header_row(&self, journal: JournalId) -> HeaderRow {
        match self.reader.get(Table::Execution, &generation_key(journal)) {
            Ok(None) => HeaderRow::Missing,
            Ok(Some(row)) => Header::read(&row).map_or(HeaderRow::Unread, |header| HeaderRow::Read {
                flow: header.execution.flow.to_string(),
                id: header.execution.id.to_string(),
                generation: header.generation,
            }),
            Err(_) => HeaderRow::Unread,
        }
    }

    fn check_generations(
        &self,
        checkup: &mut Checkup,
        status: impl Fn(&Stored) -> Result<Option<Status>, Error>,
        goes_on: &impl Fn() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after = JournalId(0);
        loop {
            goes_on()?;
            let key = generation_key(after);
            let range = (Bound::Excluded(&key[..]), Bound::Unbounded);
            let page = self.page(Table::Execution, range, Order::Ascending, PAGE_GENERATIONS, |journal| {
                let Some(stored) = self.stored(journal)? else { return Ok(None) };
                let now = status(&stored)?.unwrap_or(stored.state.status);
                Ok(Some((stored, now)))
            })?;
            let Listed { found, unread, last, .. } = page;
            for (stored, now) in found {
                checkup.count(now);
                let (execution, generation) = (&stored.header.execution, stored.header.generation);
                let place = || format!("generation {generation} of {execution}");
                match now {
                    Status::Stuck => checkup.find(FindingKind::Stuck, place(), &stored.state.reason),
                    Status::Interrupted => checkup.find(FindingKind::Interrupted, place(), ""),
                    _ => {}
                }
            }
            for unread in unread {
                // A row of it that is damaged was found before.
                if self.stored(unread.journal).is_err() {
                    let place = format!("the state of journal {}", unread.journal.0);
                    checkup.find(FindingKind::Missing, place, format!("{:#}", unread.error));
                }
            }
            let Some(last) = last else { return Ok(()) };
            after = last;
        }
    }
}

/// The header of a generation.
#[derive(Default, PartialEq, Eq)]
enum HeaderRow {
    Read {
        flow: String,
        id: String,
        generation: u32,
    },
    /// It cannot be read, which is a finding of its own.
    #[default]
    Unread,
    Missing,
}

/// What is known of a journal while its rows are looked at.
#[derive(Default)]
struct JournalCheck {
    number: Option<JournalId>,
    header: HeaderRow,
    records: u64,
    bytes: u64,
    /// The number of the last record.
    last: u64,
    /// The key of the last call of a checkpoint at a place, by a digest of both.
    calls: HashMap<u64, Key>,
}

impl JournalCheck {
    /// Counts a record. Gives the number of the first one that is missing before it.
    fn follow(&mut self, key: &[u8]) -> Option<u64> {
        let Seq(number) = key.last_chunk().map(|seq| Seq(u64::from_be_bytes(*seq)))?;
        let missing = (number > self.last + 1).then_some(self.last + 1);
        self.last = number;
        self.records += 1;
        missing
    }

    /// Whether a call at this place was recorded with other arguments before.
    fn diverges(&mut self, (checkpoint, place): (&str, u32), key: Key) -> bool {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        if self.calls.len() >= MOST_CALLS {
            return false;
        }
        let at = BuildHasherDefault::<DefaultHasher>::default().hash_one((checkpoint, place));
        self.calls.insert(at, key).is_some_and(|before| before != key)
    }

    fn named(&self) -> String {
        match (&self.header, self.number) {
            (HeaderRow::Read { flow, id, generation: 1 }, _) => format!("{flow}/{id}"),
            (HeaderRow::Read { flow, id, generation }, _) => format!("generation {generation} of {flow}/{id}"),
            (_, Some(number)) => format!("journal {}", number.0),
            (_, None) => "a journal".to_owned(),
        }
    }

    fn place(&self, table: Table, key: &[u8]) -> String {
        let row = match (table, key.last_chunk()) {
            (Table::Journal, Some(seq)) => format!("record {}", u64::from_be_bytes(*seq)),
            _ => format!("row {} in table {}", key.escape_ascii(), name(table)),
        };
        match self.number {
            Some(_) => format!("{row} of {}", self.named()),
            None => row,
        }
    }
}

/// Reads a row of a table whose rows need no others.
fn read(table: Table, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let number = |value: &[u8]| <[u8; 8]>::try_from(value).map(drop).map_err(|_| Malformed("it is not a number"));
    match table {
        Table::Unfinished => UnfinishedRow::read(value).map(drop),
        Table::Memo => MemoRow::read(value).map(drop),
        Table::Shape => std::str::from_utf8(value).map(drop).map_err(|_| Malformed("a text that is not UTF-8")),
        Table::Aside => match key.get(8).copied() {
            Some(b'e' | b'a') => MailRow::read(value).map(drop),
            Some(b'w') => WaitRow::read(value).map(drop),
            Some(b't') => read_tag(value),
            Some(b'u' | b'q') => ParentCall::read(value).map(drop),
            Some(b'o') => NotUndone::read(value).map(drop),
            Some(b'p' | b'l') => Note::read(value).map(drop),
            Some(b'h') => AuditLine::read(value).map(drop),
            Some(b'k' | b'd' | b'f') => number(value),
            // A later version may have rows of other kinds.
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn name(table: Table) -> &'static str {
    match table {
        Table::Meta => "meta",
        Table::Execution => "execution",
        Table::Name => "name",
        Table::Unfinished => "unfinished",
        Table::Journal => "journal",
        Table::Shape => "shape",
        Table::Memo => "memo",
        Table::Aside => "aside",
        Table::Index => "index",
    }
}
