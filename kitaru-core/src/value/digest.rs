//! What a call's arguments come to: canonical bytes, and the key and short digests taken of them. Owns which values
//! count as equal. Must not know what a checkpoint, a record or a codec is.
//!
//! A digest is stored and compared by processes built at other times, for other platforms, so it depends on no pointer,
//! no width of `usize` and no layout. Equal are:
//!
//! - the same number in another integer width, signed or not; the same float as `f32` and as `f64`; all NaNs. `0.0` and
//!   `-0.0` differ.
//! - maps, and std's and hashbrown's `HashSet`, whatever the order of their entries;
//! - structs of the same fields, names and order of the declaration included, whatever the struct is called;
//! - tuples, arrays, slices and lists of the same elements. Bytes that serde is shown as bytes differ from a list of
//!   numbers.
//!
//! Of a text counts all but the backtrace of an error that was [rebuilt](backtrace). A value that is nested too deep has
//! no bytes.
//!
//! A set whose `Serialize` is hand-written, or that comes through `erased_serde`, reaches serde as a list, and its order
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

/// An argument whose canonical bytes are longer stands in the list as their digest, so that the list stays small
/// however large the arguments are.
const INLINE: usize = 1024;

/// Above this, a buffer is given back instead of kept for the next call.
const KEEP: usize = 256 << 10;

/// The canonical bytes of a list of arguments. Meant to be kept and [cleared](Self::clear), which keeps its buffer.
#[derive(Default)]
pub(crate) struct Canon {
    sink: Sink,
    /// Where each argument ends in the sink.
    args: Vec<Written>,
}

/// One argument in the list.
struct Written {
    end: usize,
    /// The digest that stands for it, where it was too long to stand there itself.
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
    /// What `T`'s `Serialize` refuses. The argument then counts as an empty one.
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

    /// One short digest for each argument, by which to say which of them differs.
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

/// The digest of some parts, each under its length, so that no two lists of parts run into each other.
pub(crate) fn digest_parts(parts: &[&[u8]]) -> Key {
    digest(parts, &[])
}

/// Whether two values have the same canonical bytes. A value that cannot be serialized is like no other.
pub(crate) fn same<A: Serialize + ?Sized, B: Serialize + ?Sized>(a: &A, b: &B) -> bool {
    Likened::of(a, Likeness::Equal).is_ok_and(|mut a| a.is(b))
}

/// Whether two values have the same parts, with texts and numbers that may be others.
pub(crate) fn alike<A: Serialize + ?Sized, B: Serialize + ?Sized>(a: &A, b: &B) -> bool {
    Likened::of(a, Likeness::Alike).is_ok_and(|mut a| a.is(b))
}

/// Whether two values are the same but for the order of lists.
pub(crate) fn same_in_any_order<A: Serialize + ?Sized, B: Serialize + ?Sized>(a: &A, b: &B) -> bool {
    Likened::of(a, Likeness::Reordered).is_ok_and(|mut a| a.is(b))
}

/// The canonical bytes of a value, and room for those of others that it is compared with.
pub(crate) struct Likened {
    canon: Canon,
}

thread_local! {
    // Taken out while in use: a `Serialize` of the caller's may come back here.
    static SCRATCH: Cell<Option<Canon>> = const { Cell::new(None) };
}

impl Likened {
    /// # Errors
    ///
    /// What the value's `Serialize` refuses, or that it is nested too deep: nothing else may write it before this has.
    pub(crate) fn exactly<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Self::of(value, Likeness::Equal)
    }

    fn of<T: Serialize + ?Sized>(value: &T, likeness: Likeness) -> Result<Self, Error> {
        let mut likened = Likened { canon: SCRATCH.take().unwrap_or_default() };
        likened.canon.sink.likeness = likeness;
        likened.canon.arg(value)?;
        Ok(likened)
    }

    /// Whether another value has the same bytes. One that cannot be serialized has not.
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
    // The hasher's state is 2 KB: where everything fits on the stack, one call over it is three times as fast.
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
