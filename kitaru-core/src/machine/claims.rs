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

/// The index of a journal, and what this attempt has asked of it so far.
#[derive(Default)]
pub(crate) struct Claims {
    keys: Keys,
    names: Names,
    /// By the place of their names; a label that is no checkpoint's name has one that is empty.
    checkpoints: Vec<Checkpoint>,
    /// What `now` gave, by occurrence, and how often it was asked in this attempt.
    nows: Sparse<u64>,
    nows_asked: u32,
    /// Records that answer and whose call was not polled yet, or not even made.
    unawaited: usize,
    /// Calls that have a record of any kind and have not been made yet.
    unmet: usize,
    /// Changes of the flow's code, and whether the execution passes them with the new code.
    patches: HashMap<String, bool>,
    /// The signals that records have taken.
    messages: HashSet<u64>,
    /// The records that count still, once some were forgotten: each is forgotten once, however often that is recorded.
    counting: Option<BTreeSet<RecordIx>>,
    /// Where the flow goes no further.
    unwind: Option<RecordIx>,
    /// The last record that says that an attempt has ended, or that a person has had something forgotten.
    ended: Option<RecordIx>,
}

#[derive(Default)]
struct Checkpoint {
    /// Which item of the program goes by this name.
    item: Option<Item>,
    made: u32,
    /// The record at each place.
    places: Sparse<RecordIx>,
}

/// An item of the program: where its attribute stands. Two items of one name would answer each other's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

/// What a call asks the journal.
pub(crate) struct Asked<'a> {
    pub(crate) checkpoint: &'a str,
    /// `None` for a checkpoint that is no item of its own.
    pub(crate) item: Option<Item>,
    pub(crate) key: Key,
    /// The fingerprint that a record must have to be reused, where another one is refused.
    pub(crate) only_source: Option<u64>,
    /// The bound of an outcome: what was over a lower one is tried again.
    pub(crate) most_bytes: u64,
}

/// What a call holds from the moment it is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    pub(crate) occurrence: u32,
    pub(crate) place: u32,
    pub(crate) number: u32,
    pub(crate) standing: Standing,
}

/// What the journal says to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing {
    /// This record answers it.
    Recorded(RecordIx),
    /// It has to run; a void record lends it its name.
    Again(RecordIx),
    /// An earlier attempt meant to run its body, and nobody knows whether it did.
    Interrupted(RecordIx),
    /// An earlier attempt has begun to wait.
    Open(RecordIx),
    /// It has to run.
    New,
}

/// Why a call cannot be made.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// Another item of the program goes by the same name.
    Clash(Item),
    /// The execution has made [`MAX_CALLS`] calls.
    TooMany,
}

/// The most calls that one attempt may make. A journal that has more is to begin a new generation.
pub(crate) const MAX_CALLS: u32 = 1 << 24;

