//! A redb file that is read and never written. Owns what redb would write to it while it opens it after a kill, in memory;
//! must not know what is in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::redb::StorageBackend;
use ::redb::backends::FileBackend;

/// How much of a file one piece is, in memory.
const PIECE: u64 = 4_096;

/// A file, and in memory what has been written over it.
#[derive(Debug)]
pub(super) struct ReadOnly {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    bytes: u64,
    /// How much of the file counts: what was cut off once is zeros when it is there again.
    file_bytes: u64,
    /// Whole pieces, by their place in the file divided by their size.
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl ReadOnly {
    pub(super) fn of(file: File) -> io::Result<Self> {
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        let bytes = file.len()?;
        Ok(ReadOnly { file, written: Mutex::new(Written { bytes, file_bytes: bytes, pieces: BTreeMap::new() }) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece as it is now; what is behind the end of the file is zeros.
    fn piece(&self, written: &Written, nth: u64) -> io::Result<Vec<u8>> {
        if let Some(piece) = written.pieces.get(&nth) {
            return Ok(piece.clone());
        }
        let mut piece = vec![0; PIECE as usize];
        let there = written.file_bytes.saturating_sub(nth * PIECE).min(PIECE);
        self.file.read(nth * PIECE, &mut piece[..there as usize])?;
        Ok(piece)
    }
}

/// The pieces of a range of bytes: each with its number, its part of the range, and its own part.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = offset + from as u64;
        let inside = (at % PIECE) as usize;
        let taken = (length - from).min(PIECE as usize - inside);
        let piece = (at / PIECE, from..from + taken, inside..inside + taken);
        from += taken;
        (taken > 0).then_some(piece)
    })
}

impl StorageBackend for ReadOnly {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset + out.len() as u64 > written.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (nth, part, inside) in pieces(offset, out.len()) {
            out[part].copy_from_slice(&self.piece(&written, nth)?[inside]);
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut written = self.written();
        written.bytes = bytes;
        written.file_bytes = written.file_bytes.min(bytes);
        written.pieces.split_off(&bytes.div_ceil(PIECE));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (nth, part, inside) in pieces(offset, data.len()) {
            let mut piece = self.piece(&written, nth)?;
            piece[inside].copy_from_slice(&data[part]);
            written.pieces.insert(nth, piece);
        }
        Ok(())
    }
}
