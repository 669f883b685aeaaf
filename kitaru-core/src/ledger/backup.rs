//! The bytes of a backup. Owns that a truncated or damaged one is noticed; must not know what its rows mean, nor where they are kept.
//!
//! A backup is a stream of rows, each with the number of its table, in the order of tables and keys. They come in blocks, each
//! with checksums, and the end has the digest of all before it. `docs/format.md` describes every byte.

use std::io::{self, Read, Write};

use crate::error::{Error, Kind, cannot};
use crate::journal::{Put as _, Take};

const MAGIC: &[u8; 8] = b"kitaruBK";
/// The version of the stream.
const VERSION: u32 = 1;
/// The version of the rows in it: the format of a store.
const ROWS: u32 = 2;
const HEADER: usize = 28;
const BLOCK_HEADER: usize = 12;
/// A block ends with the row that makes it this long.
const BLOCK: usize = 1 << 20;

/// A row of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupRow {
    pub(crate) table: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// How much a backup holds. See [`Kitaru::backup`](crate::Kitaru::backup).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    rows: u64,
    bytes: u64,
}

impl Backup {
    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes the whole backup has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Writes a backup.
pub(crate) struct BackupWriter<W> {
    out: Hashed<W>,
    block: Vec<u8>,
    rows: u64,
}

impl<W: Write> BackupWriter<W> {
    pub(crate) fn begin(out: W, now_ms: u64) -> io::Result<Self> {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&ROWS.to_le_bytes());
        header.extend_from_slice(&now_ms.to_le_bytes());
        let checksum = crc32fast::hash(&header);
        header.extend_from_slice(&checksum.to_le_bytes());
        let mut out = Hashed::new(out);
        out.write(&header)?;
        Ok(BackupWriter { out, block: Vec::new(), rows: 0 })
    }

    pub(crate) fn row(&mut self, table: u8, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.rows += 1;
        self.block.push(table);
        for part in [key, value] {
            self.block.put_varint(part.len() as u64);
            self.block.extend_from_slice(part);
        }
        if self.block.len() >= BLOCK { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.out.write(&block_header(&self.block)?)?;
        self.out.write(&self.block)?;
        self.block.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<Backup> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        // A block without rows ends the backup.
        self.out.write(&block_header(&[])?)?;
        self.out.write(&self.rows.to_le_bytes())?;
        let digest = self.out.digest();
        self.out.write(&digest)?;
        self.out.inner.flush()?;
        Ok(Backup { rows: self.rows, bytes: self.out.bytes })
    }
}

fn block_header(block: &[u8]) -> io::Result<[u8; BLOCK_HEADER]> {
    let length = u32::try_from(block.len()).map_err(|_| io::Error::other("a row is too large for a backup"))?;
    let mut header = [0; BLOCK_HEADER];
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..8].copy_from_slice(&crc32fast::hash(block).to_le_bytes());
    let checksum = crc32fast::hash(&header[..8]);
    header[8..].copy_from_slice(&checksum.to_le_bytes());
    Ok(header)
}

/// Reads a backup.
pub(crate) struct BackupReader<R> {
    input: Hashed<R>,
    rows: u64,
    /// The last row, for the order.
    last: Option<(u8, Vec<u8>)>,
}

impl<R: Read> BackupReader<R> {
    /// # Errors
    ///
    /// When it is not a backup, of a newer version, or damaged.
    pub(crate) fn begin(input: R) -> Result<Self, Error> {
        let mut input = Hashed::new(input);
        let header = input.read_array::<HEADER>()?;
        if !header.starts_with(MAGIC) {
            return Err(cannot!(
                Kind::Misuse,
                "read the backup",
                "it is not one of Kitaru's",
                "name a file that `kitaru backup` wrote"
            ));
        }
        if u32_at(&header, 24) != crc32fast::hash(&header[..24]) {
            return Err(damaged("its header is damaged"));
        }
        let (version, rows) = (u32_at(&header, 8), u32_at(&header, 12));
        if version > VERSION || rows > ROWS {
            return Err(cannot!(
                Kind::Store,
                "read the backup",
                "it has version {version} and rows of format {rows}, which a later Kitaru wrote",
                "update Kitaru"
            ));
        }
        Ok(BackupReader { input, rows: 0, last: None })
    }

    /// The rows of the next block; none behind the last, once the digest of all is right.
    pub(crate) fn block(&mut self) -> Result<Option<Vec<BackupRow>>, Error> {
        let header = self.input.read_array::<BLOCK_HEADER>()?;
        if u32_at(&header, 8) != crc32fast::hash(&header[..8]) {
            return Err(damaged("a block in it is damaged"));
        }
        let length = u32_at(&header, 0);
        if length == 0 {
            return self.end().map(|()| None);
        }
        let block = self.input.read_some(length.into())?;
        if u32_at(&header, 4) != crc32fast::hash(&block) {
            return Err(damaged("a block in it is damaged"));
        }
        let rows = read_rows(&block).ok_or_else(|| damaged("a row in it is malformed"))?;
        for row in &rows {
            let this = (row.table, &row.key);
            if self.last.as_ref().is_some_and(|(table, key)| (*table, key) >= this) {
                return Err(damaged("its rows are out of order"));
            }
            self.last = Some((row.table, row.key.clone()));
        }
        self.rows += rows.len() as u64;
        Ok(Some(rows))
    }