/// Of more keys the records are not counted: each call would look at all of them.
const MOST_RECOUNTED: usize = 256;

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

    /// Counts anew what is counted as it comes and goes.
    ///
    /// # Panics
    ///
    /// In builds with debug assertions, where a counter has come to differ.
    fn recount(&self) {
        if cfg!(debug_assertions) && self.keys.len() <= MOST_RECOUNTED {
            let unmet = self.keys.all().filter(|known| !known.claimed);
            let unawaited = unmet.clone().filter(|known| known.kind.answers()).count();
            assert_eq!(self.unmet, unmet.count(), "calls that have a record and were not made");
            // Some were made and not polled, and what they are is not kept.
            assert!(self.unawaited >= unawaited, "calls that a record answers and that were not polled");
        }
    }

    /// A record counts no more: what it was about runs again, under the name that it had.
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
            // Which code the execution passes a change with is decided once.
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
        // A later record of the same call stands for the earlier: it was made because that one did not count.
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
            return Ok(Claim { key: asked.key, occurrence, place, number, standing: Standing::New });
        };
        known.claimed = true;
        self.unmet -= 1;
        let (at, number) = (known.at, known.number);
        let standing = match known.kind {
            CallKind::Answer => {
                let other_source = |source| journal.call(at).is_some_and(|call| call.source != source);
                if asked.only_source.is_some_and(other_source) {
                    self.unawaited -= 1;
                    Standing::Again(at)
                } else {
                    Standing::Recorded(at)
                }
            }
            CallKind::Outgrown => {
                if journal.outgrown(at).is_some_and(|size| size > asked.most_bytes) {
                    Standing::Recorded(at)
                } else {
                    self.unawaited -= 1;
                    Standing::Again(at)
                }
            }
            CallKind::Unsettled => Standing::Again(at),
            CallKind::Intent => Standing::Interrupted(at),
            CallKind::Open => Standing::Open(at),
        };
        Ok(Claim { key: asked.key, occurrence, place, number, standing })
    }

    /// Gives a call that has no record another name than its checkpoint's.
    pub(crate) fn rename(&mut self, claim: &mut Claim, from: &str, to: &str) {
        if claim.standing == Standing::New {
            let (from, to) = (self.checkpoint(from), self.checkpoint(to));
            self.names.give_back(from, claim.number);
            claim.number = self.names.next(to);
        }
    }

    /// The record of the same checkpoint at the same place, if it answers another question and nobody claimed it. An intent
    /// is one, too: the body that it announced may have run. An error that nobody went past, and a wait that has
    /// given nothing yet, are none: nothing was built on them.
    pub(crate) fn divergent(&mut self, checkpoint: &str, claim: &Claim, journal: &Journal) -> Option<RecordIx> {
        let checkpoint = self.checkpoint(checkpoint);
        let at = *self.checkpoints[checkpoint.index()].places.get(claim.place)?;
        let call = journal.call(at)?;
        let known = self.known(call.key, call.occurrence)?;
        let answers = known.at == at && matches!(known.kind, CallKind::Answer | CallKind::Intent) && !known.claimed;
        (answers && call.key != claim.key).then_some(at)
    }

    /// What `now` gave here before, and how often it was asked before.
    pub(crate) fn now(&mut self) -> (u32, Option<u64>) {
        let nth = self.nows_asked;
        self.nows_asked += 1;
        (nth, self.nows.get(nth).copied())
    }

    /// A call that has a record is awaited now.
    pub(crate) fn awaited(&mut self) {
        self.unawaited -= 1;
    }

    /// Whether the call of every record that answers has been awaited: the journal's end. That it was made is not enough:
    /// it may be polled in the same breath as one without a record that was first, and wins.
    pub(crate) fn all_awaited(&self) -> bool {
        self.unawaited == 0
    }

    /// Whether the execution passes a change of the flow's code with the new code, and whether that is new.
    pub(crate) fn patched(&mut self, name: &str) -> (bool, bool) {
        if let Some(patched) = self.patches.get(name) {
            return (*patched, false);
        }
        // Where there are records behind this point, it was passed with the old code.
        let patched = self.unmet == 0;
        self.patches.insert(name.to_owned(), patched);
        (patched, patched)
    }

    /// The signals that records have taken.
    pub(crate) fn messages(&self) -> &HashSet<u64> {
        &self.messages
    }

    /// Where the flow goes no further.
    pub(crate) fn unwind(&self) -> Option<RecordIx> {
        self.unwind
    }

    /// Whether an attempt has ended since a record was made, or a person has had something forgotten.
    pub(crate) fn has_ended_since(&self, at: RecordIx) -> bool {
        self.ended > Some(at)
    }

    /// The place of a name, of a checkpoint or a label.
    fn checkpoint(&mut self, name: &str) -> NameIx {
        let name = self.names.intern(name);
        // A name that reads as a numbered one brings the name before the number along.
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
    /// The visible name of a call that goes by this base.
    pub(crate) fn name(&self, base: &str) -> String {
        visible_name(base, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{CallFrame, Frame, NowFrame};

    #[test]
    fn an_attempt_makes_so_many_calls_and_no_more() {
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
    fn what_an_index_takes_grows_with_its_records_and_not_with_the_numbers_in_them() {
        // Of each of these one alone would take a list of 16 million places.
        let calls = (0..2_000).map(|number| call(number, MAX_CALLS - number % 7));
        let nows = (0..2_000).map(|nth| Frame::Now(NowFrame { occurrence: MAX_CALLS - nth, unix_ms: 7 }));
        let journal = journal(calls.chain(nows));
        let mut claims = Claims::index(&journal).unwrap();
        let room: usize = claims.checkpoints.iter().map(|checkpoint| checkpoint.places.room()).sum();
        let more = claims.keys.room() + claims.names.room() + claims.nows.room();
        assert!(room + more < 40_000, "{room}, {more}");
        // They are found all the same.
        let Frame::Intent(first) = call(0, 0) else { panic!("an intent") };
        assert!(claims.known(first.key, MAX_CALLS).is_some() && claims.known(first.key, MAX_CALLS - 1).is_none());
        assert_eq!(claims.nows.get(MAX_CALLS - 1_999), Some(&7));
        assert!(claims.checkpoints[0].places.get(MAX_CALLS).is_some());
        assert!(Claims::index(&self::journal([call(0, MAX_CALLS + 1)])).is_err());
    }

    #[test]
    fn records_are_forgotten_once_however_often_that_is_recorded() {
        let frames = 20_000;
        let calls = (0..frames).map(|number| call(number, 0));
        let forgotten = (0..frames).map(|nth| Frame::Forgot(Forgotten::After(Seq(u64::from(nth % 7)))));
        let journal = journal(calls.chain(forgotten));
        // On a thread that is not waited for: where each is looked for again with every record, this takes minutes.
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(Box::new(Claims::index(&journal).unwrap())));
        let indexed = receive.recv_timeout(std::time::Duration::from_secs(20));
        let mut claims = indexed.expect("an index of so many records takes a moment");
        assert_eq!(claims.counting.as_ref().map(BTreeSet::len), Some(1), "the last one");
        let Frame::Intent(last) = call(frames - 1, 0) else { panic!("an intent") };
        assert_eq!(claims.known(last.key, 0).map(|known| known.kind), Some(CallKind::Unsettled));
    }
}
