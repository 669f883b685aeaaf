//! Which record answers which call. Owns the index of the journal and the rule of the model's section 3: the same
//! checkpoint, the same arguments, the same occurrence. Must not know when an answer is given.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::id::Seq;
use crate::journal::{Frame, Malformed, visible_name};
use crate::machine::journal::{Journal, RecordIx};
use crate::machine::names::Names;
use crate::value::Key;

/// The index of a journal, and what this attempt has asked of it so far.
#[derive(Default)]
pub(crate) struct Claims {
    keys: HashMap<Key, Occurrences, BuildHasherDefault<KeyHasher>>,
    checkpoints: HashMap<Box<str>, Checkpoint>,
    names: Names,
    /// What `now` gave, by occurrence, and how often it was asked in this attempt.
    nows: Vec<Option<u64>>,
    nows_asked: u32,
    /// Records that answer and that no call has claimed yet.
    unclaimed: usize,
}

/// The records of one key, by occurrence. Nearly every key has one.
#[derive(Default)]
struct Occurrences {
    made: u32,
    first: Option<Known>,
    more: Vec<Option<Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    at: RecordIx,
    seq: Seq,
    source: u64,
    kind: KnownKind,
    claimed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum KnownKind {
    /// A value or a settled error.
    Answer,
    /// An error that was never settled: the call is tried again under the same name.
    Unsettled,
    /// An intent without an outcome.
    Intent,
}

#[derive(Default)]
struct Checkpoint {
    /// Which item of the program goes by this name.
    item: Option<Item>,
    made: u32,
    /// The key and occurrence of the record at each place.
    places: Vec<Option<(Key, u32)>>,
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
}

/// What a call holds from the moment it is made.
#[derive(Clone, Copy, Debug)]
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

impl Claims {
    /// Reads a journal from its first record to its last.
    pub(crate) fn index(journal: &Journal) -> Result<Self, Malformed> {
        let mut claims = Claims::default();
        claims.keys.reserve(journal.len());
        let mut unsettled: HashMap<Seq, (Key, u32)> = HashMap::new();
        for at in journal.indices() {
            let seq = journal.seq(at);
            let (call, kind) = match journal.frame(at)? {
                Frame::Outcome(outcome) => {
                    let kind = if outcome.payload.is_error() && !outcome.settled {
                        unsettled.insert(seq, (outcome.call.key, outcome.call.occurrence));
                        KnownKind::Unsettled
                    } else {
                        KnownKind::Answer
                    };
                    (outcome.call, kind)
                }
                Frame::Intent(call) => (call, KnownKind::Intent),
                Frame::Settled(settled) => {
                    for seq in settled.errors {
                        let Some((key, occurrence)) = unsettled.get(&seq) else { continue };
                        if let Some(known) = claims.known(*key, *occurrence).filter(|known| known.seq == seq) {
                            known.kind = KnownKind::Answer;
                            claims.unclaimed += 1;
                        }
                    }
                    continue;
                }
                Frame::Now(now) => {
                    let nth = now.occurrence as usize;
                    if nth >= claims.nows.len() {
                        claims.nows.resize(nth + 1, None);
                    }
                    claims.nows[nth] = Some(now.unix_ms);
                    continue;
                }
                Frame::End(_) => continue,
            };
            if call.place.max(call.occurrence).max(call.number) > MAX_CALLS {
                return Err(Malformed("a call over the bound of an execution's calls"));
            }
            let base = if call.label.is_empty() { call.checkpoint } else { call.label };
            claims.names.take(base, call.number);
            claims.checkpoint(call.checkpoint).set_place(call.place, (call.key, call.occurrence));
            let known = Known { at, seq, source: call.source, kind, claimed: false };
            // A later record of the same call stands for the earlier: it was made because that one did not count.
            let replaced = claims.keys.entry(call.key).or_default().set(call.occurrence, known);
            if replaced.is_some_and(|known| known.kind == KnownKind::Answer) {
                claims.unclaimed -= 1;
            }
            if kind == KnownKind::Answer {
                claims.unclaimed += 1;
            }
        }
        Ok(claims)
    }

