//! A disk for inspection: it keeps all writes and syncs, so that a test can cut the power at any point, and it fails on
//! request.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::redb::StorageBackend;

use crate::error::Error;
use crate::store::Redb;
use crate::store::redb::acknowledged::{Acknowledged, Medium};
use crate::store::redb::open::{admit, builder, guarded, initialise};

/// What happened to a disk, in order.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Bytes(usize, Vec<u8>),
    Length(usize),
    /// All before this is kept.
    Sync,
    /// The file next to the store's was overwritten. That is never synced.
    Beside(Vec<u8>),
    /// What the test wants to know of it.
    Mark(u64),
}

impl Event {
    /// Does it to a file's bytes.
    pub(super) fn to(&self, bytes: &mut Vec<u8>) {
        match self {
            Event::Bytes(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
            Event::Length(length) => bytes.resize(*length, 0),
            Event::Sync | Event::Beside(_) | Event::Mark(_) => {}
        }
    }

    pub(super) fn mark(&self) -> Option<u64> {
        match self {
            Event::Mark(mark) => Some(*mark),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    /// The store's file, as its process sees it.
    now: Vec<u8>,
    /// The file next to it.
    beside: Vec<u8>,
    log: Vec<Event>,
    fails: Option<Fails>,
    /// The file stands for one that is too large to be verified.
    is_large: bool,
}

struct Fails {
    /// How many further writes succeed.
    after: u64,
    kind: io::ErrorKind,
}

/// A disk. Clones stand for the same one.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// One that holds a store, and the file next to it.
    pub(super) fn of(store: Vec<u8>, beside: Vec<u8>) -> Self {
        Disk(Arc::new(Mutex::new(State { now: store, beside, ..State::default() })))
    }

    /// As if the file were too large to be verified when it is opened.
    pub(super) fn made_large(self) -> Self {
        self.state().is_large = true;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store's file and the one next to it, as they are now.
    pub(super) fn files(&self) -> (Vec<u8>, Vec<u8>) {
        let state = self.state();
        (state.now.clone(), state.beside.clone())
    }

    /// What has happened so far.
    pub(super) fn log(&self) -> Vec<Event> {
        self.state().log.clone()
    }

    pub(super) fn mark(&self, mark: u64) {
        self.state().log.push(Event::Mark(mark));
    }

    /// From the nth write on, all fail.
    pub(super) fn fails_after(&self, after: u64, kind: io::ErrorKind) {
        self.state().fails = Some(Fails { after, kind });
    }

    pub(super) fn heals(&self) {
        self.state().fails = None;
    }

    /// The store on it, made if the disk is empty.
    pub(super) fn store(&self) -> Result<Redb, Error> {
        let disk = self.clone();
        let acknowledged = Arc::new(Acknowledged::on(Box::new(self.clone()), "acknowledged".to_owned()));
        let checked = acknowledged.clone();
        let open = move || {
            let (bytes, is_large) = {
                let state = disk.state();
                (state.now.len(), state.is_large)
            };
            let builder = builder(if is_large { u64::MAX } else { bytes as u64 });
            let database = guarded(|| builder.create_with_backend(disk.clone()).map_err(Into::into))?;
            if bytes == 0 {
                initialise(&database)?;
            }
            admit(database, "store.redb", &checked)
        };
        Redb::with(Box::new(open), acknowledged, None)
    }
}

impl State {
    fn change(&mut self, event: Event) -> io::Result<()> {
        match &mut self.fails {
            Some(Fails { after: 0, kind }) => return Err(io::Error::new(*kind, "the disk refuses")),
            Some(Fails { after, .. }) => *after -= 1,
            None => {}
        }
        event.to(&mut self.now);
        self.log.push(event);
        Ok(())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let bytes = usize::try_from(offset).ok().and_then(|start| state.now.get(start..start.checked_add(out.len())?));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().change(Event::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().change(Event::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().change(Event::Bytes(offset as usize, data.to_vec()))
    }
}

impl Medium for Disk {
    fn read(&self) -> io::Result<Vec<u8>> {
        Ok(self.state().beside.clone())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.beside = bytes.to_vec();
        state.log.push(Event::Beside(bytes.to_vec()));
        Ok(())
    }
}
