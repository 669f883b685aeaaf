//! The digests of a call's arguments: canonical bytes, and the key and short digests taken of them. Owns which values
//! count as equal. Must not know what a checkpoint, a record or a codec is.
//!
//! A digest is stored, and compared by processes of other builds on other platforms. So it depends on no pointer, no
//! width of `usize` and no layout. These are equal:
//!
//! - the same number in another integer width, signed or not; the same float as `f32` and as `f64`; all NaNs. `0.0` and
//!   `-0.0` differ;
//! - maps, and std's and hashbrown's `HashSet`, in any order of their entries;
//! - structs with the same fields in the same order, with any name of the struct;
//! - tuples, arrays, slices and lists of the same elements. Bytes that serde receives as bytes differ from a list of
//!   numbers.
//!
//! All of a text counts, except the backtrace of an error that was [rebuilt](backtrace). A value that is nested too
//! deep has no bytes.
//!
//! A set whose `Serialize` is hand-written, or that goes through `erased_serde`, reaches serde as a list, so its order
//! counts.

mod backtrace;
mod byte;
mod canonical;
mod sink;
mod tag;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use blake3::Hasher;
use serde::Serialize;

use crate::error::{Error, Kind};
use sink::{Likeness, Sink};

/// What decides whether a record answers a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) [u8; 16]);

impl Key {
    /// As 32 hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An argument with longer canonical bytes is replaced by their digest in the list, so that the list stays small.
const INLINE: usize = 1024;

/// A larger buffer is freed instead of kept for the next call.
const KEEP: usize = 256 << 10;

/// The canonical bytes of a list of arguments. Keep and [clear](Self::clear) it to reuse its buffer.
#[derive(Default)]
pub(crate) struct Canon {
    sink: Sink,
    /// The end of each argument in the sink.
    args: Vec<Written>,
}

/// One argument in the list.
struct Written {
    end: usize,
    /// Whether the argument was too long and is represented by its digest.
    folded: bool,
}

impl Canon {
    /// Forgets the arguments.
    pub(crate) fn clear(&mut self) {
        self.args.clear();
        self.sink.reset(KEEP);
    }

    /// Adds the next argument.
    ///
    /// # Errors
    ///
    /// The error of `T`'s `Serialize`. The argument then counts as an empty one.
    pub(crate) fn arg<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let start = self.sink.bytes.len();
        let wrote = self.sink.write(value);
        let folded = wrote.is_ok() && self.sink.fold(start, INLINE);
        self.args.push(Written { end: self.sink.bytes.len(), folded });
        wrote.map_err(|why| Error::new(Kind::Unreadable, why))
    }

    /// The key of `parts` (a checkpoint's name, its version) with these arguments.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        digest(parts, &self.sink.bytes)
    }

    /// One short digest for each argument, to find out which of them differs.
    pub(crate) fn shorts(&self) -> Vec<u64> {
        (0..self.args.len())
            .map(|nth| {
                let bytes = self.nth(nth);
                match self.args[nth].folded {
                    true => first_eight(sink::folded(bytes)),
                    false => first_eight(blake3::hash(bytes).as_bytes()),
                }
            })
            .collect()
    }

    /// Forgets the last argument.
    fn forget_last(&mut self) {
        self.args.pop();
        let end = self.args.last().map_or(0, |before| before.end);
        self.sink.bytes.truncate(end);
    }

    fn nth(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.args[before].end);
        &self.sink.bytes[start..self.args[nth].end]
    }
}

/// The digest of some parts, each after its length, so that different lists of parts differ.
pub(crate) fn digest_parts(parts: &[&[u8]]) -> Key {
    digest(parts, &[])
}

/// Whether two values have the same canonical bytes. A value that cannot be serialized equals no other.
pub(crate) fn same<A: Serialize + ?Sized, B: Serialize + ?Sized>(a: &A, b: &B) -> bool {
    Likened::of(a, Likeness::Equal).is_ok_and(|mut a| a.is(b))
}

/// Whether two values have the same parts, although texts and numbers may differ.
pub(crate) fn alike<A: Serialize + ?Sized, B: Serialize + ?Sized>(a: &A, b: &B) -> bool {
    Likened::of(a, Likeness::Alike).is_ok_and(|mut a| a.is(b))
}

/// Whether two values are the same except for the order of lists.
pub(crate) fn same_in_any_order<A: Serialize + ?Sized, B: Serialize + ?Sized>(a: &A, b: &B) -> bool {
    Likened::of(a, Likeness::Reordered).is_ok_and(|mut a| a.is(b))
}

/// The canonical bytes of a value, and room for those of the values that it is compared with.
pub(crate) struct Likened {
    canon: Canon,
}

thread_local! {
    // Taken out while in use: a `Serialize` of the user's may call this again.
    static SCRATCH: Cell<Option<Canon>> = const { Cell::new(None) };
}

impl Likened {
    /// # Errors
    ///
    /// The error of the value's `Serialize`, or that it is nested too deep. No other serializer may write the value
    /// before this one.
    pub(crate) fn exactly<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Self::of(value, Likeness::Equal)
    }

    fn of<T: Serialize + ?Sized>(value: &T, likeness: Likeness) -> Result<Self, Error> {
        let mut likened = Likened { canon: SCRATCH.take().unwrap_or_default() };
        likened.canon.sink.likeness = likeness;
        likened.canon.arg(value)?;
        Ok(likened)
    }

    /// Whether another value has the same bytes. False if it cannot be serialized.
    pub(crate) fn is<T: Serialize + ?Sized>(&mut self, other: &T) -> bool {
        let is = self.canon.arg(other).is_ok() && self.canon.nth(0) == self.canon.nth(self.canon.args.len() - 1);
        self.canon.forget_last();
        is
    }
}

impl Drop for Likened {
    fn drop(&mut self) {
        let mut canon = std::mem::take(&mut self.canon);
        canon.clear();
        SCRATCH.set(Some(canon));
    }
}

/// The number that the first eight bytes of a digest are.
pub(super) fn first_eight(digest: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

fn digest(parts: &[&[u8]], tail: &[u8]) -> Key {
    let size = parts.iter().map(|part| part.len() + sink::MAX_LEN_BYTES).sum::<usize>() + tail.len();
    let mut small = [0; 256];
    // The hasher's state is 2 KB: if everything fits on the stack, one call over it is three times as fast.
    let digest = if size + sink::MAX_LEN_BYTES <= small.len() {
        let mut used = 0;
        feed(parts, tail, |bytes| {
            small[used..used + bytes.len()].copy_from_slice(bytes);
            used += bytes.len();
        });
        blake3::hash(&small[..used])
    } else {
        let mut hasher = Hasher::new();
        feed(parts, tail, |bytes| {
            hasher.update(bytes);
        });
        hasher.finalize()
    };
    let mut key = [0; 16];
    key.copy_from_slice(&digest.as_bytes()[..16]);
    Key(key)
}

fn feed(parts: &[&[u8]], tail: &[u8], mut into: impl FnMut(&[u8])) {
    sink::length(parts.len(), &mut into);
    for part in parts {
        sink::length(part.len(), &mut into);
        into(part);
    }
    into(tail);
}
