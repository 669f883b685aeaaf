//! The records of each key. Owns how they are found: most calls ask for the record after the last one. Must not know
//! the use of a record.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::journal::CallKind;
use crate::machine::journal::RecordIx;
use crate::machine::sparse::Sparse;
use crate::value::Key;

/// The keys of a journal and of this attempt's calls, in the order in which they first appeared.
#[derive(Default)]
pub(super) struct Keys {
    places: HashMap<Key, u32, BuildHasherDefault<KeyHasher>>,
    entries: Vec<Entry>,
    /// The entry after the last one found: a replay asks for one after another, and finds them without a search.
    next: usize,
}

struct Entry {
    key: Key,
    occurrences: Occurrences,
}

/// The records of one key, by occurrence. Nearly every key has one.
#[derive(Default)]
pub(super) struct Occurrences {
    made: u32,
    first: Option<Known>,
    more: Sparse<Known>,
}

/// A record that a call may ask for.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) at: RecordIx,
    pub(super) number: u32,
    pub(super) kind: CallKind,
    pub(super) claimed: bool,
}

impl Keys {
    pub(super) fn reserve(&mut self, count: usize) {
        self.places.reserve(count);
        self.entries.reserve(count);
    }

    /// The records of a key. Adds the key if it is new.
    pub(super) fn of(&mut self, key: Key) -> &mut Occurrences {
        let guess = self.next;
        let place = if self.entries.get(guess).is_some_and(|entry| entry.key == key) {
            guess
        } else {
            // An attempt makes at most `MAX_CALLS` calls, and a journal is loaded whole: they are fewer than `u32` holds.
            let new = self.entries.len() as u32;
            let place = *self.places.entry(key).or_insert(new);
            if place == new {
                self.entries.push(Entry { key, occurrences: Occurrences::default() });
            }
            place as usize
        };
        self.next = place + 1;
        &mut self.entries[place].occurrences
    }

    /// The records of a key, if it has appeared.
    pub(super) fn known(&mut self, key: Key) -> Option<&mut Occurrences> {
        let place = *self.places.get(&key)?;
        Some(&mut self.entries[place as usize].occurrences)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All records that a call may ask for.
    pub(super) fn all(&self) -> impl Iterator<Item = &Known> + Clone {
        let occurrences = self.entries.iter().map(|entry| &entry.occurrences);
        occurrences.flat_map(|of_key| of_key.first.iter().chain(of_key.more.values()))
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.entries.iter().map(|entry| 1 + entry.occurrences.more.room()).sum()
    }

    /// The calls of this attempt begin. The first one probably asks for the first record.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }
}

impl Occurrences {
    /// Counts a call. Returns how many were made before it.
    pub(super) fn make(&mut self) -> u32 {
        self.made += 1;
        self.made - 1
    }

    pub(super) fn get(&mut self, occurrence: u32) -> Option<&mut Known> {
        match occurrence.checked_sub(1) {
            None => self.first.as_mut(),
            Some(nth) => self.more.get_mut(nth),
        }
    }

    /// Returns the previous value.
    pub(super) fn set(&mut self, occurrence: u32, known: Known) -> Option<Known> {
        match occurrence.checked_sub(1) {
            None => self.first.replace(known),
            Some(nth) => self.more.set(nth, known),
        }
    }
}

/// A key is a digest, so its first bytes are a good hash.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The derived `Hash` of an array writes its length first.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