    /// Claims the record that answers a call, if there is one, and the call's name.
    pub(crate) fn claim(&mut self, asked: &Asked<'_>, journal: &Journal) -> Result<Claim, Refused> {
        let checkpoint = self.checkpoint(asked.checkpoint);
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
        let occurrences = self.keys.entry(asked.key).or_default();
        let occurrence = occurrences.made;
        occurrences.made += 1;
        let standing = match occurrences.get(occurrence) {
            None => Standing::New,
            Some(known) => {
                known.claimed = true;
                match known.kind {
                    KnownKind::Answer => {
                        self.unclaimed -= 1;
                        if asked.only_source.is_some_and(|source| source != known.source) {
                            Standing::Again(known.at)
                        } else {
                            Standing::Recorded(known.at)
                        }
                    }
                    KnownKind::Unsettled => Standing::Again(known.at),
                    KnownKind::Intent => Standing::Interrupted(known.at),
                }
            }
        };
        let number = match standing {
            Standing::New => self.names.next(asked.checkpoint),
            Standing::Recorded(at) | Standing::Again(at) | Standing::Interrupted(at) => {
                journal.call(at).map_or(1, |call| call.number)
            }
        };
        Ok(Claim { key: asked.key, occurrence, place, number, standing })
    }

    /// Gives a call that has no record another name than its checkpoint's.
    pub(crate) fn rename(&mut self, claim: &mut Claim, from: &str, to: &str) {
        if claim.standing == Standing::New {
            self.names.give_back(from, claim.number);
            claim.number = self.names.next(to);
        }
    }

    /// The record of the same checkpoint at the same place, if it answers another question and nobody claimed it.
    pub(crate) fn divergent(&mut self, checkpoint: &str, claim: &Claim) -> Option<RecordIx> {
        let (key, occurrence) = (*self.checkpoints.get(checkpoint)?.places.get(claim.place as usize)?)?;
        let known = self.known(key, occurrence)?;
        (key != claim.key && known.kind == KnownKind::Answer && !known.claimed).then_some(known.at)
    }

    /// What `now` gave here before, and how often it was asked before.
    pub(crate) fn now(&mut self) -> (u32, Option<u64>) {
        let nth = self.nows_asked;
        self.nows_asked += 1;
        (nth, self.nows.get(nth as usize).copied().flatten())
    }

    /// Whether every record that answers has been claimed: the journal's end.
    pub(crate) fn all_claimed(&self) -> bool {
        self.unclaimed == 0
    }

    fn checkpoint(&mut self, name: &str) -> &mut Checkpoint {
        if !self.checkpoints.contains_key(name) {
            self.checkpoints.insert(name.into(), Checkpoint::default());
        }
        self.checkpoints.get_mut(name).expect("the checkpoint was inserted above")
    }

    fn known(&mut self, key: Key, occurrence: u32) -> Option<&mut Known> {
        self.keys.get_mut(&key)?.get(occurrence)
    }
}

impl Claim {
    /// The visible name of a call that goes by this base.
    pub(crate) fn name(&self, base: &str) -> String {
        visible_name(base, self.number)
    }
}

impl Checkpoint {
    fn set_place(&mut self, place: u32, record: (Key, u32)) {
        let place = place as usize;
        if place >= self.places.len() {
            self.places.resize(place + 1, None);
        }
        self.places[place] = Some(record);
    }
}

impl Occurrences {
    fn get(&mut self, occurrence: u32) -> Option<&mut Known> {
        match occurrence.checked_sub(1) {
            None => self.first.as_mut(),
            Some(nth) => self.more.get_mut(nth as usize)?.as_mut(),
        }
    }

    /// Gives what stood there before.
    fn set(&mut self, occurrence: u32, known: Known) -> Option<Known> {
        let Some(nth) = occurrence.checked_sub(1) else { return self.first.replace(known) };
        let nth = nth as usize;
        if nth >= self.more.len() {
            self.more.resize(nth + 1, None);
        }
        self.more[nth].replace(known)
    }
}

/// A key is a digest: its first bytes are as good a hash as any.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The derived `Hash` of an array says its length first.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
