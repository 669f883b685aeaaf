//! What a fork takes over of a journal. Owns which records count and how they are written again; must not know who forks, nor
//! which execution.
//!
//! What a fork gets is as if its own attempts had recorded it: outcomes that answer, times, changes of the code, and children that
//! were begun. A settled error says so itself. No record refers to another one by its number, so that each may have a new number. Their
//! attempt is 0, which is none.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::id::Seq;
use crate::journal::{CallFrame, CallKind, Class, Frame, Malformed, OpenFrame, Opening, OutcomeFrame, Payload};
use crate::machine::claims::Claims;
use crate::machine::journal::{Journal, RecordIx};
use crate::value::{Codec, HIDDEN, Key};

/// A journal that is forked.
pub(crate) struct ForkableJournal<'j> {
    journal: &'j Journal,
    claims: Claims,
    /// The last record of each call, and whether it answers.
    calls: BTreeMap<RecordIx, CallKind>,
    /// The calls of other flows, and whether each is the first one of its execution.
    children: HashMap<(Key, u32), bool>,
    /// The records from here on are of the undo.
    end: RecordIx,
}

/// A call of such a journal, as its last record says.
#[derive(Clone, Copy)]
pub(crate) struct ForkableCall<'j> {
    pub(crate) at: RecordIx,
    pub(crate) seq: Seq,
    pub(crate) call: CallFrame<'j>,
    /// Whether it is a call of another flow, and whether it has begun that. Otherwise another call has.
    pub(crate) begins_child: Option<bool>,
}

/// What a fork takes over.
pub(crate) struct ForkCut<'a> {
    /// Records with lower numbers.
    pub(crate) before: Seq,
    /// Nothing of this call, which runs again.
    pub(crate) point: Option<RecordIx>,
    /// The values that are set in the place of these records.
    pub(crate) set: &'a BTreeMap<RecordIx, SetValue>,
    /// No outcomes of these.
    pub(crate) leaves_out: &'a dyn Fn(&CallFrame<'_>) -> bool,
}

/// A value that a person sets.
pub(crate) struct SetValue {
    pub(crate) json: Vec<u8>,
    pub(crate) preview: String,
    pub(crate) set_ms: u64,
}

/// The journal with which a fork begins.
pub(crate) struct ForkedJournal {
    pub(crate) journal: Journal,
    /// The numbers that its records had.
    numbers: Vec<Seq>,
    /// The calls that have a record in it.
    calls: HashSet<(Key, u32)>,
    /// The signals that its records have taken.
    messages: HashSet<u64>,
}

impl<'j> ForkableJournal<'j> {
    /// # Errors
    ///
    /// If a record is not valid.
    pub(crate) fn of(journal: &'j Journal) -> Result<Self, Malformed> {
        let claims = Claims::index(journal)?;
        let end = claims.unwind().unwrap_or_else(|| journal.behind(journal.next()));
        let calls = claims.known_calls().filter(|(at, _)| *at < end).collect();
        let (mut children, mut executions) = (HashMap::new(), HashSet::new());
        for at in journal.indices() {
            if let Frame::Open(OpenFrame { call, opening: Opening::Execution(child) }) = journal.frame(at)? {
                let is_first = executions.insert(child);
                children.entry((call.key, call.occurrence)).or_insert(is_first);
            }
        }
        Ok(ForkableJournal { journal, claims, calls, children, end })
    }

