//! What must hold of a store's rows after every commit, and of a flow whenever it receives or begins something. Sees each
//! commit once, so that it stays as fast as the store; must not know what crashes, or why.

use std::collections::{HashMap, HashSet};

use crate::director::Cue;
use crate::id::{ExecutionId, JournalId, Seq};
use crate::journal::{
    Aside, CallFrame, Class, Forgotten, Frame, Header, Note, Opening, ParentCall, Status, UnfinishedRow, aside_name,
    aside_range, call_identity,
};
use crate::store::{Row, Table};
use crate::testkit::indexes::Indexes;
use crate::value::Key;

/// How many bytes at the end of a row are its checksum.
const CHECKSUM: usize = 4;

/// What was seen of a store, and what was wrong.
#[derive(Clone, Default)]
pub(super) struct Invariants {
    journals: HashMap<JournalId, KnownJournal>,
    /// The outcomes of all journals, by the identity of their calls.
    fates: HashMap<Key, KnownOutcome>,
    /// How many values had been published under a name, by the key of its row.
    said: HashMap<Vec<u8>, u64>,
    /// Errors that a flow has received in its present attempt.
    errors_seen: HashMap<ExecutionId, HashSet<Key>>,
    indexes: Indexes,
    broken: Vec<String>,
}

/// One journal.
#[derive(Clone, Default)]
struct KnownJournal {
    header: Option<(ExecutionId, u32)>,
    last: u64,
    is_listed: bool,
    /// The attempt whose bodies may run, according to the store.
    runs: Option<u32>,
    /// The status that its last record gives, if any.
    ended: Option<Status>,
    /// The highest number of an attempt with a record of a call.
    attempt: u32,
    /// The calls whose errors have these numbers.
    errors: HashMap<Seq, Key>,
    /// The valid outcomes, by the numbers of their records.
    outcomes: HashMap<Seq, Key>,
    opened: HashSet<ExecutionId>,
    /// A person had something forgotten, so it may appear again.
    forgot: bool,
}

#[derive(Clone)]
struct KnownOutcome {
    name: String,
    fate: Fate,
}

/// The kind of outcome that a call has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Value,
    SettledError,
    /// The next attempt runs the body again.
    UnsettledError,
}

impl Fate {
    fn stands(self) -> bool {
        self != Fate::UnsettledError
    }
}

fn unsealed(sealed: &[u8]) -> &[u8] {
    &sealed[..sealed.len().saturating_sub(CHECKSUM)]
}

impl Invariants {
    /// What was wrong.
    pub(super) fn breaches(&self) -> &[String] {
        &self.broken
    }

    /// The calls with a lasting outcome: a value, or a settled error.
    pub(super) fn standing(&self) -> impl Iterator<Item = (Key, &str)> {
        let standing = self.fates.iter().filter(|(_, outcome)| outcome.fate.stands());
        standing.map(|(call, outcome)| (*call, &*outcome.name))
    }

    pub(super) fn stands(&self, call: Key) -> bool {
        self.fates.get(&call).is_some_and(|outcome| outcome.fate.stands())
    }

    // ---- what a flow does ----

    /// An attempt begins: its flow has received nothing yet.
    pub(super) fn begins(&mut self, execution: &ExecutionId) {
        self.errors_seen.remove(execution);
    }

    /// A flow receives an outcome of this attempt.
    pub(super) fn given(&mut self, execution: &ExecutionId, checkpoint: &str, call: Key) {
        match self.fates.get(&call).map(|outcome| outcome.fate) {
            None => self.breaks(format!("{execution} was given the outcome of `{checkpoint}` before it was durable")),
            Some(Fate::UnsettledError) => {
                self.errors_seen.entry(execution.clone()).or_default().insert(call);
            }
            Some(Fate::Value | Fate::SettledError) => {}
        }
    }

    /// A call without an outcome starts, of any kind.
    pub(super) fn starts(&mut self, execution: &ExecutionId, name: &str) {
        let Some(seen) = self.errors_seen.get_mut(execution) else { return };
        seen.retain(|call| self.fates.get(call).is_some_and(|outcome| !outcome.fate.stands()));
        if let Some(outcome) = seen.iter().next().and_then(|call| self.fates.get(call)) {
            let error = outcome.name.clone();
            self.breaks(format!(
                "`{name}` of {execution} started before the error of `{error}` was settled, which the flow has seen"
            ));
        }
    }

