//! The store of a test: rows that outlive the process that wrote them. Owns that a dead process writes nothing more,
//! and the faults that a test has ordered.

use std::sync::Arc;

use crate::director::Clearance;
use crate::error::{Error, Kind, cannot};
use crate::journal::Frame;
use crate::store::{Order, Range, Row, Store, Table, Visit};
use crate::testkit::disk::Rows;
use crate::testkit::house::House;

/// A process's access to the rows.
pub(super) struct Shelf(pub(super) Arc<House>);

impl Shelf {
    fn rows(&self) -> Result<&dyn Store, Error> {
        self.check_lives().map(|()| self.0.rows.store())
    }

    fn check_lives(&self) -> Result<(), Error> {
        if self.0.is_dead() { Err(dead()) } else { Ok(()) }
    }

    /// Writes, unless the test has ordered a fault: a disk then fails by itself.
    fn write(&self, rows: Vec<Row>) -> Result<(), Error> {
        match (self.0.refusal(), &self.0.rows) {
            (None, kept) => kept.store().commit(rows),
            (Some(_), Rows::OnDisk(disk)) => disk.commit_on_failing(rows),
            (Some(refusal), Rows::InMemory(_)) => Err(refusal),
        }
    }
}

impl Store for Shelf {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.check_lives()?;
        if self.0.point(|| format!("before {} is durable", what(&rows))) == Clearance::Refused {
            if let Rows::OnDisk(disk) = &self.0.rows {
                disk.die_before(rows);
            }
            return Err(dead());
        }
        self.write(rows.clone())?;
        self.0.invariants(|seen| seen.committed(&rows));
        if self.0.point(|| format!("after {} is durable", what(&rows))) == Clearance::Refused {
            return Err(dead());
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.rows()?.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        self.rows()?.scan(table, range, order, visit)
    }

    fn close(&self) -> Result<(), Error> {
        // The rows outlive it.
        Ok(())
    }
}

fn dead() -> Error {
    cannot!(Kind::Closed, "use the store", "its process is dead")
}

/// What a commit makes durable, in words.
fn what(rows: &[Row]) -> String {
    let mut words: Vec<String> = Vec::new();
    for row in rows {
        let word = match (row.table, &row.value) {
            (Table::Journal, Some(frame)) => record(frame),
            (Table::Execution, _) => "a new generation".to_owned(),
            _ => continue,
        };
        words.push(word);
    }
    if words.is_empty() {
        words.push(
            if rows.iter().any(|row| row.table == Table::Unfinished) { "the status of a flow" } else { "a row" }.into(),
        );
    }
    words.join(", ")
}

fn record(sealed: &[u8]) -> String {
    // The checksum follows it.
    let frame = &sealed[..sealed.len().saturating_sub(4)];
    match Frame::read(frame) {
        Ok(Frame::Outcome(outcome)) => format!("the outcome of `{}`", outcome.call.name()),
        Ok(Frame::Intent(call)) => format!("the intent of `{}`", call.name()),
        Ok(Frame::Open(open)) => format!("that `{}` waits", open.call.name()),
        Ok(Frame::End(end)) => format!("that the flow is {}", end.status),
        Ok(_) | Err(_) => "a record".to_owned(),
    }
}
