//! The key of a row. Owns that short ones cost no allocation; must not know what they are made of.

use std::borrow::Borrow;
use std::fmt;

/// Enough for a journal's key, twice eight bytes, and no larger than the heap's variant.
const INLINE: usize = 22;

/// The bytes of a key, ordered bytewise. Up to 22 of them are kept without an allocation.
#[derive(Clone)]
pub struct RowKey(Repr);

#[derive(Clone)]
enum Repr {
    Inline { length: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl RowKey {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl<B: AsRef<[u8]>> From<B> for RowKey {
    fn from(key: B) -> Self {
        let key = key.as_ref();
        if key.len() > INLINE {
            return RowKey(Repr::Heap(key.into()));
        }
        let mut bytes = [0; INLINE];
        bytes[..key.len()].copy_from_slice(key);
        RowKey(Repr::Inline { length: key.len() as u8, bytes })
    }
}

impl Borrow<[u8]> for RowKey {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for RowKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for RowKey {}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RowKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().escape_ascii().fmt(f)
    }
}
