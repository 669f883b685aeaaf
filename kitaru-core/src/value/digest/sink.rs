//! Where canonical bytes are written, and digested incrementally. Owns the stretches that are digested as one. Must not
//! know which part of a value is written.

use std::fmt;

use blake3::Hasher;
use serde::Serialize;
use serde::ser::{self, Error as _};

use super::byte;
use super::tag::{BYTE, FOLDED, NEGATIVE, NONE, UNIT, WORD};
use crate::value::depth::Depth;

/// The number of bytes after which the buffer is hashed: a large value is digested in a buffer that stays in the cache.
const SPILL: usize = 16 << 10;

/// The most bytes that [`length`] writes.
pub(super) const MAX_LEN_BYTES: usize = 10;

/// Writes a length, seven bits to a byte, the low ones first.
#[inline]
pub(super) fn length(len: usize, into: &mut impl FnMut(&[u8])) {
    let mut rest = len as u64;
    while rest >= 0x80 {
        into(&[rest as u8 | 0x80]);
        rest >>= 7;
    }
    into(&[rest as u8]);
}

/// The digest in the bytes that [`Sink::fold`] left.
pub(super) fn folded(bytes: &[u8]) -> &[u8; 32] {
    bytes.last_chunk().expect("a folded argument ends in 32 bytes of digest")
}

/// Which values write the same bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Equal values: the rule of every digest.
    #[default]
    Equal,
    /// Also values whose lists are in another order, as those of a set with a hand-written `Serialize` are.
    Reordered,
    /// Also values of the same parts with other texts or numbers; null JSON and no JSON; a null field and no field.
    Alike,
}

/// Why a value has no canonical bytes: the error of its `Serialize`.
#[derive(Debug)]
pub(super) struct NotCanonical(Box<str>);

impl fmt::Display for NotCanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotCanonical {}

impl ser::Error for NotCanonical {
    fn custom<T: fmt::Display>(message: T) -> Self {
        NotCanonical(message.to_string().into())
    }
}

/// Where canonical bytes are written.
#[derive(Default)]
pub(super) struct Sink {
    pub(super) likeness: Likeness,
    pub(super) depth: Depth,
    pub(super) bytes: Vec<u8>,
    stretch: Stretch,
}

/// The stretch of bytes that is digested as one: an argument, or an entry of a map in it.
#[derive(Default)]
pub(super) struct Stretch {
    start: usize,
    /// The part of it that has already left the buffer.
    spilled: Option<Box<Hasher>>,
}

impl Sink {
    pub(super) fn reset(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.stretch = Stretch::default();
    }

