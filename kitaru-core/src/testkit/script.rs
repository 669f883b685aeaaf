//! The calls that a replay should make, and those that it made. Must not know how differences are shown.

mod calls;
mod mismatch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use crate::director::{Clearance, Cue};
use crate::error::{Error, Kind, cannot};
use crate::id::{ExecutionId, Seq};
use crate::journal::{Arg, CallFrame, Forgotten, Frame, Header, Status, call_identity};
use crate::ledger::Generation;
use crate::value::Key;
use calls::{MadeCall, RecordedCall};
use mismatch::Difference;

pub use mismatch::Mismatch;

/// The records of a history, in the order of its replay.
pub(crate) struct Script {
    execution: ExecutionId,
    /// The calls with a record, in order.
    records: Vec<RecordedCall>,
    /// Calls that have begun, and have no outcome yet.
    open: HashSet<Key>,
    answered: HashSet<Key>,
    /// Calls that have no record.
    news: Vec<MadeCall>,
    /// How the generation ended, if it did.
    end: Option<(Status, String)>,
}

impl Script {
    pub(super) fn new<'a>(header: &Header, frames: impl Iterator<Item = &'a [u8]>) -> Result<Self, Error> {
        let identity =
            |call: &CallFrame<'_>| call_identity(&header.execution, header.generation, call.key, call.occurrence);
        let mut script = Script {
            execution: header.execution.clone(),
            records: Vec::new(),
            open: HashSet::new(),
            answered: HashSet::new(),
            news: Vec::new(),
            end: None,
        };
        // The records that count, and the place of each. A forgotten record leaves its place empty.
        let (mut known, mut counting) = (HashMap::new(), BTreeMap::new());
        let mut records: Vec<Option<RecordedCall>> = Vec::new();
        for (seq, frame) in (1..).map(Seq).zip(frames) {
            let frame = Frame::read(frame).map_err(|why| {
                let why = why.0;
                cannot!(Kind::Unreadable, "read the history", "{why}", "use a history from Kitaru::export")
            })?;
            script.end = None;
            match frame {
                Frame::Outcome(outcome) => {
                    let call = &outcome.call;
                    let identity = identity(call);
                    script.open.remove(&identity);
                    let recorded = RecordedCall {
                        seq,
                        name: call.name(),
                        checkpoint: call.checkpoint.to_owned(),
                        place: call.place,
                        identity,
                        args: Arg::read_all(call.args).unwrap_or_default(),
                    };
                    // A later record of the same call replaces the earlier one.
                    let nth = *known.entry(identity).or_insert(records.len());
                    counting.insert(seq, nth);
                    match records.get_mut(nth) {
                        Some(earlier) => {
                            let replaced = earlier.replace(recorded);
                            replaced.and_then(|replaced| counting.remove(&replaced.seq));
                        }
                        None => records.push(Some(recorded)),
                    }
                }
                Frame::Intent(call) => drop(script.open.insert(identity(&call))),
                Frame::Open(open) => drop(script.open.insert(identity(&open.call))),
                Frame::End(end) => script.end = Some((end.status, end.preview.to_owned())),
                Frame::Forgot(forgotten) => {
                    let gone: Vec<usize> = match forgotten {
                        Forgotten::This(this) => counting.remove(&this).into_iter().collect(),
                        Forgotten::After(last) => {
                            let behind = counting.extract_if((Bound::Excluded(last), Bound::Unbounded), |_, _| true);
                            behind.map(|(_, nth)| nth).collect()
                        }
                    };
                    for record in gone.into_iter().filter_map(|nth| records[nth].take()) {
                        known.remove(&record.identity);
                    }
                }
                Frame::Settled(_) | Frame::Now(_) | Frame::Unwind(_) | Frame::Patched(_) => {}
            }
        }
        script.records = records.into_iter().flatten().collect();
        Ok(script)
    }

    /// Whether an attempt is of the replayed execution, and not of a child.
    pub(crate) fn is_of(&self, execution: &ExecutionId) -> bool {
        self.execution == *execution
    }

    /// A call without a record is about to start. It never does.
    pub(crate) fn starts(&mut self, cue: &Cue<'_>) -> Clearance {
        if !self.open.contains(&cue.identity) {
            self.news.push(MadeCall {
                name: cue.name.clone(),
                checkpoint: cue.checkpoint.to_owned(),
                location: cue.location.clone(),
                place: cue.place,
                args: cue.args.clone(),
            });
        }
        Clearance::Refused
    }

    pub(crate) fn replayed(&mut self, identity: Key) {
        self.answered.insert(identity);
    }

    /// The differences between what was recorded and what was asked.
    pub(super) fn compare(self, flow: &str, came: Option<&Generation>, refused: Option<Error>) -> Result<(), Mismatch> {
        let mut left: Vec<&RecordedCall> =
            self.records.iter().filter(|record| !self.answered.contains(&record.identity)).collect();
        let has_news = !self.news.is_empty();
        let mut differences = Vec::new();
        for asked in self.news {
            let of_its_own = |record: &&RecordedCall| record.checkpoint == asked.checkpoint;
            let at_its_place = |record: &&RecordedCall| of_its_own(record) && record.place == asked.place;
            let found = left.iter().position(at_its_place).or_else(|| left.iter().position(of_its_own));
            match found {
                Some(nth) => differences.push(Difference::otherwise(left.remove(nth), asked)),
                // A history without an end stops somewhere.
                None if self.end.is_none() && left.is_empty() => {}
                None => differences.push(Difference::New(asked)),
            }
        }
        let ended = came.filter(|came| came.status.is_final());
        if !has_news && (ended.is_some() || self.end.is_none()) {
            differences.extend(left.iter().map(|record| Difference::gone(record)));
        }
        if let (Some((status, outcome)), true) = (&self.end, differences.is_empty()) {
            let now = ended.map(|came| (came.status, came.outcome()));
            match now {
                Some((now, came)) if now == *status && came == *outcome => {}
                now => differences.push(Difference::End {
                    recorded: format!("{status}: {outcome}"),
                    came: now.map_or_else(|| "no end".to_owned(), |(status, came)| format!("{status}: {came}")),
                }),
            }
        }
        match refused {
            Some(error) => Err(Mismatch::no_replay(error)),
            None if differences.is_empty() => Ok(()),
            None => Err(Mismatch::new(flow, differences)),
        }
    }
}
