//! That the rows by which a list finds generations say what the other rows say, after every commit. Must not know what a list does
//! with them.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::id::JournalId;
use crate::journal::{Aside, Frame, Header, IndexPrefix, Indexed, ParentCall, aside_name};
use crate::store::{Row, Table};

/// What has been seen of the generations of a store.
#[derive(Clone, Default)]
pub(super) struct Indexes {
    generations: HashMap<JournalId, KnownIndexes>,
    /// Generations by their names.
    names: HashMap<Vec<u8>, JournalId>,
}

#[derive(Clone, Default)]
struct KnownIndexes {
    is_there: bool,
    /// Its deletion has begun.
    leaves: bool,
    /// What it is to be found by, but for how it has ended.
    begins_with: BTreeSet<IndexPrefix>,
    /// The status of the last attempt that ended.
    ends_with: Option<IndexPrefix>,
    /// What it is found by.
    found_by: BTreeSet<IndexPrefix>,
}

impl Indexes {
    /// A commit is durable. Gives what is wrong behind it.
    pub(super) fn committed<'a>(&mut self, rows: impl Iterator<Item = (&'a Row, Option<&'a [u8]>)>) -> Vec<String> {
        let mut touched = HashSet::new();
        for (row, value) in rows {
            touched.extend(self.see(row.table, row.key.as_bytes(), value));
        }
        touched.into_iter().filter_map(|journal| self.breach(journal)).collect()
    }

    /// The generation that a row is of, if it matters here.
    fn see(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Option<JournalId> {
        let first = || key.first_chunk().map(|number| JournalId(u64::from_be_bytes(*number)));
        let journal = match (table, value) {
            (Table::Name, Some(journal)) => JournalId(u64::from_be_bytes(*journal.first_chunk()?)),
            (Table::Name, None) => self.names.remove(key)?,
            (Table::Index, _) => JournalId(u64::from_be_bytes(*key.last_chunk()?)),
            (Table::Execution | Table::Journal | Table::Aside, _) => first()?,
            _ => return None,
        };
        let known = self.generations.entry(journal).or_default();
        match (table, value) {
            (Table::Name, Some(_)) => drop(self.names.insert(key.to_owned(), journal)),
            (Table::Name, None) => known.leaves = true,
            (Table::Execution, Some(header)) => {
                known.is_there = true;
                let header = Header::read(header).ok()?;
                known.begins_with.insert(Indexed::Flow(&header.execution.flow).prefix());
            }
            (Table::Execution, None) => known.is_there = false,
            (Table::Aside, Some(row)) => match *key.get(8)? {
                letter if letter == Aside::Tag as u8 => {
                    let tag = std::str::from_utf8(aside_name(key)).ok()?;
                    known.begins_with.insert(Indexed::Tag(tag).prefix());
                }
                letter if letter == Aside::Parent as u8 => {
                    let parent = ParentCall::read(row).ok()?;
                    known.begins_with.insert(Indexed::parent(&parent.execution).prefix());
                }
                _ => return None,
            },
            (Table::Journal, Some(frame)) => match Frame::read(frame) {
                Ok(Frame::End(end)) => known.ends_with = Some(Indexed::Status(end.status).prefix()),
                _ => return None,
            },
            (Table::Index, value) => {
                let prefix = *key.first_chunk()?;
                match value {
                    Some(_) => known.found_by.insert(prefix),
                    None => known.found_by.remove(&prefix),
                };
            }
            _ => return None,
        }
        Some(journal)
    }

    fn breach(&mut self, journal: JournalId) -> Option<String> {
        let KnownIndexes { is_there, leaves, begins_with, ends_with, found_by } = self.generations.get(&journal)?;
        if !is_there {
            let left = found_by.len();
            self.generations.remove(&journal);
            return (left > 0).then(|| format!("an index leads to journal {}, which is not there", journal.0));
        }
        if *leaves {
            return None;
        }
        let wanted: BTreeSet<_> = begins_with.iter().chain(ends_with).copied().collect();
        let shown = |prefixes: &BTreeSet<IndexPrefix>| {
            prefixes.iter().map(|prefix| prefix.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
        };
        (*found_by != wanted).then(|| {
            let [found_by, wanted] = [found_by, &wanted].map(shown);
            format!("journal {} is found by {found_by} and is to be found by {wanted}", journal.0)
        })
    }
}