    fn end(&mut self) -> Result<(), Error> {
        let rows = u64::from_le_bytes(self.input.read_array()?);
        let digest = self.input.digest();
        if self.input.read_array::<32>()? != digest || rows != self.rows {
            return Err(damaged("its digest does not fit"));
        }
        let mut more = [0];
        match self.input.inner.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(damaged("something follows its end")),
            Err(why) => Err(unreadable(why)),
        }
    }

    /// What was read, once there are no more blocks.
    pub(crate) fn total(&self) -> Backup {
        Backup { rows: self.rows, bytes: self.input.bytes }
    }
}

fn read_rows(block: &[u8]) -> Option<Vec<BackupRow>> {
    let mut take = Take(block);
    let mut rows = Vec::new();
    while !take.0.is_empty() {
        let table = take.u8().ok()?;
        let mut part = || Some(take.bytes().ok()?.to_vec());
        rows.push(BackupRow { table, key: part()?, value: part()? });
    }
    Some(rows)
}

/// A stream, with the digest of what passed.
struct Hashed<S> {
    inner: S,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<S> Hashed<S> {
    fn new(inner: S) -> Self {
        Hashed { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn digest(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

impl<W: Write> Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pass(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Hashed<R> {
    fn read_array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        self.inner.read_exact(&mut array).map_err(unreadable)?;
        self.pass(&array);
        Ok(array)
    }

    /// No more is in memory than there is.
    fn read_some(&mut self, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = self.inner.by_ref().take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        if (read as u64) < length {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        self.pass(&bytes);
        Ok(bytes)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the length is fixed"))
}

fn damaged(what: &str) -> Error {
    cannot!(Kind::Store, "read the backup", "{what}", "use another one")
}

fn unreadable(why: io::Error) -> Error {
    match why.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut short"),
        _ => cannot!(Kind::Store, "read the backup", "the system does not give it", "check its disk").because(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[BackupRow]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = BackupWriter::begin(&mut bytes, 7).unwrap();
        for BackupRow { table, key, value } in rows {
            writer.row(*table, key, value).unwrap();
        }
        let total = writer.finish().unwrap();
        assert_eq!((total.rows(), total.bytes()), (rows.len() as u64, bytes.len() as u64));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<BackupRow>, Error> {
        let (mut reader, mut rows) = (BackupReader::begin(bytes)?, Vec::new());
        while let Some(block) = reader.block()? {
            rows.extend(block);
        }
        assert_eq!((reader.total().rows(), reader.total().bytes()), (rows.len() as u64, bytes.len() as u64));
        Ok(rows)
    }

    fn rows() -> Vec<BackupRow> {
        let row = |table, key: u32, bytes| BackupRow { table, key: key.to_be_bytes().to_vec(), value: vec![1; bytes] };
        vec![row(0, 9, 0), row(4, 1, 300), row(4, 2, 7), row(8, 1, 0)]
    }

    #[test]
    fn backup_gives_its_rows_back_in_any_number_of_blocks() {
        assert_eq!(read(&written(&[])).unwrap(), []);
        assert_eq!(read(&written(&rows())).unwrap(), rows());
        let many: Vec<_> = (0..30u8).map(|n| BackupRow { table: 4, key: vec![n], value: vec![n; BLOCK / 4] }).collect();
        assert_eq!(read(&written(&many)).unwrap(), many);
    }

    #[test]
    fn backup_that_is_cut_short_or_continues_is_refused() {
        let whole = written(&rows());
        for length in 0..whole.len() {
            let why = read(&whole[..length]).unwrap_err().to_string();
            assert!(why.contains("cut short"), "{length}: {why}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(read(&longer).unwrap_err().to_string().contains("follows its end"));
    }

    #[test]
    fn backup_with_any_bit_flipped_is_refused() {
        let whole = written(&rows());
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn backup_of_other_blocks_or_rows_out_of_order_is_refused() {
        let mut swapped = rows();
        swapped.swap(1, 2);
        assert!(read(&written(&swapped)).unwrap_err().to_string().contains("out of order"));
        assert!(read(b"0123456789012345678901234567890").unwrap_err().is_misuse());
        let mut newer = written(&rows());
        newer[8] = 2;
        let checksum = crc32fast::hash(&newer[..24]);
        newer[24..28].copy_from_slice(&checksum.to_le_bytes());
        assert!(read(&newer).unwrap_err().to_string().contains("update Kitaru"));
    }
}
