//! The generations that a list looks at. Owns which indexes lead to them; must not know what is read of them.

use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::{ExecutionId, JournalId};
use crate::journal::{Indexed, Status, name_range};
use crate::ledger::Narrow;
use crate::ledger::embedded::named;
use crate::ledger::embedded::stream::{Budget, Sought, Source, Stream};
use crate::store::{Order, Reader, Table};

/// How many rows of indexes a page passes over.
pub(crate) const MOST_PASSED: usize = 100_000;

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
        let Narrow { flow, id_prefix, parent, tags, by_status, search } = narrow;
        let mut sources = Vec::new();
        // What there may be the least of is first.
        sources.extend(parent.map(|(flow, id)| vec![Source::of(Indexed::Parent { flow, id })]));
        sources.extend(tags.iter().map(|tag| vec![Source::of(Indexed::Tag(tag))]));
        if let Some(by_status) = by_status {
            let executions = of_executions(reader, &by_status.executions)?;
            let mut ended = by_status.ended.clone();
            // It resumes from these, and may have ended with another one by the time that that is looked for.
            ended.sort_unstable_by_key(|status| !matches!(status, Status::Failed | Status::Stuck));
            if ended.contains(&Status::Failed) && ended.contains(&Status::Stuck) {
                // Either may become the other.
                ended.push(ended[0]);
            }
            let mut standing_there = vec![Source::Known(executions)];
            if !by_status.unfinished.is_empty() {
                standing_there.push(Source::Unfinished(by_status.unfinished.clone()));
            }
            standing_there.extend(ended.into_iter().map(|status| Source::of(Indexed::Status(status))));
            sources.push(standing_there);
        }
        if let Some(flow) = flow {
            let named = id_prefix.map(|prefix| named::of_flow(reader, flow, prefix)).transpose()?.flatten();
            sources.push(vec![named.map_or_else(|| Source::of(Indexed::Flow(flow)), Source::Known)]);
        } else if let Some(prefix) = id_prefix.filter(|prefix| !prefix.is_empty()) {
            sources.extend(named::of_all(reader, prefix)?.map(|named| vec![Source::Known(named)]));
        }
        if let Some(word) = search.filter(|word| !word.is_empty()) {
            sources.extend(searched(reader, word)?);
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
            found.extend(named::read_journal(journal));
            ControlFlow::Continue(())
        })?;
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// All that a word may lead to; nothing if that may be any.
fn searched(reader: &Reader, word: &str) -> Result<Option<Vec<Source>>, Error> {
    let Some(named) = named::of_all(reader, word)? else { return Ok(None) };
    // Only these have an error. Either of the first two may become the other.
    let errors = [Status::Failed, Status::Stuck, Status::Failed, Status::Cancelled].map(Indexed::Status);
    let mut sources = vec![Source::Known(named), Source::of(Indexed::Flow(word)), Source::of(Indexed::Tag(word))];
    sources.extend(errors.map(Source::of));
    Ok(Some(sources))
}

/// The generation behind which a page begins, as the first one that may be on it.
pub(super) fn from(before: Option<JournalId>) -> u64 {
    before.map_or(u64::MAX, |before| before.0.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ByStatus;
    use crate::ledger::embedded::fixture::{reader, row};
    use std::collections::BTreeSet;

    /// All that there are, with a budget of so many rows at a time, and how often that was spent.
    fn gone_through(reader: &Reader, narrow: &Narrow<'_>, budget: usize) -> (Vec<u64>, usize) {
        let (mut found, mut from, mut spent) = (Vec::new(), u64::MAX, 0);
        loop {
            let candidates = Candidates::narrowed(reader, narrow).unwrap();
            let mut candidates = Candidates { budget: Budget(budget), ..candidates };
            let began = from;
            loop {
                match candidates.seek(from).unwrap() {
                    Sought::Found(journal) => {
                        found.push(journal);
                        from = journal - 1;
                    }
                    Sought::Nothing => return (found, spent),
                    Sought::Spent(last) => {
                        assert!(last - 1 < began || began == 0, "it gets on");
                        from = last - 1;
                        spent += 1;
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn generations_that_all_indexes_lead_to_are_found_with_any_budget() {
        let mut seed = 7u64;
        let mut below = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        for _ in 0..20 {
            let shares: Vec<u64> = (0..4).map(|_| [1, 2, 10, 300][below(4) as usize]).collect();
            let by = [Indexed::Flow("f"), Indexed::Tag("t"), Indexed::Status(Status::Failed)];
            let (mut rows, mut sets) = (Vec::new(), vec![BTreeSet::new(); 4]);
            for journal in 1..3_000 {
                for (nth, set) in sets.iter_mut().enumerate() {
                    // In runs, and one by one.
                    if (journal / 500 + below(shares[nth])).is_multiple_of(shares[nth]) {
                        set.insert(journal);
                    }
                }
            }
            for (by, set) in by.iter().zip(&sets) {
                rows.extend(set.iter().map(|journal| row(Table::Index, &by.key(JournalId(*journal)), Vec::new())));
            }
            let waiting = |journal: &u64| {
                let code = if journal.is_multiple_of(3) { Status::Running } else { Status::Waiting }.code();
                row(Table::Unfinished, &journal.to_be_bytes(), vec![1, code])
            };
            rows.extend(sets[3].iter().map(waiting));
            let reader = reader(&rows);
            let by_status =
                ByStatus { ended: vec![Status::Failed], unfinished: vec![Status::Waiting], executions: Vec::new() };
            let tags = ["t".to_owned()];
            let narrow = Narrow { flow: Some("f"), tags: &tags, by_status: Some(by_status), ..Narrow::default() };
            let stands =
                |journal: &u64| sets[2].contains(journal) || sets[3].contains(journal) && !journal.is_multiple_of(3);
            let mut expected: Vec<u64> = sets[0].intersection(&sets[1]).copied().filter(stands).collect();
            expected.reverse();
            for budget in [80, 200, MOST_PASSED] {
                assert_eq!(gone_through(&reader, &narrow, budget).0, expected, "{shares:?}, {budget}");
            }
        }
    }

    #[test]
    fn page_that_finds_nothing_passes_over_a_bounded_number_of_rows() {
        let by = [Indexed::Flow("f"), Indexed::Tag("t")];
        let rows =
            (1..20_000).map(|journal| row(Table::Index, &by[journal as usize % 2].key(JournalId(journal)), Vec::new()));
        let reader = reader(&rows.collect::<Vec<_>>());
        let tags = ["t".to_owned()];
        let narrow = Narrow { flow: Some("f"), tags: &tags, ..Narrow::default() };
        let (found, spent) = gone_through(&reader, &narrow, 1_000);
        assert!(found.is_empty() && (19..25).contains(&spent), "{spent}");
        let narrow = Narrow { flow: Some("f"), tags: &["other".to_owned()], ..Narrow::default() };
        assert_eq!(gone_through(&reader, &narrow, 1), (vec![], 0), "a tag that nothing has costs one look");
    }
}
