//! The records, as a table for people. Must not show what differs from one run of a test to the next.

use std::fmt;
use std::sync::Arc;

use crate::journal::Status;
use crate::ledger::{Archive, Generation};
use crate::testkit::house::House;
use crate::testkit::shelf::Shelf;
use crate::view::{Record, RecordStatus};

/// All records of a [`Testkit`](crate::testkit::Testkit). See [`Testkit::journal`](crate::testkit::Testkit::journal).
#[derive(Clone, PartialEq, Eq)]
pub struct JournalTable(String);

impl JournalTable {
    pub(super) fn of(house: &Arc<House>) -> Self {
        let read = Archive::of(Arc::new(Shelf(house.clone()))).generations();
        let mut table = match read {
            Ok(generations) => generations.iter().map(text).collect(),
            Err(error) => format!("{error:#}\n"),
        };
        for breach in house.invariants(|seen| seen.breaches().to_vec()) {
            table += &format!("wrong: {breach}\n");
        }
        JournalTable(table)
    }
}

impl fmt::Display for JournalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JournalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn text(generation: &Generation) -> String {
    let header = &generation.header;
    let mut text = format!("{}({})", header.execution.flow, header.input_preview);
    if header.generation > 1 {
        text += &format!(", generation {},", header.generation);
    }
    text += &format!(" is {}", generation.status);
    match generation.status {
        Status::Completed => text += &format!(": {}", generation.outcome()),
        _ if !generation.reason.is_empty() => text += &format!(": {}", generation.reason),
        _ => {}
    }
    text.push('\n');
    match generation.records() {
        Ok(records) => text + &table(&records),
        Err(error) => text + &format!("  {error:#}\n"),
    }
}

fn table(records: &[Record]) -> String {
    let lines: Vec<[String; 4]> = records.iter().map(line).collect();
    let widths: Vec<usize> =
        (0..4).map(|nth| lines.iter().map(|line| line[nth].chars().count()).max().unwrap_or_default()).collect();
    let mut table = String::new();
    for line in lines {
        let mut row = String::from(" ");
        for (cell, width) in line.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            row += &format!(" {cell:<width$} ");
        }
        table += row.trim_end();
        table.push('\n');
    }
    table
}

fn line(record: &Record) -> [String; 4] {
    let status = match record.status() {
        RecordStatus::Completed if record.is_from_memo() => "memo",
        RecordStatus::Completed => "completed",
        RecordStatus::Failed if record.is_settled() => "failed, settled",
        RecordStatus::Failed => "failed",
        RecordStatus::Begun => "begun",
        RecordStatus::Waiting => "waiting",
    };
    let args: Vec<String> = record.arguments().map(|(name, preview)| format!("{name}={preview}")).collect();
    [record.name().to_owned(), status.to_owned(), args.join(", "), record.preview().to_owned()]
}