    /// The body of a call without an outcome begins.
    pub(super) fn body_begins(&mut self, cue: &Cue<'_>) {
        let own = (cue.execution.clone(), cue.generation);
        let mut own = self.journals.values().filter(|known| known.header.as_ref() == Some(&own));
        if !own.any(|known| known.runs == Some(cue.attempt)) {
            self.breaks(format!(
                "the body of `{}` of {} began before the store knew of attempt {}",
                cue.name, cue.execution, cue.attempt
            ));
        }
    }

    // ---- what is written ----

    /// A commit is durable.
    pub(super) fn committed(&mut self, rows: &[Row]) {
        let mut touched = Vec::new();
        for row in rows {
            let key = row.key.as_bytes();
            let value = row.value.as_deref().map(unsealed);
            let Some(journal) = key.first_chunk().map(|number| JournalId(u64::from_be_bytes(*number))) else {
                continue;
            };
            match (row.table, value) {
                (Table::Execution, Some(value)) => self.begun(journal, value),
                // The execution is deleted, with all its rows.
                (Table::Execution, None) => drop(self.journals.remove(&journal)),
                (Table::Unfinished, value) => self.listed(journal, value),
                (Table::Journal, Some(frame)) => {
                    let seq = key.last_chunk().map_or(0, |seq| u64::from_be_bytes(*seq));
                    self.recorded(journal, seq, frame);
                    touched.push(journal);
                }
                (Table::Aside, Some(value)) => self.noted(journal, key, value),
                _ => {}
            }
        }
        let values = rows.iter().map(|row| (row, row.value.as_deref().map(unsealed)));
        self.indexes.committed(values).into_iter().for_each(|what| self.breaks(what));
        touched.dedup();
        touched.into_iter().for_each(|journal| self.is_found(journal));
    }

    fn begun(&mut self, journal: JournalId, header: &[u8]) {
        match Header::read(header) {
            Ok(header) => self.known(journal).header = Some((header.execution, header.generation)),
            Err(why) => self.breaks(format!("the header of journal {} cannot be read: {}", journal.0, why.0)),
        }
    }

    fn listed(&mut self, journal: JournalId, row: Option<&[u8]>) {
        let row = row.map(UnfinishedRow::read);
        let known = self.known(journal);
        known.is_listed = row.is_some();
        known.runs = match row {
            Some(Ok(row)) if row.status == Status::Running && !row.tally.replays => Some(row.attempts),
            _ => None,
        };
    }

    /// A journal without a final record has a header, and its generation is on the list of unfinished ones.
    fn is_found(&mut self, journal: JournalId) {
        let Some(KnownJournal { header, is_listed, ended, .. }) = self.journals.get(&journal) else { return };
        let found = match header {
            None => Some(format!("journal {} has records and no header", journal.0)),
            Some((execution, _)) => match (ended, is_listed) {
                (None, false) => Some(format!("{execution} has records, has not ended, and is not listed")),
                (Some(status), true) => {
                    Some(format!("{execution} is {status}, and still on the list of unfinished ones"))
                }
                _ => None,
            },
        };
        found.into_iter().for_each(|what| self.breaks(what));
    }

