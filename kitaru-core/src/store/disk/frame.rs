//! The bytes of a log's frames: one frame is the rows of one commit. Must not know where in the log a frame is.
//!
//! docs/format.md describes them.

use crate::error::{Error, Kind, cannot};
use crate::store::disk::mark::{Mark, StoreId, first_chunk};
use crate::store::{Row, RowKey, Table};

/// What a frame begins with.
pub(super) const MAGIC: &[u8; 8] = b"kitaruLG";
pub(super) const HEADER: usize = 64;
/// Frames begin at multiples of this.
pub(super) const ALIGNED: usize = 8;

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LogFrameHeader {
    pub(super) store: StoreId,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    /// The running hash before this frame.
    pub(super) before: u64,
    payload_bytes: u32,
    payload_checksum: u32,
}

/// One whole frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFrame<'a> {
    pub(super) header: LogFrameHeader,
    /// The running hash after this frame.
    pub(super) hash: u64,
    /// With the bytes up to the next frame.
    pub(super) bytes: usize,
    payload: &'a [u8],
}

impl LogFrameHeader {
    fn bytes(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(MAGIC);
        put(&self.store);
        put(&self.epoch.to_le_bytes());
        put(&self.sequence.to_le_bytes());
        put(&self.before.to_le_bytes());
        put(&self.payload_bytes.to_le_bytes());
        put(&self.payload_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&header[..HEADER - 8]);
        header[HEADER - 8..HEADER - 4].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// The header at the start of these bytes, if there is one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let number = |at: usize| u64::from_le_bytes(first_chunk(&header[at..]));
        let short = |at: usize| u32::from_le_bytes(first_chunk(&header[at..]));
        let is_whole = header.starts_with(MAGIC)
            && header[HEADER - 4..] == [0; 4]
            && short(HEADER - 8) == crc32fast::hash(&header[..HEADER - 8]);
        is_whole.then(|| LogFrameHeader {
            store: first_chunk(&header[8..]),
            epoch: number(24),
            sequence: number(32),
            before: number(40),
            payload_bytes: short(48),
            payload_checksum: short(52),
        })
    }
}

/// The running hash after a frame. The header holds the checksum of the payload and the hash before.
fn hash(header: &[u8; HEADER]) -> u64 {
    u64::from_le_bytes(first_chunk(blake3::hash(header).as_bytes()))
}

/// How many bytes the frame of a commit has, its payload included.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBytes {
    pub(super) all: u64,
    payload: u32,
}

impl FrameBytes {
    /// Of a commit of these rows, of which nothing is copied.
    ///
    /// # Errors
    ///
    /// When the rows have 4 GiB or more.
    pub(super) fn of(rows: &[Row]) -> Result<Self, Error> {
        let mut bytes = 0;
        each_part(rows, |part| bytes += part.len() as u64);
        let Ok(payload) = u32::try_from(bytes) else {
            return Err(cannot!(
                Kind::TooLarge,
                "commit to the store",
                "its rows have {bytes} bytes, and one commit takes less than 4 GiB",
                "lower the bound of outcomes"
            ));
        };
        Ok(FrameBytes { all: (HEADER as u64 + bytes).next_multiple_of(ALIGNED as u64), payload })
    }
}

/// Writes the frame of the commit after `mark` in the place of what `buffer` holds; where the store is then.
pub(super) fn write(buffer: &mut Vec<u8>, mark: &Mark, bytes: FrameBytes, rows: &[Row]) -> Mark {
    buffer.clear();
    buffer.resize(HEADER, 0);
    each_part(rows, |part| buffer.extend_from_slice(part));
    let (header, mark) = next(mark, bytes, crc32fast::hash(&buffer[HEADER..]));
    buffer[..HEADER].copy_from_slice(&header);
    buffer.resize(buffer.len().next_multiple_of(ALIGNED), 0);
    mark
}

/// Where the store is after the commit after `mark`, whose frame is not written.
pub(super) fn mark_after(mark: &Mark, bytes: FrameBytes, rows: &[Row]) -> Mark {
    let mut checksum = crc32fast::Hasher::new();
    each_part(rows, |part| checksum.update(part));
    next(mark, bytes, checksum.finalize()).1
}

/// The header of the frame after `mark`, and where the store is then.
fn next(mark: &Mark, bytes: FrameBytes, payload_checksum: u32) -> ([u8; HEADER], Mark) {
    let header = LogFrameHeader {
        store: mark.store,
        epoch: mark.epoch,
        sequence: mark.sequence + 1,
        before: mark.hash,
        payload_bytes: bytes.payload,
        payload_checksum,
    };
    let bytes = header.bytes();
    (bytes, Mark { sequence: header.sequence, hash: hash(&bytes), ..*mark })
}

/// The parts of a payload, one after another.
fn each_part(rows: &[Row], mut take: impl FnMut(&[u8])) {
    for Row { table, key, value } in rows {
        take(&[*table as u8]);
        let key = key.as_bytes();
        take(Varint::of(key.len() as u64).bytes());
        take(key);
        match value {
            Some(value) => {
                take(Varint::of(value.len() as u64 + 1).bytes());
                take(value);
            }
            None => take(&[0]),
        }
    }
}

