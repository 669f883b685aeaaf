//! One file of a log. Owns that a write to it changes bytes of the file and nothing else: its blocks are there, with real zeros.
//! With the first write to a block the file system would write its own journal too. Must not know what is in it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::redb::StorageBackend;

use crate::store::disk::catching_up::Growth;
use crate::store::disk::frame::HEADER;

/// How large segments are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Those of a new log: a script's folder stays small.
    pub(super) least: u64,
    /// Those of one that is used much. Their rows are what redb catches up with in one commit, and what an opening may have to
    /// replay.
    pub(super) most: u64,
}

pub(super) const SIZES: Sizes = Sizes { least: 128 << 10, most: 4 << 20 };

/// By how much a segment that has been filled grows.
const GROWTH: u64 = 8;
/// How many zeros are written at a time.
const ZEROS: u64 = 128 << 10;

/// A file that a log writes to, from its start.
#[derive(Debug)]
pub(super) struct Segment {
    file: Box<dyn StorageBackend>,
    sizes: Sizes,
    bytes: AtomicU64,
    /// Whether the last write to it was synced. One that was not is not synced again before a frame of the next epoch is in it.
    is_sound: AtomicBool,
}

impl Segment {
    /// One that was made before. An empty file is a log without frames.
    ///
    /// # Errors
    ///
    /// With `UnexpectedEof` if the file was cut short, and with `FileTooLarge` if it is longer than a segment.
    pub(super) fn open(file: Box<dyn StorageBackend>, sizes: Sizes) -> io::Result<Self> {
        match file.len()? {
            0 => Self::make(file, sizes),
            bytes if bytes < sizes.least => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes if bytes > sizes.most => Err(io::ErrorKind::FileTooLarge.into()),
            bytes => Ok(Self::of(file, sizes, bytes)),
        }
    }

    /// One that holds nothing.
    pub(super) fn make(file: Box<dyn StorageBackend>, sizes: Sizes) -> io::Result<Self> {
        file.set_len(0)?;
        let segment = Self::of(file, sizes, 0);
        segment.grow_to(sizes.least)?;
        Ok(segment)
    }

    fn of(file: Box<dyn StorageBackend>, sizes: Sizes, bytes: u64) -> Self {
        Segment { file, sizes, bytes: AtomicU64::new(bytes), is_sound: AtomicBool::new(true) }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// All that is in it.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes()).map_err(io::Error::other)?];
        self.file.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes and makes durable.
    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.is_sound.store(false, Ordering::Release);
        self.file.write(at, bytes)?;
        self.file.sync_data()?;
        self.is_sound.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a frame of this many bytes has room in it, next to others.
    pub(super) fn takes(&self, bytes: u64) -> bool {
        bytes <= self.bytes() / 2
    }

    /// Makes it larger, if it is not large already. Only while nothing in it counts, and commits go to the other one.
    pub(super) fn grow(&self, growth: Growth) -> io::Result<()> {
        let bytes = match growth {
            Growth::Step => (self.bytes() * GROWTH).min(self.sizes.most),
            // What has no room in the largest one either gets none.
            Growth::For(frame) if frame <= self.sizes.most / 2 => (frame * 2).next_power_of_two().min(self.sizes.most),
            Growth::For(_) | Growth::None => return Ok(()),
        };
        if self.is_sound.load(Ordering::Acquire) { self.grow_to(bytes) } else { Ok(()) }
    }

    /// Leaves it as that of a new log: small, and without a frame at its start. Only while nothing in it counts. Not durable:
    /// what is in it has a number that redb has.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.file.write(0, &[0; HEADER])?;
        if self.bytes() > self.sizes.least {
            self.file.set_len(self.sizes.least)?;
            self.bytes.store(self.sizes.least, Ordering::Release);
        }
        Ok(())
    }

    fn grow_to(&self, bytes: u64) -> io::Result<()> {
        let now = self.bytes();
        if now >= bytes {
            return Ok(());
        }
        let zeros = vec![0; ZEROS as usize];
        let grown = (|| {
            self.file.set_len(bytes)?;
            let mut at = now;
            while at < bytes {
                let length = (bytes - at).min(ZEROS);
                self.file.write(at, &zeros[..length as usize])?;
                at += length;
            }
            self.file.sync_data()
        })();
        match grown {
            Ok(()) => self.bytes.store(bytes, Ordering::Release),
            // It is as usable as before. If it cannot be cut either, it is longer than it is used: the first error says why.
            Err(_) => drop(self.file.set_len(now)),
        }
        grown
    }
}
