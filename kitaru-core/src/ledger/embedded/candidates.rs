//! The generations that a list looks at. Owns which indexes lead to them; must not know what is read of them.

use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::{ExecutionId, JournalId, MAX_ID_BYTES};
use crate::journal::{Indexed, Status, id_range, name_range, read_name_key};
use crate::ledger::Narrow;
use crate::ledger::embedded::stream::{Budget, Sought, Source, Stream};
use crate::store::{Order, Reader, Table};

/// How many rows of indexes a page passes over.
pub(crate) const MOST_PASSED: usize = 100_000;
/// An id that begins as asked for leads to no more generations than this by the table of names; more are sought otherwise.
const MOST_NAMED: usize = 10_000;

/// The generations that all streams have, the newest first.
pub(super) struct Candidates<'a> {
    reader: &'a Reader,
    streams: Vec<Stream>,
    budget: Budget,
}

impl<'a> Candidates<'a> {
    /// All that there are.
    pub(super) fn all(reader: &'a Reader) -> Self {
        Candidates { reader, streams: vec![Stream::of(vec![Source::All])], budget: Budget(MOST_PASSED) }
    }

    /// Those that may fit.
    pub(super) fn narrowed(reader: &'a Reader, narrow: &Narrow<'_>) -> Result<Self, Error> {
        let Narrow { flow, id_prefix, parent, tags, standing } = narrow;
        let mut sources = Vec::new();
        // What there may be the least of is first.
        sources.extend(parent.map(|(flow, id)| vec![Source::of(Indexed::Parent { flow, id })]));
        sources.extend(tags.iter().map(|tag| vec![Source::of(Indexed::Tag(tag))]));
        if let Some(standing) = standing {
            let executions = of_executions(reader, &standing.executions)?;
            let mut ended = standing.ended.clone();
            // It resumes from these, and may have ended with another one by the time that that is looked for.
            ended.sort_unstable_by_key(|status| !matches!(status, Status::Failed | Status::Stuck));
            let mut standing_there = vec![Source::Known(executions)];
            if !standing.unfinished.is_empty() {
                standing_there.push(Source::Unfinished(standing.unfinished.clone()));
            }
            standing_there.extend(ended.into_iter().map(|status| Source::of(Indexed::Status(status))));
            sources.push(standing_there);
        }
        if let Some(flow) = flow {
            let named = id_prefix.map(|prefix| named(reader, flow, prefix)).transpose()?.flatten();
            sources.push(vec![named.map_or_else(|| Source::of(Indexed::Flow(flow)), Source::Known)]);
        }
        if sources.is_empty() {
            return Ok(Self::all(reader));
        }
        let streams = sources.into_iter().map(Stream::of).collect();
        Ok(Candidates { reader, streams, budget: Budget(MOST_PASSED) })
    }

    /// The newest one that is not newer than this.
    pub(super) fn seek(&mut self, journal: u64) -> Result<Sought, Error> {
        let (mut at, mut agree) = (journal, 0);
        for nth in (0..self.streams.len()).cycle() {
            match self.streams[nth].seek(self.reader, at, &mut self.budget)? {
                Sought::Found(found) => {
                    agree = if found == at { agree + 1 } else { 1 };
                    at = found;
                }
                ended => return Ok(ended),
            }
            if agree == self.streams.len() {
                break;
            }
        }
        Ok(Sought::Found(at))
    }
}

/// All generations of these executions, in descending order.
fn of_executions(reader: &Reader, executions: &[ExecutionId]) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    for execution in executions {
        let (first, last) = name_range(execution);
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        reader.scan(Table::Name, range, Order::Ascending, &mut |_, journal| {
            found.extend(read_journal(journal));
            ControlFlow::Continue(())
        })?;
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// All generations of a flow whose ids begin with this, in descending order; nothing if they are too many. Ids are in the order of
/// their lengths.
fn named(reader: &Reader, flow: &str, prefix: &str) -> Result<Option<Vec<u64>>, Error> {
    let (mut found, mut length) = (Vec::new(), prefix.len());
    while length <= MAX_ID_BYTES && found.len() <= MOST_NAMED {
        let (first, end) = id_range(flow, length, prefix);
        let mut next = MAX_ID_BYTES + 1;
        let range = (Bound::Included(&first[..]), Bound::Excluded(&end[..]));
        reader.scan(Table::Name, range, Order::Ascending, &mut |key, journal| {
            let Some((execution, _)) = read_name_key(key) else { return ControlFlow::Continue(()) };
            if execution.id.len() == length && execution.id.starts_with(prefix) {
                found.extend(read_journal(journal));
                return if found.len() > MOST_NAMED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            }
            // The first that is longer, or that has this length and comes behind.
            next = execution.id.len().max(length + 1);
            ControlFlow::Break(())
        })?;
        length = next;
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok((found.len() <= MOST_NAMED).then_some(found))
}

fn read_journal(named: &[u8]) -> Option<u64> {
    named.first_chunk().map(|journal| u64::from_be_bytes(*journal))
}

/// The generation behind which a page begins, as the first one that may be on it.
pub(super) fn from(before: Option<JournalId>) -> u64 {
    before.map_or(u64::MAX, |before| before.0.saturating_sub(1))
}