    /// The calls of the flow, in the order of their last records.
    pub(crate) fn calls(&self) -> impl Iterator<Item = ForkableCall<'j>> {
        let journal = self.journal;
        let known = journal.indices().filter(|at| self.calls.contains_key(at));
        known.filter_map(move |at| {
            let call = journal.call(at)?;
            let begins_child = self.children.get(&(call.key, call.occurrence)).copied();
            Some(ForkableCall { at, seq: journal.seq(at), call, begins_child })
        })
    }

    /// The place behind the last record of the flow.
    pub(crate) fn behind(&self) -> RecordIx {
        self.end
    }

    /// The number behind the last record.
    pub(crate) fn end(&self) -> Seq {
        self.journal.next()
    }

    /// The journal of a fork.
    ///
    /// # Errors
    ///
    /// If a record is not valid.
    pub(crate) fn fork(&self, forking: &ForkCut<'_>) -> Result<ForkedJournal, Malformed> {
        let mut forked = ForkedJournal {
            journal: Journal::default(),
            numbers: Vec::new(),
            calls: HashSet::new(),
            messages: HashSet::new(),
        };
        let point = forking.point.and_then(|at| self.journal.call(at)).map(|call| (call.key, call.occurrence));
        let mut begun = HashSet::new();
        for at in self.journal.indices().take_while(|at| *at < self.end) {
            let seq = self.journal.seq(at);
            let frame = self.journal.frame(at)?;
            if let Some(value) = forking.set.get(&at) {
                forked.take(seq, self.set(at, &frame, value).as_ref());
                continue;
            }
            if seq >= forking.before {
                continue;
            }
            match frame {
                Frame::Outcome(outcome) if self.answers(at) && !(forking.leaves_out)(&outcome.call) => {
                    forked.messages.extend(outcome.message);
                    let settled = outcome.settled || outcome.payload.is_error() && self.calls[&at] == CallKind::Answer;
                    let call = CallFrame { attempt: 0, ..outcome.call };
                    forked.take(seq, Some(&Frame::Outcome(OutcomeFrame { call, settled, message: None, ..outcome })));
                }
                // The child is that of the original.
                Frame::Open(OpenFrame { call, opening: opening @ Opening::Execution(_) })
                    if self.claims.counts(at)
                        && point != Some((call.key, call.occurrence))
                        && begun.insert((call.key, call.occurrence)) =>
                {
                    forked.take(seq, Some(&Frame::Open(OpenFrame { call: CallFrame { attempt: 0, ..call }, opening })));
                }
                frame @ (Frame::Now(_) | Frame::Patched(_)) if self.claims.counts(at) => {
                    forked.take(seq, Some(&frame));
                }
                _ => {}
            }
        }
        Ok(forked)
    }

    fn answers(&self, at: RecordIx) -> bool {
        self.calls.get(&at).is_some_and(|kind| kind.answers())
    }

    /// The record of a call whose value is set.
    fn set<'a>(&self, at: RecordIx, frame: &Frame<'a>, value: &'a SetValue) -> Option<Frame<'a>>
    where
        'j: 'a,
    {
        let call = CallFrame { attempt: 0, ..self.journal.call(at)? };
        let sensitive = matches!(frame, Frame::Outcome(outcome) if outcome.is_sensitive());
        Some(Frame::Outcome(OutcomeFrame {
            call,
            settled: false,
            from_memo: false,
            sensitive,
            message: None,
            tries: 0,
            failed: &[],
            metadata: "",
            started_ms: value.set_ms,
            duration_us: 0,
            preview: if sensitive { HIDDEN } else { &value.preview },
            payload: Payload { class: Class::Value, codec: Codec::Json, shape: 0, bytes: &value.json },
        }))
    }
}

impl ForkedJournal {
    fn take(&mut self, number: Seq, frame: Option<&Frame<'_>>) {
        let Some(frame) = frame else { return };
        if let Frame::Outcome(OutcomeFrame { call, .. }) | Frame::Open(OpenFrame { call, .. }) = frame {
            self.calls.insert((call.key, call.occurrence));
        }
        self.journal.push(self.journal.next(), &frame.write());
        self.numbers.push(number);
    }

    /// The number of the last of its records.
    pub(crate) fn last(&self) -> Seq {
        Seq(self.numbers.len() as u64)
    }

    /// The number that the last record up to this one has now.
    pub(crate) fn number(&self, before: Seq) -> Seq {
        Seq(self.numbers.partition_point(|number| *number <= before) as u64)
    }

    /// Whether it has a record of a call.
    pub(crate) fn has(&self, call: &CallFrame<'_>) -> bool {
        self.calls.contains(&(call.key, call.occurrence))
    }

