//! The primitives of the project's own formats: numbers, texts and byte strings, to bytes and back. Owns the encoding;
//! must not know what is encoded.
//!
//! Numbers are LEB128 varints (as in DWARF 5, section 7.6) where they are usually small and little endian where they
//! are not. A text is its length in bytes as a varint, then UTF-8.

use std::str;

/// Why bytes are invalid. The checksum of a row finds damage earlier, so this is a format of a newer version or a
/// mistake in Kitaru.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

pub(crate) trait Put {
    fn put_u64(&mut self, number: u64);
    fn put_varint(&mut self, number: u64);
    fn put_text(&mut self, text: &str);
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u64(&mut self, number: u64) {
        self.extend_from_slice(&number.to_le_bytes());
    }

    fn put_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }

    fn put_text(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Reads from the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("a number over 64 bits"))
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("a number over 32 bits"))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text that is not UTF-8"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed("a length over the address space"))?;
        self.raw(length)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.raw(N)?;
        bytes.try_into().map_err(|_| Malformed("too few bytes"))
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (front, rest) = self.0.split_at_checked(length).ok_or(Malformed("too few bytes"))?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Refuses bytes that were not read.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes left over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                bytes.put_varint(number);
                bytes.put_u64(number);
                let mut take = Take(&bytes);
                assert_eq!(take.varint(), Ok(number));
                assert_eq!(take.u64(), Ok(number));
                assert_eq!(take.end(), Ok(()));
            }
        }
    }

    #[test]
    fn a_text_cut_short_and_an_endless_number_are_refused() {
        let mut bytes = Vec::new();
        bytes.put_text("tides");
        for length in 0..bytes.len() {
            assert!(Take(&bytes[..length]).text().is_err());
        }
        assert!(Take(&[0xff; 11]).varint().is_err());
    }
}
