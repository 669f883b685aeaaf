//! Which record answers which call. Owns the index of the journal and the rule of the model's section 3: the same
//! checkpoint, the same arguments, the same occurrence. Must not know when an answer is given.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::str;

use crate::id::Seq;
use crate::journal::{CallHeading, CallKind, Forgotten, Heading, Malformed, visible_name};
use crate::machine::journal::{Journal, RecordIx};
use crate::machine::keys::{Keys, Known};
use crate::machine::names::{NameIx, Names};
use crate::machine::sparse::Sparse;
use crate::value::Key;

/// The index of a journal, and what this attempt has claimed of it so far.
#[derive(Default)]
pub(crate) struct Claims {
    keys: Keys,
    names: Names,
    /// By the place of their names. The entry of a label that is not a checkpoint's name is empty.
    checkpoints: Vec<Checkpoint>,
    /// The recorded times of `now`, by occurrence, and how many this attempt has read.
    nows: Sparse<u64>,
    nows_asked: u32,
    /// Records that answer and whose call was not polled yet, or not even made.
    unawaited: usize,
    /// Calls that have any record and have not been made yet.
    unmet: usize,
    /// Changes of the flow's code, and whether the execution passes them with the new code.
    patches: HashMap<String, bool>,
    /// The signals that records have taken.
    messages: HashSet<u64>,
    /// The records that still count, if some were forgotten. Each is forgotten once, even if that is recorded more
    /// often.
    counting: Option<BTreeSet<RecordIx>>,
    /// The record at which the flow ends, if there is one.
    unwind: Option<RecordIx>,
    /// The last record of an end of an attempt, or of a person's request to forget something.
    ended: Option<RecordIx>,
}

#[derive(Default)]
struct Checkpoint {
    /// The item of the program that has this name.
    item: Option<Item>,
    made: u32,
    /// The record at each place.
    places: Sparse<RecordIx>,
}

/// An item of the program, by the place of its attribute. Two items of one name would answer each other's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

/// What a call asks the journal.
pub(crate) struct Asked<'a> {
    pub(crate) checkpoint: &'a str,
    /// `None` for a checkpoint that is not an item of its own.
    pub(crate) item: Option<Item>,
    pub(crate) key: Key,
    /// The fingerprint that a record must have to be reused, if the call is limited to one.
    pub(crate) only_source: Option<u64>,
    /// The bound on an outcome. An outcome that was over a lower bound is tried again.
    pub(crate) most_bytes: u64,
}

/// What a call holds from the moment it is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    pub(crate) occurrence: u32,
    pub(crate) place: u32,
    pub(crate) number: u32,
    pub(crate) standing: RecordState,
}

/// What the journal has for a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RecordState {
    /// This record answers it.
    Recorded(RecordIx),
    /// It must run. A void record gives it its name.
    Again(RecordIx),
    /// An earlier attempt recorded the intent. It is unknown whether the body ran.
    Interrupted(RecordIx),
    /// An earlier attempt has begun to wait.
    Open(RecordIx),
    /// It must run.
    New,
}

/// Why a call cannot be made.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// Another item of the program has the same name.
    Clash(Item),
    /// The execution has made [`MAX_CALLS`] calls.
    TooMany,
}

/// The most calls of one attempt. A flow that needs more continues as new.
pub(crate) const MAX_CALLS: u32 = 1 << 24;

/// What there is more of than this is not counted again: each call, or each step, would visit all of it.
pub(super) const MOST_RECOUNTED: usize = 256;

