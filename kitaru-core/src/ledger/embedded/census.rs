//! Counting generations by where they stand. Owns the order in which tables are read, so that none is missed that moves
//! meanwhile; must not know what the counts are for.

use std::collections::{BinaryHeap, HashSet};
use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::JournalId;
use crate::journal::{Indexed, Status, UnfinishedRow};
use crate::ledger::embedded::Archive;
use crate::ledger::{Census, FlowCensus, StatusCounts};
use crate::store::{Order, Table};

/// How many generations that wait are given.
const MOST_WAITING: usize = 100;

/// What generations end with. A store of format 1 may have a row for an earlier end, which the one for the last end overrides.
const ENDS: [Status; 5] = [Status::Stuck, Status::Failed, Status::ContinuedAsNew, Status::Cancelled, Status::Completed];

/// A generation while it is counted.
struct Counted {
    journal: u64,
    /// The place of its flow among all.
    flow: u32,
    status: Option<Status>,
}

/// The unfinished generations: where each stands, in the order of their journals, and which have waited the longest.
struct UnfinishedNow {
    statuses: Vec<(u64, Status)>,
    waiting: Vec<JournalId>,
}

/// Sets where generations stand, which come in the order of their journals.
struct Marker<'a> {
    all: &'a mut [Counted],
    at: usize,
}

impl<'a> Marker<'a> {
    fn of(all: &'a mut [Counted]) -> Self {
        Marker { all, at: 0 }
    }

    fn mark(&mut self, journal: u64, status: Status) {
        while self.all.get(self.at).is_some_and(|counted| counted.journal < journal) {
            self.at += 1;
        }
        if let Some(counted) = self.all.get_mut(self.at).filter(|counted| counted.journal == journal) {
            counted.status = Some(status);
        }
    }
}

impl Archive {
    /// Counts all generations, of which those are `driven` in this process, and finds so many of the newest ones of all flows
    /// together. Reads a few bytes of each. Blocks.
    pub(crate) fn census(&self, driven: &HashSet<JournalId>, newest: usize) -> Result<Census, Error> {
        let (flows, mut all, mut uncounted) = self.all_named()?;
        all.sort_unstable_by_key(|counted| counted.journal);
        // Before the ends: one that ends meanwhile is among those that were unfinished.
        let UnfinishedNow { statuses, waiting } = self.unfinished_now()?;
        for status in ENDS {
            self.mark_ended(status, Marker::of(&mut all))?;
        }
        let mut marker = Marker::of(&mut all);
        statuses.iter().for_each(|(journal, status)| marker.mark(*journal, *status));
        let mut counts: Vec<_> = flows.into_iter().map(FlowCensus::new).collect();
        let share = newest / counts.len().max(1);
        for Counted { journal, flow, status } in all.iter().rev() {
            let (journal, count) = (JournalId(*journal), &mut counts[*flow as usize]);
            match status {
                Some(status) => count.statuses.add(shown(*status, driven.contains(&journal))),
                None => uncounted += 1,
            }
            if count.newest.len() < share.max(1) {
                count.newest.push(journal);
            } else {
                count.has_older = true;
            }
        }
        Ok(Census { flows: counts, uncounted, waiting })
    }

    /// All generations by the table of names, with their flows, and how many of its rows cannot be read.
    fn all_named(&self) -> Result<(Vec<String>, Vec<Counted>, u64), Error> {
        let (mut flows, mut all, mut unreadable) = (Vec::<String>::new(), Vec::new(), 0);
        let everything = (Bound::Unbounded, Bound::Unbounded);
        self.reader.all(Table::Name, everything, Order::Ascending, |key, journal| {
            let flow = key.split(|byte| *byte == 0).next().and_then(|flow| std::str::from_utf8(flow).ok());
            let journal = journal.and_then(|journal| journal.first_chunk()).map(|journal| u64::from_be_bytes(*journal));
            match flow.zip(journal) {
                Some((flow, journal)) => {
                    if flows.last().is_none_or(|last| last != flow) {
                        flows.push(flow.to_owned());
                    }
                    all.push(Counted { journal, flow: flows.len() as u32 - 1, status: None });
                }
                None => unreadable += 1,
            }
            ControlFlow::Continue(())
        })?;
        Ok((flows, all, unreadable))
    }

    /// The unfinished generations.
    fn unfinished_now(&self) -> Result<UnfinishedNow, Error> {
        let (mut statuses, mut waiting) = (Vec::new(), BinaryHeap::new());
        let everything = (Bound::Unbounded, Bound::Unbounded);
        self.reader.all(Table::Unfinished, everything, Order::Ascending, |key, row| {
            let journal = key.first_chunk().map(|key| u64::from_be_bytes(*key));
            let row = row.and_then(|row| UnfinishedRow::read(row).ok());
            if let Some((journal, row)) = journal.zip(row) {
                statuses.push((journal, row.status));
                if row.status == Status::Waiting {
                    waiting.push((row.updated_ms, journal));
                }
                if waiting.len() > MOST_WAITING {
                    waiting.pop();
                }
            }
            ControlFlow::Continue(())
        })?;
        let waiting = waiting.into_sorted_vec().into_iter().map(|(_, journal)| JournalId(journal));
        Ok(UnfinishedNow { statuses, waiting: waiting.collect() })
    }

    fn mark_ended(&self, status: Status, mut marker: Marker<'_>) -> Result<(), Error> {
        let by = Indexed::Status(status);
        let [first, last] = [0, u64::MAX].map(|journal| by.key(JournalId(journal)));
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        self.reader.keys(Table::Index, range, Order::Ascending, &mut |key| {
            if let Some(journal) = key.last_chunk() {
                marker.mark(u64::from_be_bytes(*journal), status);
            }
            ControlFlow::Continue(())
        })
    }
}

impl FlowCensus {
    fn new(flow: String) -> Self {
        FlowCensus { flow, statuses: StatusCounts::default(), newest: Vec::new(), has_older: false }
    }
}

/// The status of a generation whose rows say this.
fn shown(recorded: Status, is_driven: bool) -> Status {
    match recorded {
        Status::Running if !is_driven => Status::Interrupted,
        Status::Failed | Status::Interrupted | Status::Queued | Status::Waiting if is_driven => Status::Running,
        status => status,
    }
}