    fn recorded(&mut self, journal: JournalId, seq: u64, frame: &[u8]) {
        let known = self.known(journal);
        let (last, ended) = (std::mem::replace(&mut known.last, seq), known.ended.take());
        let Some((execution, generation)) = known.header.clone() else { return };
        if seq != last + 1 {
            self.breaks(format!("record {seq} of {execution} was written behind record {last}"));
        }
        if let Some(status @ (Status::Completed | Status::Cancelled | Status::ContinuedAsNew)) = ended {
            self.breaks(format!("record {seq} of {execution} was written although it is {status}"));
        }
        let frame = match Frame::read(frame) {
            Ok(frame) => frame,
            Err(why) => return self.breaks(format!("record {seq} of {execution} cannot be read: {}", why.0)),
        };
        let seq = Seq(seq);
        match frame {
            Frame::Outcome(outcome) => {
                let call = outcome.call;
                self.is_of_newest_attempt(journal, &execution, &call);
                let identity = call_identity(&execution, generation, call.key, call.occurrence);
                let fate = match (outcome.payload.class, outcome.settled) {
                    (Class::Value, _) => Fate::Value,
                    (_, true) => Fate::SettledError,
                    (_, false) => Fate::UnsettledError,
                };
                if self.stands(identity) {
                    self.breaks(format!("`{}` of {execution} has two outcomes that stand", call.name()));
                }
                self.fates.insert(identity, KnownOutcome { name: call.name(), fate });
                let known = self.known(journal);
                known.outcomes.insert(seq, identity);
                if fate == Fate::UnsettledError {
                    known.errors.insert(seq, identity);
                }
            }
            Frame::Intent(call) => self.is_of_newest_attempt(journal, &execution, &call),
            Frame::Open(open) => {
                self.is_of_newest_attempt(journal, &execution, &open.call);
                if let Opening::Execution(child) = open.opening {
                    self.known(journal).opened.insert(child);
                }
            }
            Frame::Settled(settled) => {
                for error in settled.errors {
                    match self.known(journal).errors.remove(&error).and_then(|call| self.fates.get_mut(&call)) {
                        Some(outcome) => outcome.fate = Fate::SettledError,
                        None => self.breaks(format!("record {} of {execution} settled, but not an error", error.0)),
                    }
                }
            }
            Frame::Forgot(forgotten) => self.forget(journal, forgotten),
            Frame::End(end) => self.known(journal).ended = Some(end.status),
            Frame::Now(_) | Frame::Unwind(_) | Frame::Patched(_) => {}
        }
    }

    /// One attempt at a time: a record of an older attempt must not follow those of a newer one.
    fn is_of_newest_attempt(&mut self, journal: JournalId, execution: &ExecutionId, call: &CallFrame<'_>) {
        let newest = &mut self.known(journal).attempt;
        let (before, now) = (*newest, call.attempt);
        *newest = before.max(now);
        if now < before {
            self.breaks(format!(
                "`{}` of {execution} was recorded by attempt {now}, behind attempt {before}",
                call.name()
            ));
        }
    }

    fn forget(&mut self, journal: JournalId, forgotten: Forgotten) {
        let known = self.known(journal);
        known.forgot = true;
        let counts = |seq: &Seq| match forgotten {
            Forgotten::This(this) => *seq == this,
            Forgotten::After(after) => *seq > after,
        };
        let calls: Vec<Key> = known.outcomes.iter().filter(|(seq, _)| counts(seq)).map(|(_, call)| *call).collect();
        known.outcomes.retain(|seq, _| !counts(seq));
        known.errors.retain(|seq, _| !counts(seq));
        calls.iter().for_each(|call| drop(self.fates.remove(call)));
    }

    fn noted(&mut self, journal: JournalId, key: &[u8], value: &[u8]) {
        let is = |aside| {
            let (first, end) = aside_range(journal, aside);
            (first.as_slice()..end.as_slice()).contains(&key)
        };
        if is(Aside::Parent)
            && let Ok(parent) = ParentCall::read(value)
            && let Some((child, _)) = self.known(journal).header.clone()
        {
            if !self.known(parent.journal).opened.contains(&child) {
                self.breaks(format!("{child} is in the store before {} records the call", parent.execution));
            }
        } else if (is(Aside::Published) || is(Aside::Logged))
            && let Ok(note) = Note::read(value)
        {
            let before = self.said.insert(key.to_owned(), note.nth).unwrap_or_default();
            if note.nth < before && !self.known(journal).forgot {
                let name = String::from_utf8_lossy(aside_name(key));
                self.breaks(format!("what is shown under `{name}` went back from value {before} to {}", note.nth));
            }
        }
    }

    fn known(&mut self, journal: JournalId) -> &mut KnownJournal {
        self.journals.entry(journal).or_default()
    }

    fn breaks(&mut self, what: String) {
        if !self.broken.contains(&what) {
            self.broken.push(what);
        }
    }
}