impl Claims {
    /// Reads a journal from its first record to its last.
    pub(crate) fn index(journal: &Journal) -> Result<Self, Malformed> {
        let mut claims = Claims::default();
        claims.keys.reserve(journal.len());
        let mut unsettled: HashMap<Seq, (Key, u32)> = HashMap::new();
        for at in journal.indices() {
            let heading = journal.heading(at)?;
            if let Heading::End | Heading::Forgot(_) = heading {
                claims.ended = Some(at);
            }
            match heading {
                Heading::Call(mut call) => {
                    if call.kind == CallKind::Unsettled {
                        if journal.outgrown(at).is_some() {
                            call.kind = CallKind::Outgrown;
                        }
                        unsettled.insert(journal.seq(at), (call.key, call.occurrence));
                    }
                    claims.messages.extend(call.message);
                    claims.add(at, &call)?;
                }
                Heading::Patched(name) => {
                    claims.patches.insert(name.to_owned(), true);
                }
                Heading::Settled(settled) => {
                    for seq in settled.errors {
                        let Some((key, occurrence)) = unsettled.get(&seq) else { continue };
                        if let Some(known) =
                            claims.known(*key, *occurrence).filter(|known| journal.seq(known.at) == seq)
                        {
                            let at = known.at;
                            let answered = std::mem::replace(&mut known.kind, CallKind::Answer).answers();
                            claims.unawaited += usize::from(!answered);
                            if let Some(counting) = &mut claims.counting {
                                counting.insert(at);
                            }
                        }
                    }
                }
                Heading::Now(now) => {
                    if now.occurrence > MAX_CALLS {
                        return Err(Malformed("a time over the bound of an execution's calls"));
                    }
                    claims.nows.set(now.occurrence, now.unix_ms);
                }
                Heading::Forgot(Forgotten::This(seq)) => {
                    if let Some(at) = journal.find(seq) {
                        claims.forget(at, journal)?;
                    }
                }
                Heading::Forgot(Forgotten::After(seq)) => {
                    let counting = claims.counting.get_or_insert_with(|| journal.indices().collect());
                    let all_behind = journal.behind(seq);
                    let forgotten: Vec<RecordIx> = match all_behind < at {
                        true => counting.range(all_behind..at).copied().collect(),
                        false => Vec::new(),
                    };
                    for forgotten in forgotten {
                        claims.forget(forgotten, journal)?;
                    }
                }
                Heading::Unwind => claims.unwind = claims.unwind.or(Some(at)),
                Heading::End => {}
            }
        }
        claims.keys.rewind();
        claims.recount();
        Ok(claims)
    }

    /// Recounts what is otherwise counted incrementally.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, if a counter differs.
    fn recount(&self) {
        if cfg!(debug_assertions) && self.keys.len() <= MOST_RECOUNTED {
            let unmet = self.keys.all().filter(|known| !known.claimed);
            let unawaited = unmet.clone().filter(|known| known.kind.answers()).count();
            assert_eq!(self.unmet, unmet.count(), "calls that have a record and were not made");
            // Some were made and not polled. Which ones is not stored.
            assert!(self.unawaited >= unawaited, "calls that a record answers and that were not polled");
        }
    }

    /// A record no longer counts: its call runs again, under the same name.
    fn forget(&mut self, at: RecordIx, journal: &Journal) -> Result<(), Malformed> {
        if let Some(counting) = &mut self.counting {
            counting.remove(&at);
        }
        match journal.heading(at)? {
            Heading::Call(call) => {
                if let Some(message) = call.message {
                    self.messages.remove(&message);
                }
                let Some(known) = self.known(call.key, call.occurrence).filter(|known| known.at == at) else {
                    return Ok(());
                };
                if std::mem::replace(&mut known.kind, CallKind::Unsettled).answers() {
                    self.unawaited -= 1;
                }
            }
            Heading::Now(now) => {
                self.nows.remove(now.occurrence);
            }
            // The execution decides once with which code it passes a change.
            Heading::Patched(_) | Heading::Settled(_) | Heading::End | Heading::Unwind | Heading::Forgot(_) => {}
        }
        Ok(())
    }

    fn add(&mut self, at: RecordIx, call: &CallHeading<'_>) -> Result<(), Malformed> {
        if call.place.max(call.occurrence).max(call.number) > MAX_CALLS {
            return Err(Malformed("a call over the bound of an execution's calls"));
        }
        let text = |bytes| str::from_utf8(bytes).map_err(|_| Malformed("a name that is not UTF-8"));
        let checkpoint = self.checkpoint(text(call.checkpoint)?);
        self.checkpoints[checkpoint.index()].places.set(call.place, at);
        let shown = if call.label.is_empty() { checkpoint } else { self.checkpoint(text(call.label)?) };
        self.names.take(shown, call.number);
        let known = Known { at, number: call.number, kind: call.kind, claimed: false };
        // A later record of the same call replaces the earlier one: it was made because the earlier one did not count.
        let replaced = self.keys.of(call.key).set(call.occurrence, known);
        match replaced {
            None => self.unmet += 1,
            Some(known) if known.kind.answers() => self.unawaited -= 1,
            Some(_) => {}
        }
        if call.kind.answers() {
            self.unawaited += 1;
        }
        Ok(())
    }

    /// The records that calls may ask for, and what each is good for.
    pub(super) fn known_calls(&self) -> impl Iterator<Item = (RecordIx, CallKind)> {
        self.keys.all().map(|known| (known.at, known.kind))
    }

