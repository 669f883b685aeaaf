//! Generations by the beginning of their ids. Owns how much of the table of names is read for that; must not know what else they are
//! narrowed to.

use std::ops::{Bound, ControlFlow};

use crate::error::Error;
use crate::id::MAX_ID_BYTES;
use crate::journal::{id_range, read_name_key};
use crate::store::{Order, Reader, Table};

/// An id that begins as asked for leads to no more generations than this by the table of names; more are sought otherwise.
pub(crate) const MOST_NAMED: usize = 10_000;
/// Without a flow, ids are sought in no more flows than this.
pub(crate) const MOST_FLOWS: usize = 256;

/// All generations of a flow whose ids begin with this, in descending order; nothing if they are too many. Ids are in the order of
/// their lengths.
pub(super) fn of_flow(reader: &Reader, flow: &str, prefix: &str) -> Result<Option<Vec<u64>>, Error> {
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

/// As [`of_flow`], of all flows; nothing if there are too many of those, too.
pub(super) fn of_all(reader: &Reader, prefix: &str) -> Result<Option<Vec<u64>>, Error> {
    let (mut found, mut from) = (Vec::<u64>::new(), Vec::new());
    for _ in 0..MOST_FLOWS {
        let Some(flow) = flow_from(reader, &from)? else {
            found.sort_unstable_by(|a, b| b.cmp(a));
            return Ok(Some(found));
        };
        let Some(named) = of_flow(reader, &flow, prefix)? else { return Ok(None) };
        found.extend(named);
        if found.len() > MOST_NAMED {
            return Ok(None);
        }
        // No name of a flow has a control character, so this is behind all of its keys, and before those of any other flow.
        from = flow.into_bytes();
        from.push(1);
    }
    Ok(None)
}

/// The flow of the first name from here on.
fn flow_from(reader: &Reader, from: &[u8]) -> Result<Option<String>, Error> {
    let mut flow = None;
    let range = (Bound::Included(from), Bound::Unbounded);
    reader.keys(Table::Name, range, Order::Ascending, &mut |key| {
        flow = read_name_key(key).map(|(execution, _)| execution.flow.to_string());
        // A key that cannot be read is of no execution.
        if flow.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(flow)
}

pub(super) fn read_journal(named: &[u8]) -> Option<u64> {
    named.first_chunk().map(|journal| u64::from_be_bytes(*journal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::journal::name_key;
    use crate::ledger::embedded::fixture::{reader, row};

    #[test]
    fn prefix_of_too_many_ids_is_left_to_the_index_of_the_flow() {
        let named_rows = |ids: usize| {
            let row = |nth: usize| {
                let execution = ExecutionId { flow: "f".into(), id: format!("job {nth:05}").into() };
                row(Table::Name, &name_key(&execution, 1), (nth as u64).to_be_bytes().to_vec())
            };
            reader(&(0..ids).map(row).collect::<Vec<_>>())
        };
        let found = of_flow(&named_rows(MOST_NAMED), "f", "job").unwrap();
        assert_eq!(found.map(|found| found.len()), Some(MOST_NAMED));
        assert_eq!(of_flow(&named_rows(MOST_NAMED + 1), "f", "job").unwrap(), None);
    }

    #[test]
    fn ids_with_a_prefix_are_found_at_any_length() {
        let ids = ["a", "b", "ab", "abc", "abd", "b0", "ba", "abcdefgh", "xabc", "a\u{0}"];
        let mut rows = Vec::new();
        for (nth, id) in ids.iter().enumerate() {
            for (flow, generation) in [("f", 1), ("f", 2), ("f2", 1), ("e", 1)] {
                let execution = ExecutionId { flow: flow.into(), id: (*id).into() };
                let journal = nth as u64 * 4 + u64::from(generation) + if flow == "f" { 0 } else { 1_000 };
                rows.push(row(Table::Name, &name_key(&execution, generation), journal.to_be_bytes().to_vec()));
            }
        }
        let reader = reader(&rows);
        for prefix in ["", "a", "ab", "abc", "b", "abcdefgh", "abcdefghi", "z", "\u{e9}"] {
            let begins = ids.iter().enumerate().filter(|(_, id)| id.starts_with(prefix));
            let mut expected: Vec<u64> = begins.flat_map(|(nth, _)| [1, 2].map(|n| nth as u64 * 4 + n)).collect();
            expected.reverse();
            assert_eq!(of_flow(&reader, "f", prefix).unwrap(), Some(expected), "{prefix}");
        }
    }

    #[test]
    fn ids_with_a_prefix_are_found_in_every_flow_unless_there_are_too_many() {
        let rows = |flows: usize| {
            let row = |nth: usize| {
                let execution = ExecutionId { flow: format!("f{nth}").into(), id: format!("job-{}", nth % 7).into() };
                row(Table::Name, &name_key(&execution, 1), (nth as u64 + 1).to_be_bytes().to_vec())
            };
            reader(&(0..flows).map(row).collect::<Vec<_>>())
        };
        let few = rows(20);
        assert_eq!(of_all(&few, "job-3").unwrap(), Some(vec![18, 11, 4]));
        assert_eq!(of_all(&few, "").unwrap().map(|all| all.len()), Some(20));
        assert_eq!(of_all(&few, "other").unwrap(), Some(Vec::new()));
        assert!(of_all(&rows(MOST_FLOWS - 1), "job-3").unwrap().is_some());
        assert_eq!(of_all(&rows(MOST_FLOWS + 1), "job-3").unwrap(), None);
    }
}