/// The frame at the start of these bytes, if there is a whole one.
pub(super) fn read(bytes: &[u8]) -> Option<LogFrame<'_>> {
    let header = LogFrameHeader::read(bytes)?;
    let payload = bytes[HEADER..].get(..header.payload_bytes as usize)?;
    (crc32fast::hash(payload) == header.payload_checksum).then(|| LogFrame {
        header,
        hash: hash(&first_chunk(bytes)),
        bytes: (HEADER + payload.len()).next_multiple_of(ALIGNED),
        payload,
    })
}

impl LogFrame<'_> {
    /// Where the store is after this frame.
    pub(super) fn mark(&self) -> Mark {
        let LogFrameHeader { store, epoch, sequence, .. } = self.header;
        Mark { store, epoch, sequence, hash: self.hash }
    }

    /// The rows of the commit. None where the payload does not hold rows: its checksum fits what was written, not what that means.
    pub(super) fn rows(&self) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        let mut left = self.payload;
        while let Some((table, rest)) = left.split_first() {
            left = rest;
            let table = *Table::ALL.get(usize::from(*table))?;
            let key_bytes = take_varint(&mut left)?;
            let key = take_bytes(&mut left, key_bytes)?;
            let value = match take_varint(&mut left)? {
                0 => None,
                more => Some(take_bytes(&mut left, more - 1)?.to_vec()),
            };
            rows.push(Row { table, key: RowKey::from(key), value });
        }
        Some(rows)
    }
}

/// A number as a varint.
struct Varint([u8; 10], usize);

impl Varint {
    fn of(mut number: u64) -> Self {
        let (mut bytes, mut length) = ([0; 10], 0);
        while number >= 0x80 {
            bytes[length] = number as u8 | 0x80;
            number >>= 7;
            length += 1;
        }
        bytes[length] = number as u8;
        Varint(bytes, length + 1)
    }

    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

fn take_varint(left: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = left.split_first()?;
        *left = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'a>(left: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = left.split_at_checked(usize::try_from(length).ok()?)?;
    *left = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(buffer: &mut Vec<u8>, mark: &Mark, rows: &[Row]) -> Mark {
        let bytes = FrameBytes::of(rows).unwrap();
        let next = super::write(buffer, mark, bytes, rows);
        assert_eq!((bytes.all, next), (buffer.len() as u64, mark_after(mark, bytes, rows)));
        next
    }

    fn rows() -> Vec<Row> {
        let row =
            |table, key: &[u8], value: Option<&[u8]>| Row { table, key: key.into(), value: value.map(<[u8]>::to_vec) };
        vec![
            row(Table::Journal, b"key", Some(b"value")),
            row(Table::Aside, b"", None),
            row(Table::Meta, &[7; 40], Some(b"")),
            row(Table::Memo, b"large", Some(&[1; 70_000])),
        ]
    }

    #[test]
    fn frame_is_read_as_it_was_written() {
        let mark = Mark { store: [3; 16], epoch: 4, sequence: 5, hash: 6 };
        let mut buffer = b"of the last one".to_vec();
        let next = write(&mut buffer, &mark, &rows());
        assert_eq!((next.store, next.epoch, next.sequence), ([3; 16], 4, 6));
        assert_eq!(buffer.len() % ALIGNED, 0);
        let frame = read(&buffer).unwrap();
        assert_eq!((frame.header.before, frame.bytes, frame.mark()), (6, buffer.len(), next));
        assert_eq!(frame.rows().unwrap(), rows());
        // What follows it is not a part of it.
        let whole = buffer.len();
        buffer.extend_from_slice(&[9; 100]);
        assert_eq!(read(&buffer).unwrap().bytes, whole);
    }

    #[test]
    fn frame_with_any_bit_flipped_or_cut_short_is_none() {
        let mark = Mark { store: [3; 16], epoch: 4, sequence: 5, hash: 6 };
        let mut buffer = Vec::new();
        write(&mut buffer, &mark, &rows()[..3]);
        let sealed = HEADER + read(&buffer).unwrap().payload.len();
        for bit in 0..sealed * 8 {
            let mut flipped = buffer.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_none(), "bit {bit}");
        }
        assert!((0..sealed).all(|length| read(&buffer[..length]).is_none()));
    }

    #[test]
    fn hash_differs_with_any_row_and_any_frame_before() {
        let mark = Mark { store: [3; 16], epoch: 4, sequence: 5, hash: 6 };
        let after = |mark: &Mark, rows: &[Row]| write(&mut Vec::new(), mark, rows).hash;
        let (one, all) = (after(&mark, &rows()[..1]), after(&mark, &rows()));
        let other = after(&Mark { hash: 7, ..mark }, &rows());
        assert!(one != all && all != other && one != other);
    }

    /// The zeros are never read, so that they take no memory.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn rows_of_4_gib_are_too_large_and_are_not_read() {
        let row = |bytes| Row { table: Table::Memo, key: b"large".into(), value: Some(vec![0; bytes]) };
        let mut rows: Vec<Row> = (0..64).map(|_| row(64 << 20)).collect();
        let error = FrameBytes::of(&rows).unwrap_err();
        assert!(error.is_too_large() && error.to_string().contains("less than 4 GiB"), "{error:#}");
        rows.pop();
        assert!(FrameBytes::of(&rows).unwrap().all > 63 * (64 << 20));
    }
}