    /// Whether a record was not forgotten.
    pub(super) fn counts(&self, at: RecordIx) -> bool {
        self.counting.as_ref().is_none_or(|counting| counting.contains(&at))
    }

    /// Whether a call was made that may ask for its record.
    pub(super) fn is_claimed(&mut self, key: Key, occurrence: u32) -> bool {
        self.known(key, occurrence).is_none_or(|known| known.claimed)
    }

    /// Claims the record that answers a call, if there is one, and the call's name.
    pub(crate) fn claim(&mut self, asked: &Asked<'_>, journal: &Journal) -> Result<Claim, Refused> {
        self.recount();
        let name = self.checkpoint(asked.checkpoint);
        let checkpoint = &mut self.checkpoints[name.index()];
        if let Some(item) = asked.item {
            let known = *checkpoint.item.get_or_insert(item);
            if known != item {
                return Err(Refused::Clash(known));
            }
        }
        if checkpoint.made >= MAX_CALLS {
            return Err(Refused::TooMany);
        }
        let place = checkpoint.made;
        checkpoint.made += 1;
        let occurrences = self.keys.of(asked.key);
        let occurrence = occurrences.make();
        let Some(known) = occurrences.get(occurrence) else {
            let number = self.names.next(name);
            return Ok(Claim { key: asked.key, occurrence, place, number, standing: RecordState::New });
        };
        known.claimed = true;
        self.unmet -= 1;
        let (at, number) = (known.at, known.number);
        let standing = match known.kind {
            CallKind::Answer => {
                let other_source = |source| journal.call(at).is_some_and(|call| call.source != source);
                if asked.only_source.is_some_and(other_source) {
                    self.unawaited -= 1;
                    RecordState::Again(at)
                } else {
                    RecordState::Recorded(at)
                }
            }
            CallKind::Outgrown => {
                if journal.outgrown(at).is_some_and(|size| size > asked.most_bytes) {
                    RecordState::Recorded(at)
                } else {
                    self.unawaited -= 1;
                    RecordState::Again(at)
                }
            }
            CallKind::Unsettled => RecordState::Again(at),
            CallKind::Intent => RecordState::Interrupted(at),
            CallKind::Open => RecordState::Open(at),
        };
        Ok(Claim { key: asked.key, occurrence, place, number, standing })
    }

    /// Gives a call that has no record a name other than its checkpoint's.
    pub(crate) fn rename(&mut self, claim: &mut Claim, from: &str, to: &str) {
        if claim.standing == RecordState::New {
            let (from, to) = (self.checkpoint(from), self.checkpoint(to));
            self.names.give_back(from, claim.number);
            claim.number = self.names.next(to);
        }
    }

    /// The record of the same checkpoint at the same occurrence, if it has other arguments and no call claimed it. An
    /// intent counts too: its body may have run. An error that is not settled, and a wait without an outcome, do not
    /// count: nothing was built on them.
    pub(crate) fn divergent(&mut self, checkpoint: &str, claim: &Claim, journal: &Journal) -> Option<RecordIx> {
        let checkpoint = self.checkpoint(checkpoint);
        let at = *self.checkpoints[checkpoint.index()].places.get(claim.place)?;
        let call = journal.call(at)?;
        let known = self.known(call.key, call.occurrence)?;
        let answers = known.at == at && matches!(known.kind, CallKind::Answer | CallKind::Intent) && !known.claimed;
        (answers && call.key != claim.key).then_some(at)
    }

    /// The recorded time of this `now`, and its occurrence.
    pub(crate) fn now(&mut self) -> (u32, Option<u64>) {
        let nth = self.nows_asked;
        self.nows_asked += 1;
        (nth, self.nows.get(nth).copied())
    }

    /// A call that has a record is awaited now.
    pub(crate) fn awaited(&mut self) {
        self.unawaited -= 1;
    }

    /// Whether the call of every answering record has been awaited, so that the journal is used up. It is not enough
    /// that the calls were made: such a call may be polled together with one without a record that was made first, and
    /// win.
    pub(crate) fn all_awaited(&self) -> bool {
        self.unawaited == 0
    }

    /// Whether the execution passes a change of the flow's code with the new code, and whether that was decided now.
    pub(crate) fn patched(&mut self, name: &str) -> (bool, bool) {
        if let Some(patched) = self.patches.get(name) {
            return (*patched, false);
        }
        // If there are records after this point, the flow passed it with the old code.
        let patched = self.unmet == 0;
        self.patches.insert(name.to_owned(), patched);
        (patched, patched)
    }

