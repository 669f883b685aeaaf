//! A disk in memory, for tests: all writes and syncs of the files of a store, so that the power may be cut at any point of it.
//! Owns how it fails on demand, and what a power cut leaves; must not know why.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::redb::StorageBackend;

use crate::error::Error;
use crate::store::Disk;
use crate::store::disk::acknowledged::{Acknowledged, Medium};
use crate::store::disk::database::{builder, marked, raise, release};
use crate::store::disk::failure::{failed, guarded};
use crate::store::disk::mark::{Mark, Marked};
use crate::store::disk::opening::{StoreParts, admit, upgrade};
use crate::store::disk::redb::Redb;
use crate::store::disk::segment::{Segment, Sizes};

/// The redb file.
pub(super) const STORE: usize = 0;
/// The files of the log.
pub(super) const LOG: [usize; 2] = [1, 2];

/// Small, so that a few commits fill a segment.
pub(super) const SMALL: Sizes = Sizes { least: 2 << 10, most: 16 << 10 };

/// What a disk writes whole or not at all.
pub(super) const SECTOR: usize = 512;

/// What happened to a disk, in order.
#[derive(Clone, Debug)]
pub(super) enum DiskEvent {
    Bytes(usize, usize, Vec<u8>),
    Length(usize, usize),
    /// All before this is kept of a file.
    Sync(usize),
    /// A sync of it has failed: of what was written before, any part is kept, and no later sync keeps more.
    Lost(usize),
    /// The file `acknowledged` was overwritten. That is never synced.
    Beside(Vec<u8>),
    /// What the test wants to know of it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests of this module set marks"))]
    Mark(u64),
}

/// The bytes of a store's files, and of the file `acknowledged`.
pub(super) type PlatterFiles = ([Vec<u8>; 3], Vec<u8>);

impl DiskEvent {
    /// The file that it is about.
    pub(super) fn file(&self) -> Option<usize> {
        match self {
            DiskEvent::Bytes(file, ..) | DiskEvent::Length(file, _) | DiskEvent::Sync(file) | DiskEvent::Lost(file) => {
                Some(*file)
            }
            DiskEvent::Beside(_) | DiskEvent::Mark(_) => None,
        }
    }

