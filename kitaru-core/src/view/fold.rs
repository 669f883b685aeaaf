//! The records of a journal, as they are shown. Owns which frames make up one record; must not know who reads them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;

use crate::id::Seq;
use crate::journal::{Arg, CallFrame, Class, FailedTryFrame, Forgotten, Frame, Malformed, Opening, shown_checkpoint};
use crate::machine::Journal;
use crate::value::Key;
use crate::view::record::{Record, RecordStatus};
use crate::view::reference::ExecutionRef;

/// The records, and the executions that the flow called.
pub(crate) fn records(journal: &Journal) -> Result<(Vec<Record>, Vec<ExecutionRef>), Malformed> {
    let mut shown = ShownRecords::default();
    let (mut children, mut known_children) = (Vec::new(), HashSet::new());
    for at in journal.indices() {
        let seq = journal.seq(at);
        match journal.frame(at)? {
            Frame::Outcome(outcome) => {
                let status = match outcome.payload.class {
                    Class::Value => RecordStatus::Completed,
                    Class::Error | Class::Kitaru => RecordStatus::Failed,
                };
                let record = Record {
                    status,
                    settled: outcome.settled,
                    from_memo: outcome.from_memo,
                    sensitive: outcome.is_sensitive(),
                    tries: outcome.tries,
                    failed: FailedTryFrame::read_all(outcome.failed)?,
                    metadata: outcome.metadata.to_owned(),
                    started_ms: outcome.started_ms,
                    duration_us: outcome.duration_us,
                    preview: outcome.preview.to_owned(),
                    ..Record::begun(seq, &outcome.call)?
                };
                shown.outcome((outcome.call.key, outcome.call.occurrence), record);
            }
            Frame::Intent(call) => shown.begins((call.key, call.occurrence), Record::begun(seq, &call)?),
            Frame::Open(open) => {
                if let Opening::Execution(execution) = &open.opening {
                    let child = ExecutionRef::of(execution);
                    if known_children.insert(child.clone()) {
                        children.push(child);
                    }
                }
                let mut record = Record { status: RecordStatus::Waiting, ..Record::begun(seq, &open.call)? };
                if let Opening::Pause { due_ms, failures, failed, awaited, .. } = &open.opening {
                    (record.due_ms, record.awaited) = (*due_ms, awaited.clone());
                    record.tries = *failures;
                    record.failed = FailedTryFrame::read_all(failed)?;
                }
                shown.waits((open.call.key, open.call.occurrence), record);
            }
            Frame::Settled(settled) => settled.errors.iter().for_each(|seq| shown.settle(*seq)),
            Frame::Forgot(forgotten) => shown.forget(forgotten),
            Frame::Now(_) | Frame::End(_) | Frame::Unwind(_) | Frame::Patched(_) => {}
        }
    }
    Ok((shown.records, children))
}

/// The records so far, and maps to the place of each: a journal from outside may have any number of anything, so nothing is
/// searched.
#[derive(Default)]
struct ShownRecords {
    records: Vec<Record>,
    by_seq: HashMap<Seq, usize>,
    /// Those that were not forgotten.
    counting: BTreeMap<Seq, usize>,
    /// Calls that have begun and have no outcome.
    begun: HashMap<(Key, u32), VecDeque<usize>>,
}

impl ShownRecords {
    fn push(&mut self, record: Record) -> usize {
        let nth = self.records.len();
        self.place(nth, &record);
        self.records.push(record);
        nth
    }

    fn replace(&mut self, nth: usize, record: Record) {
        self.by_seq.remove(&self.records[nth].seq);
        self.counting.remove(&self.records[nth].seq);
        self.place(nth, &record);
        self.records[nth] = record;
    }

    fn place(&mut self, nth: usize, record: &Record) {
        self.by_seq.insert(record.seq, nth);
        self.counting.insert(record.seq, nth);
    }

    fn begins(&mut self, call: (Key, u32), record: Record) {
        let nth = self.push(record);
        self.begun.entry(call).or_default().push_back(nth);
    }

    fn waits(&mut self, call: (Key, u32), record: Record) {
        match self.begun.get(&call).and_then(|begun| begun.front().copied()) {
            // A call may pause more than once.
            Some(nth) => self.replace(nth, record),
            None => self.begins(call, record),
        }
    }

    fn outcome(&mut self, call: (Key, u32), record: Record) {
        match self.begun.get_mut(&call).and_then(VecDeque::pop_front) {
            // An outcome replaces its intent.
            Some(nth) => self.replace(nth, record),
            None => drop(self.push(record)),
        }
    }

    fn settle(&mut self, seq: Seq) {
        if let Some(nth) = self.by_seq.get(&seq) {
            self.records[*nth].settled = true;
        }
    }

    fn forget(&mut self, forgotten: Forgotten) {
        match forgotten {
            Forgotten::This(seq) => {
                if let Some(nth) = self.counting.remove(&seq) {
                    self.records[nth].forgotten = true;
                }
            }
            Forgotten::After(seq) => {
                for (_, nth) in self.counting.extract_if((Bound::Excluded(seq), Bound::Unbounded), |_, _| true) {
                    self.records[nth].forgotten = true;
                }
            }
        }
    }
}

impl Record {
    fn begun(seq: Seq, call: &CallFrame<'_>) -> Result<Self, Malformed> {
        Ok(Record {
            name: call.name(),
            checkpoint: shown_checkpoint(call.checkpoint).to_owned(),
            status: RecordStatus::Begun,
            settled: false,
            forgotten: false,
            from_memo: false,
            sensitive: false,
            kept: None,
            seq,
            attempt: call.attempt,
            tries: 0,
            failed: Vec::new(),
            metadata: String::new(),
            started_ms: 0,
            duration_us: 0,
            preview: String::new(),
            args: Arg::read_all(call.args)?,
            due_ms: 0,
            awaited: String::new(),
        })
    }
}