    /// The signals that records have taken.
    pub(crate) fn messages(&self) -> &HashSet<u64> {
        &self.messages
    }

    /// The record at which the flow ends.
    pub(crate) fn unwind(&self) -> Option<RecordIx> {
        self.unwind
    }

    /// Whether an attempt ended since a record was made, or a person had something forgotten.
    pub(crate) fn has_ended_since(&self, at: RecordIx) -> bool {
        self.ended > Some(at)
    }

    /// The place of a name, of a checkpoint or a label.
    fn checkpoint(&mut self, name: &str) -> NameIx {
        let name = self.names.intern(name);
        // A name that ends in a number also interns the name before the number.
        if self.checkpoints.len() < self.names.len() {
            self.checkpoints.resize_with(self.names.len(), Checkpoint::default);
        }
        name
    }

    fn known(&mut self, key: Key, occurrence: u32) -> Option<&mut Known> {
        self.keys.known(key)?.get(occurrence)
    }
}

impl Claim {
    /// The visible name of a call with this base.
    pub(crate) fn name(&self, base: &str) -> String {
        visible_name(base, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{CallFrame, Frame, NowFrame};

    #[test]
    fn calls_of_an_attempt_are_bounded() {
        let (mut claims, journal) = (Claims::default(), Journal::default());
        let asked = Asked { checkpoint: "draft", item: None, key: Key([0; 16]), only_source: None, most_bytes: 0 };
        assert!(claims.claim(&asked, &journal).is_ok());
        claims.checkpoints[0].made = MAX_CALLS;
        assert_eq!(claims.claim(&asked, &journal), Err(Refused::TooMany));
    }

    fn call(number: u32, at: u32) -> Frame<'static> {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        Frame::Intent(CallFrame {
            key: Key(key),
            occurrence: at,
            place: at,
            number: at,
            attempt: 1,
            source: 0,
            checkpoint: Box::leak(format!("draft {number}").into_boxed_str()),
            label: "",
            args: &[],
        })
    }

    fn journal(frames: impl IntoIterator<Item = Frame<'static>>) -> Journal {
        let mut journal = Journal::default();
        frames.into_iter().for_each(|frame| journal.push(journal.next(), &frame.write()));
        journal
    }

    #[test]
    fn index_grows_with_its_records_and_not_with_the_numbers_in_them() {
        // Each of these alone would take a list of 16 million places.
        let calls = (0..2_000).map(|number| call(number, MAX_CALLS - number % 7));
        let nows = (0..2_000).map(|nth| Frame::Now(NowFrame { occurrence: MAX_CALLS - nth, unix_ms: 7 }));
        let journal = journal(calls.chain(nows));
        let mut claims = Claims::index(&journal).unwrap();
        let room: usize = claims.checkpoints.iter().map(|checkpoint| checkpoint.places.room()).sum();
        let more = claims.keys.room() + claims.names.room() + claims.nows.room();
        assert!(room + more < 40_000, "{room}, {more}");
        // They are still found.
        let Frame::Intent(first) = call(0, 0) else { panic!("an intent") };
        assert!(claims.known(first.key, MAX_CALLS).is_some() && claims.known(first.key, MAX_CALLS - 1).is_none());
        assert_eq!(claims.nows.get(MAX_CALLS - 1_999), Some(&7));
        assert!(claims.checkpoints[0].places.get(MAX_CALLS).is_some());
        assert!(Claims::index(&self::journal([call(0, MAX_CALLS + 1)])).is_err());
    }

    #[test]
    fn record_is_forgotten_once_even_if_that_is_recorded_often() {
        let frames = 20_000;
        let calls = (0..frames).map(|number| call(number, 0));
        let forgotten = (0..frames).map(|nth| Frame::Forgot(Forgotten::After(Seq(u64::from(nth % 7)))));
        let journal = journal(calls.chain(forgotten));
        // On another thread, with a time limit: if each record were searched for again with every record, this would
        // take minutes.
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(Box::new(Claims::index(&journal).unwrap())));
        let indexed = receive.recv_timeout(std::time::Duration::from_secs(20));
        let mut claims = indexed.expect("an index of so many records takes a moment");
        assert_eq!(claims.counting.as_ref().map(BTreeSet::len), Some(1), "the last one");
        let Frame::Intent(last) = call(frames - 1, 0) else { panic!("an intent") };
        assert_eq!(claims.known(last.key, 0).map(|known| known.kind), Some(CallKind::Unsettled));
    }
}