    /// Does it to the files' bytes.
    pub(super) fn to(&self, files: &mut [Vec<u8>; 3]) {
        match self {
            DiskEvent::Bytes(file, at, data) => {
                let bytes = &mut files[*file];
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
            DiskEvent::Length(file, length) => files[*file].resize(*length, 0),
            DiskEvent::Sync(_) | DiskEvent::Lost(_) | DiskEvent::Beside(_) | DiskEvent::Mark(_) => {}
        }
    }

    /// The parts that reach the disk or do not, each for itself.
    pub(super) fn parts(&self) -> Vec<DiskEvent> {
        let DiskEvent::Bytes(file, at, data) = self else { return vec![self.clone()] };
        let mut parts = Vec::new();
        let mut from = 0;
        while from < data.len() {
            let to = data.len().min(from + SECTOR - (at + from) % SECTOR);
            parts.push(DiskEvent::Bytes(*file, at + from, data[from..to].to_vec()));
            from = to;
        }
        parts
    }

    #[cfg(test)]
    pub(super) fn mark(&self) -> Option<u64> {
        match self {
            DiskEvent::Mark(mark) => Some(*mark),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    /// The files, as their process sees them.
    files: [Vec<u8>; 3],
    beside: Vec<u8>,
    /// What was there before the events.
    base: PlatterFiles,
    events: Vec<DiskEvent>,
    fails: Option<Fails>,
    /// The redb file stands for one that is too large to be verified.
    is_large: bool,
}

struct Fails {
    /// How many further writes succeed.
    after: u64,
    kind: io::ErrorKind,
    /// Of this file only.
    file: Option<usize>,
    /// Which sectors of a write that fails are written nevertheless. None of them unless this is set.
    torn: Option<Sectors>,
}

/// Whether the next sector reaches the disk.
pub(crate) type Sectors = Box<dyn FnMut() -> bool + Send>;

/// A disk. Clones stand for the same one.
#[derive(Clone, Default)]
pub(crate) struct Platter(Arc<Mutex<State>>);

/// One of its files.
pub(super) struct PlatterFile(pub(super) Platter, pub(super) usize);

impl Platter {
    /// One that holds a store.
    pub(super) fn of((files, beside): PlatterFiles) -> Self {
        let base = (files.clone(), beside.clone());
        Platter(Arc::new(Mutex::new(State { files, beside, base, ..State::default() })))
    }

    /// As if the redb file were too large to be verified when it is opened.
    #[cfg(test)]
    pub(super) fn made_large(self) -> Self {
        self.state().is_large = true;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files as they are now.
    pub(super) fn files(&self) -> PlatterFiles {
        let state = self.state();
        (state.files.clone(), state.beside.clone())
    }

    /// What has happened so far.
    #[cfg(test)]
    pub(super) fn events(&self) -> Vec<DiskEvent> {
        self.state().events.clone()
    }

    #[cfg(test)]
    pub(super) fn mark(&self, mark: u64) {
        self.state().events.push(DiskEvent::Mark(mark));
    }

    /// From the nth write on, all fail.
    #[cfg(test)]
    pub(super) fn fails_after(&self, after: u64, kind: io::ErrorKind) {
        self.state().fails = Some(Fails { after, kind, file: None, torn: None });
    }

    /// From the nth write to a file on, all to it fail.
    #[cfg(test)]
    pub(super) fn file_fails_after(&self, file: usize, after: u64) {
        self.state().fails = Some(Fails { after, kind: io::ErrorKind::Other, file: Some(file), torn: None });
    }

    /// From the nth write on, all fail, and leave some of their sectors.
    pub(crate) fn tears_after(&self, after: u64, kind: io::ErrorKind, torn: Sectors) {
        self.state().fails = Some(Fails { after, kind, file: None, torn: Some(torn) });
    }

    pub(crate) fn heals(&self) {
        self.state().fails = None;
    }

    /// The disk after its process was killed.
    pub(crate) fn after_a_kill(&self) -> Self {
        Platter::of(self.files())
    }

    /// The disk after the power has gone. Of what was written to a file since its last sync, `keeps` says which sectors reached
    /// it.
    pub(crate) fn after_a_cut(&self, mut keeps: Sectors) -> Self {
        let state = self.state();
        let (mut files, mut beside) = state.base.clone();
        let mut pending: Vec<&DiskEvent> = Vec::new();
        let reach = |event: &DiskEvent, keeps: &mut Sectors, files: &mut _| {
            event.parts().iter().filter(|_| keeps()).for_each(|part| part.to(files));
        };
        for event in &state.events {
            match event {
                DiskEvent::Bytes(..) | DiskEvent::Length(..) => pending.push(event),
                DiskEvent::Sync(file) | DiskEvent::Lost(file) => {
                    let (synced, others) =
                        pending.into_iter().partition(|event: &&DiskEvent| event.file() == Some(*file));
                    pending = others;
                    let synced: Vec<&DiskEvent> = synced;
                    match event {
                        DiskEvent::Sync(_) => synced.into_iter().for_each(|event| event.to(&mut files)),
                        _ => synced.into_iter().for_each(|event| reach(event, &mut keeps, &mut files)),
                    }
                }
                // Never synced: any that was written.
                DiskEvent::Beside(bytes) if keeps() => beside.clone_from(bytes),
                DiskEvent::Beside(_) | DiskEvent::Mark(_) => {}
            }
        }
        pending.into_iter().for_each(|event| reach(event, &mut keeps, &mut files));
        Platter::of((files, beside))
    }

    /// The store on it, made if the disk is empty. redb catches up while a commit waits for it.
    pub(crate) fn store(&self) -> Result<Disk, Error> {
        self.store_of(SMALL)
    }

    /// The store on it, as a program has it: a thread has redb catch up.
    pub(crate) fn store_with_a_thread(&self) -> Result<Disk, Error> {
        let store = self.store()?;
        store.start()?;
        Ok(store)
    }

    /// The store on it, with segments of these sizes.
    pub(super) fn store_of(&self, sizes: Sizes) -> Result<Disk, Error> {
        let file = |file| PlatterFile(self.clone(), file);
        let (disk, name) = (self.clone(), "store.redb".to_owned());
        let open = move || {
            let (bytes, is_large) = {
                let state = disk.state();
                (state.files[STORE].len(), state.is_large)
            };
            let builder = builder(if is_large { u64::MAX } else { bytes as u64 });
            guarded(|| builder.create_with_backend(PlatterFile(disk.clone(), STORE)).map_err(Into::into))
        };
        let is_new = self.state().files[STORE].is_empty();
        let database = open()?;
        if is_new {
            raise(&database, &Mark::first(0))?;
        }
        let segments = |open: fn(Box<dyn StorageBackend>, Sizes) -> io::Result<Segment>| {
            let of = |nth: usize| open(Box::new(file(LOG[nth])), sizes).map_err(failed);
            Ok([of(0)?, of(1)?])
        };
        let acknowledged = Acknowledged::on(Box::new(self.clone()), "acknowledged".to_owned());
        let (segments, mark) = match marked(&database, &name)? {
            Marked::Logged(mark) => (segments(if is_new { Segment::make } else { Segment::open })?, mark),
            Marked::Unlogged { sequence } => {
                acknowledged.check(sequence, &name)?;
                upgrade(&database, sequence, || segments(Segment::make))?
            }
        };
        let flushed = Arc::new(AtomicU64::new(mark.sequence));
        let (at_least, named) = (flushed.clone(), name.clone());
        let again = move || {
            let database = open()?;
            match admit(&database, &named, &mark, at_least.load(std::sync::atomic::Ordering::SeqCst)) {
                Ok(()) => Ok(database),
                Err(error) => {
                    release(database);
                    Err(error)
                }
            }
        };
        let redb = Redb::new(Box::new(again), database);
        Disk::of(StoreParts { redb, flushed, mark, segments, acknowledged, files: None, lock: None, name })
    }
}

impl State {
    fn change(&mut self, event: DiskEvent) -> io::Result<()> {
        match &mut self.fails {
            Some(Fails { file: Some(file), .. }) if Some(*file) != event.file() => {}
            Some(Fails { after: 0, kind, torn, .. }) => {
                let refused = io::Error::new(*kind, "the disk refuses");
                let parts = torn.iter_mut().flat_map(|torn| event.parts().into_iter().filter(|_| torn()));
                match event {
                    DiskEvent::Bytes(..) => parts.collect::<Vec<_>>().into_iter().for_each(|part| self.happens(part)),
                    // redb's own file is written again where it matters: a later sync takes that along.
                    DiskEvent::Sync(file) if file != STORE => self.events.push(DiskEvent::Lost(file)),
                    _ => {}
                }
                return Err(refused);
            }
            Some(Fails { after, .. }) => *after -= 1,
            None => {}
        }
        self.happens(event);
        Ok(())
    }

    fn happens(&mut self, event: DiskEvent) {
        event.to(&mut self.files);
        self.events.push(event);
    }
}

impl fmt::Debug for PlatterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlatterFile({})", self.1)
    }
}

impl StorageBackend for PlatterFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.state().files[self.1].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.state();
        let file = &state.files[self.1];
        let bytes = usize::try_from(offset).ok().and_then(|start| file.get(start..start.checked_add(out.len())?));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.state().change(DiskEvent::Length(self.1, len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.state().change(DiskEvent::Sync(self.1))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.state().change(DiskEvent::Bytes(self.1, offset as usize, data.to_vec()))
    }
}

impl Medium for Platter {
    fn read(&self) -> io::Result<Vec<u8>> {
        Ok(self.state().beside.clone())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.beside = bytes.to_vec();
        state.events.push(DiskEvent::Beside(bytes.to_vec()));
        Ok(())
    }
}

/// The number of the last commit that a store shows.
pub(crate) fn last_commit(store: &Disk) -> u64 {
    store.shared.view().last
}