    /// Whether one of its records has taken a signal.
    pub(crate) fn took(&self, signal: u64) -> bool {
        self.messages.contains(&signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::journal::{Forgotten, NowFrame, SettledFrame};

    fn call(name: &'static str) -> CallFrame<'static> {
        let mut key = [0; 16];
        key[..name.len()].copy_from_slice(name.as_bytes());
        let (key, attempt) = (Key(key), 3);
        CallFrame {
            key,
            occurrence: 0,
            place: 0,
            number: 1,
            attempt,
            source: 0,
            checkpoint: name,
            label: "",
            args: &[],
        }
    }

    fn outcome(name: &'static str, class: Class) -> Frame<'static> {
        let payload = Payload { class, codec: Codec::Json, shape: 0, bytes: b"[\"failed\",[\"no\"]]" };
        Frame::Outcome(OutcomeFrame {
            call: call(name),
            settled: false,
            from_memo: false,
            sensitive: false,
            message: (name == "signal").then_some(7),
            tries: 2,
            failed: &[],
            metadata: "",
            started_ms: 1,
            duration_us: 1,
            preview: "",
            payload,
        })
    }

    fn begins(name: &'static str) -> Frame<'static> {
        let opening = Opening::Execution(ExecutionId::new("child", name).unwrap());
        Frame::Open(OpenFrame { call: call(name), opening })
    }

    fn waits(name: &'static str) -> Frame<'static> {
        Frame::Open(OpenFrame { call: call(name), opening: Opening::Answer { due_ms: 0 } })
    }

    fn now(occurrence: u32) -> Frame<'static> {
        Frame::Now(NowFrame { occurrence, unix_ms: 7 })
    }

    fn settled(errors: &[u64]) -> Frame<'static> {
        Frame::Settled(SettledFrame { errors: errors.iter().copied().map(Seq).collect() })
    }

    fn journal(frames: &[Frame<'_>]) -> Journal {
        let mut journal = Journal::default();
        frames.iter().for_each(|frame| journal.push(journal.next(), &frame.write()));
        journal
    }

    /// What a fork takes over, each record in a word.
    fn taken(frames: &[Frame<'_>], before: u64, point: Option<&str>) -> Vec<String> {
        let journal = journal(frames);
        let forkable = ForkableJournal::of(&journal).unwrap();
        let point =
            point.and_then(|name| forkable.calls().find(|known| known.call.checkpoint == name)).map(|known| known.at);
        let (set, none) = (BTreeMap::new(), |_: &CallFrame<'_>| false);
        let forking = ForkCut { before: Seq(before), point, set: &set, leaves_out: &none };
        let forked = forkable.fork(&forking).unwrap();
        let word = |at| match forked.journal.frame(at).unwrap() {
            Frame::Outcome(outcome) => {
                assert_eq!((outcome.call.attempt, outcome.message), (0, None));
                format!("{}{}", outcome.call.checkpoint, if outcome.settled { "!" } else { "" })
            }
            Frame::Open(open) => format!("begins {}", open.call.checkpoint),
            Frame::Now(now) => format!("now {}", now.occurrence),
            Frame::Patched(name) => format!("patched {name}"),
            other => panic!("{other:?}"),
        };
        forked.journal.indices().map(word).collect()
    }

    #[test]
    fn journal_of_a_fork_has_the_records_that_count_in_their_order() {
        let value = Class::Value;
        let frames = [
            now(0),
            outcome("a", value),
            Frame::Intent(call("b")),
            outcome("b", value),
            Frame::Patched("change"),
            begins("c"),
            outcome("d", Class::Kitaru),
            settled(&[7]),
            outcome("signal", value),
            waits("w"),
            outcome("c", value),
            outcome("e", Class::Kitaru),
        ];
        let all = ["now 0", "a", "b", "patched change", "begins c", "d!", "signal", "c"];
        assert_eq!(taken(&frames, 99, None), all, "an error that is not settled is none of them");
        assert_eq!(taken(&frames, 4, None), all[..2]);
        // The child was begun before its outcome, and runs again if it is the point.
        assert_eq!(taken(&frames, 11, Some("w")), all[..7]);
        assert_eq!(taken(&frames, 11, Some("c")), ["now 0", "a", "b", "patched change", "d!", "signal"]);

        // What was forgotten, and what came in its place.
        let frames = [
            now(0),
            outcome("a", value),
            outcome("b", value),
            Frame::Forgot(Forgotten::After(Seq(2))),
            now(1),
            outcome("b", value),
        ];
        assert_eq!(taken(&frames, 99, None), ["now 0", "a", "now 1", "b"]);
        assert_eq!(taken(&frames, 6, Some("b")), ["now 0", "a", "now 1"]);
    }

    #[test]
    fn numbers_of_a_fork_follow_those_of_its_original() {
        let frames = [outcome("a", Class::Value), waits("w"), outcome("b", Class::Value), outcome("c", Class::Value)];
        let journal = journal(&frames);
        let forkable = ForkableJournal::of(&journal).unwrap();
        let known: Vec<_> = forkable.calls().map(|known| known.call.checkpoint).collect();
        assert_eq!(known, ["a", "w", "b", "c"]);
        let at = forkable.calls().find(|known| known.call.checkpoint == "b").unwrap().at;
        let value = SetValue { json: b"7".to_vec(), preview: "7".into(), set_ms: 9 };
        let (set, none) = ([(at, value)].into(), |call: &CallFrame<'_>| call.checkpoint == "a");
        let forked = forkable.fork(&ForkCut { before: Seq(99), point: None, set: &set, leaves_out: &none }).unwrap();
        assert_eq!(forked.last(), Seq(2));
        assert_eq!([0, 1, 2, 3, 4, 99].map(|number| forked.number(Seq(number)).0), [0, 0, 0, 1, 2, 2]);
        assert!(forked.has(&call("b")) && forked.has(&call("c")) && !forked.has(&call("a")));
        let Ok(Frame::Outcome(set)) = forked.journal.frame(forked.journal.find(Seq(1)).unwrap()) else { panic!() };
        assert_eq!((set.payload.bytes, set.tries, set.started_ms, set.preview), (&b"7"[..], 0, 9, "7"));
    }
}