    /// Writes a whole value. If it is refused, nothing of it stays.
    pub(super) fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
        let start = self.bytes.len();
        self.stretch = Stretch { start, spilled: None };
        self.depth = Depth::default();
        let mut wrote = value.serialize(&mut *self);
        if wrote.is_ok() && self.stretch.start != start {
            wrote = Err(NotCanonical::custom("its Serialize begins an entry of a map and does not end it"));
        }
        if wrote.is_err() {
            self.bytes.truncate(start);
            self.stretch = Stretch { start, spilled: None };
        }
        wrote
    }

    /// Replaces the value written from `start` by its digest, if it is longer than `inline`.
    pub(super) fn fold(&mut self, start: usize, inline: usize) -> bool {
        if self.stretch.spilled.is_none() && self.bytes.len() - start <= inline {
            return false;
        }
        let digest = self.take_digest();
        self.byte(FOLDED);
        self.bytes.extend_from_slice(&digest);
        true
    }

    fn take_digest(&mut self) -> [u8; 32] {
        let Stretch { start, ref mut spilled } = self.stretch;
        let rest = &self.bytes[start..];
        let digest = match spilled.take() {
            None => blake3::hash(rest),
            Some(mut hasher) => hasher.update(rest).finalize(),
        };
        self.bytes.truncate(start);
        digest.into()
    }

    #[inline]
    pub(super) fn is_alike(&self) -> bool {
        self.likeness == Likeness::Alike
    }

    /// Whether lists in another order are the same.
    #[inline]
    pub(super) fn has_no_order(&self) -> bool {
        self.likeness != Likeness::Equal
    }

    /// Whether nothing but a null was written from `start`.
    pub(super) fn is_null(&self, start: usize) -> bool {
        matches!(self.bytes.get(start..), Some([UNIT] | [NONE]))
    }

    /// Writes a part that is digested on its own.
    pub(super) fn entry<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<u128, NotCanonical> {
        let outer = self.open();
        match value.serialize(&mut *self) {
            Ok(()) => Ok(self.close(outer)),
            Err(why) => {
                self.abandon(outer);
                Err(why)
            }
        }
    }

    /// Begins an entry. Returns the stretch that it interrupts.
    pub(super) fn open(&mut self) -> Stretch {
        std::mem::replace(&mut self.stretch, Stretch { start: self.bytes.len(), spilled: None })
    }

    /// Ends the entry, removes its bytes, and continues the stretch around it. Returns a number, which sorts faster.
    pub(super) fn close(&mut self, outer: Stretch) -> u128 {
        let digest = self.take_digest();
        self.stretch = outer;
        u128::from_be_bytes(*digest.first_chunk().expect("32 is more than 16"))
    }

    pub(super) fn abandon(&mut self, outer: Stretch) {
        self.bytes.truncate(self.stretch.start);
        self.stretch = outer;
    }

    pub(super) fn entries(&mut self, tag: u8, mut entries: Vec<u128>) {
        entries.sort_unstable();
        self.byte(tag);
        length(entries.len(), &mut |bytes| self.bytes.extend_from_slice(bytes));
        for entry in entries {
            self.bytes.extend_from_slice(&entry.to_be_bytes());
            self.settle();
        }
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self, tag: u8, content: [u8; N]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&content);
    }

    #[inline]
    pub(super) fn sized(&mut self, tag: u8, content: &[u8]) {
        self.byte(tag);
        length(content.len(), &mut |bytes| self.bytes.extend_from_slice(bytes));
        if content.len() < SPILL {
            self.bytes.extend_from_slice(content);
        } else {
            self.spill().update(content);
        }
    }

    #[inline]
    pub(super) fn unsigned(&mut self, value: u64) {
        if self.is_alike() {
            return self.byte(WORD);
        }
        match u8::try_from(value) {
            Ok(byte) => self.bytes.extend_from_slice(&[BYTE, byte]),
            Err(_) => self.fixed(WORD, value.to_le_bytes()),
        }
    }

    #[inline]
    pub(super) fn signed(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.unsigned(value),
            Err(_) if self.is_alike() => self.byte(WORD),
            Err(_) => self.fixed(NEGATIVE, value.to_le_bytes()),
        }
    }

    pub(super) fn others(&mut self, items: impl Iterator<Item: Serialize>) -> Result<(), NotCanonical> {
        for item in items {
            item.serialize(&mut *self)?;
            self.settle();
        }
        Ok(())
    }

    /// As [`others`](Self::others), but faster if the items are `u8`s: the buffer's length changes once for many.
    pub(super) fn bytes_then_others(&mut self, mut items: impl Iterator<Item: Serialize>) -> Result<(), NotCanonical> {
        loop {
            let mut block = [[BYTE, 0]; 256];
            let mut used = 0;
            let other = loop {
                if used == block.len() {
                    break None;
                }
                match items.next() {
                    None => {
                        self.bytes.extend_from_slice(block[..used].as_flattened());
                        return Ok(());
                    }
                    Some(item) => match byte::of(&item) {
                        Some(byte) => block[used][1] = byte,
                        None => break Some(item),
                    },
                }
                used += 1;
            };
            self.bytes.extend_from_slice(block[..used].as_flattened());
            self.settle();
            if let Some(other) = other {
                other.serialize(&mut *self)?;
                return self.others(items);
            }
        }
    }

    /// Must be called after each part of anything that can be long.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.bytes.len() - self.stretch.start >= SPILL {
            self.spill();
        }
    }

    #[cold]
    fn spill(&mut self) -> &mut Hasher {
        let Stretch { start, ref mut spilled } = self.stretch;
        let hasher = spilled.get_or_insert_with(Box::default);
        hasher.update(&self.bytes[start..]);
        self.bytes.truncate(start);
        hasher
    }
}
