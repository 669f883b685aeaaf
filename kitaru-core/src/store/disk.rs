//! A store on disk: a log in front of a redb file. Owns that a commit is durable in the log before a reader sees it, and that
//! a row leaves memory only when redb has it; must not know what the rows mean.
//!
//! A commit appends its rows to the log, in one frame, and syncs that: one write in order, where redb would write each page
//! of several trees. Its rows are in an [`Overlay`] in memory until redb has caught up. The log has two segments. When one is
//! full, a thread writes its overlay to redb, sorted, in one durable commit, which also says how far redb has come, while
//! commits go to the other segment. Then the overlay is dropped, and the segment is free.
//!
//! [`Overlay`]: overlay::Overlay

mod acknowledged;
mod catching_up;
mod database;
mod failure;
mod files;
mod frame;
mod mark;
mod merge;
mod opening;
mod overlay;
#[cfg(feature = "testkit")]
pub(crate) mod platter;
mod read_only;
mod redb;
mod restoring;
mod segment;
mod tail;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use crate::error::{Error, Kind, cannot};
use crate::store::disk::acknowledged::Acknowledged;
use crate::store::disk::catching_up::{CatchingUp, Full, Growth};
use crate::store::disk::failure::{closed, failed};
use crate::store::disk::files::Files;
use crate::store::disk::frame::FrameBytes;
use crate::store::disk::mark::Mark;
use crate::store::disk::overlay::{Overlay, OverlayRows};
use crate::store::disk::redb::{Redb, Snapshot};
use crate::store::disk::segment::Segment;
use crate::store::lock::FolderLock;
use crate::store::{Footprint, Order, Range, Row, Store, Table, Visit, VisitAll};

pub use opening::OpenOptions;
pub(crate) use restoring::NewDisk;

/// A store in a folder.
pub struct Disk {
    shared: Arc<Shared>,
    /// Where commits go. None once it is closed, or if the store is only read.
    log: Mutex<Option<Log>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held for as long as the store is not closed, also while its file is opened again.
    lock: Mutex<Option<FolderLock>>,
}

/// What the writer, readers and the thread that has redb catch up share.
struct Shared {
    redb: Redb,
    view: RwLock<View>,
    catching_up: CatchingUp,
    /// The last commit that redb has: when its file is opened again, it has no fewer.
    flushed: Arc<AtomicU64>,
    /// None if the store is only read.
    segments: Option<[Segment; 2]>,
    acknowledged: Option<Acknowledged>,
    /// None in tests on a simulated disk.
    files: Option<Arc<Files>>,
}

/// The rows that redb lacks, the newer ones first.
type Overlays = [Option<Arc<Overlay>>; 2];

/// What readers see.
struct View {
    /// The rows of the segment that is written to.
    active: Arc<Overlay>,
    /// Those of the full one, until redb has them.
    full: Option<Arc<Overlay>>,
    /// The last commit that is seen.
    last: u64,
    is_closed: bool,
}

/// The end of the log, where commits go.
struct Log {
    active: usize,
    /// Where in the active segment the next frame begins.
    at: u64,
    /// How far the store has come.
    mark: Mark,
    rows: Arc<Overlay>,
    /// The bytes of a frame.
    buffer: Vec<u8>,
    /// Whether the last frame was written and synced. What a sync that failed has left in the file is not known.
    is_sound: bool,
}

impl Shared {
    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn segments(&self) -> Result<&[Segment; 2], Error> {
        self.segments.as_ref().ok_or_else(read_only)
    }

    fn acknowledge(&self, sequence: u64) {
        self.acknowledged.iter().for_each(|acknowledged| acknowledged.keep(sequence));
    }

    /// Has redb catch up with a full segment, whose overlay is then dropped.
    fn catch_up(&self, full: &Full) -> Result<(), Error> {
        if let Some(mark) = &full.mark {
            self.redb.commit(mark, |tables| full.rows.newest(|table, key, value| tables.write(table, key, value)))?;
            self.flushed.store(mark.sequence, Ordering::Release);
            let done = self.view_mut().full.take();
            drop(done);
        }
        // The commits of it are in redb: nothing in it counts. If there is no room, it stays as it is.
        let _ = self.segments()?[full.segment].grow(full.growth);
        Ok(())
    }
}

impl Disk {
    /// Appends a commit to the log. It is seen once it is durable.
    fn append(&self, log: &mut Log, rows: Vec<Row>) -> Result<(), Error> {
        let shared = &*self.shared;
        let segments = shared.segments()?;
        if !log.is_sound {
            self.begin_epoch(log)?;
        }
        let frame = FrameBytes::of(&rows)?;
        let (bytes, takes) = (frame.all, |segment: usize| segments[segment].takes(frame.all));
        if !takes(log.active) && !takes(1 - log.active) {
            return self.commit_large(log, frame, &rows);
        }
        let mark = frame::write(&mut log.buffer, &log.mark, frame, &rows);
        if !takes(log.active) {
            self.switch(log, Growth::For(bytes))?;
        } else if log.at + bytes > segments[log.active].bytes() {
            self.switch(log, Growth::Step)?;
        }
        log.is_sound = false;
        segments[log.active].write(log.at, &log.buffer).map_err(failed)?;
        // After the sync: a write to a file that the path does not lead to is not acknowledged.
        if let Some(Err(gone)) = shared.files.as_ref().map(|files| files.check_is_in_place(log.active)) {
            shared.redb.fail();
            return Err(gone);
        }
        log.is_sound = true;
        log.at += bytes;
        log.mark = mark;
        log.rows.insert(mark.sequence, rows);
        shared.view_mut().last = mark.sequence;
        // After the commit is durable and seen: a number that is there says that its commit was durable.
        shared.acknowledge(mark.sequence);
        Ok(())
    }

    /// Goes to the other segment, and hands the full one over. Waits until redb has caught up with that one.
    fn switch(&self, log: &mut Log, growth: Growth) -> Result<(), Error> {
        self.caught_up()?;
        let full = self.fill(log, log.mark, growth);
        self.hand_over(full);
        Ok(())
    }

    /// Gives work to the thread. A store without a thread does it here.
    fn hand_over(&self, full: Full) {
        self.shared.catching_up.hand_over(full);
        if !self.has_thread() {
            // If it fails, it stays handed over.
            let _ = self.caught_up();
        }
    }

    /// What the active segment holds, which is full from now on. The other one must be free.
    fn fill(&self, log: &mut Log, mark: Mark, growth: Growth) -> Full {
        let (full, next) = (std::mem::take(&mut log.rows), Arc::default());
        log.rows = Arc::clone(&next);
        let segment = log.active;
        (log.active, log.at) = (1 - segment, 0);
        let mut view = self.shared.view_mut();
        (view.active, view.full) = (next, Some(full.clone()));
        Full { rows: full, mark: Some(mark), segment, growth }
    }

    /// Waits until redb has what is in the full segment.
    fn caught_up(&self) -> Result<(), Error> {
        if self.has_thread() {
            return self.shared.catching_up.wait_until_done();
        }
        let Some(full) = self.shared.catching_up.full() else { return Ok(()) };
        let done = self.shared.catch_up(&full);
        self.shared.catching_up.say(done.clone());
        done
    }

    fn has_thread(&self) -> bool {
        lock(&self.thread).is_some()
    }

    /// Has redb catch up with all that the log holds, up to `mark`. The segment was not filled, and does not grow.
    fn drain(&self, log: &mut Log, mark: Mark) -> Result<(), Error> {
        self.caught_up()?;
        let full = self.fill(log, mark, Growth::None);
        self.shared.catching_up.hand_over(full);
        self.caught_up()
    }

    /// Ends a log of which it is not known what a failed sync has left.
    fn begin_epoch(&self, log: &mut Log) -> Result<(), Error> {
        self.caught_up()?;
        // A large commit that failed may be in redb nevertheless. Readers may have seen it, so it stays, with its number.
        let found = self.shared.redb.mark()?;
        if found.sequence > log.mark.sequence {
            self.shared.view_mut().last = found.sequence;
            log.mark = found;
        }
        let next = log.mark.next_epoch();
        self.drain(log, next)?;
        log.mark = next;
        log.is_sound = true;
        Ok(())
    }

    /// Commits what is too large for the log to redb, after all before it.
    fn commit_large(&self, log: &mut Log, frame: FrameBytes, rows: &[Row]) -> Result<(), Error> {
        let mark = &frame::mark_after(&log.mark, frame, rows);
        let before = log.mark;
        if log.rows.is_empty() {
            self.caught_up()?
        } else {
            self.drain(log, before)?
        }
        log.is_sound = false;
        let shared = &*self.shared;
        shared.redb.commit(mark, |tables| {
            rows.iter().try_for_each(|Row { table, key, value }| tables.write(*table, key.as_bytes(), value.as_deref()))
        })?;
        if let Some(Err(gone)) = shared.files.as_ref().map(|files| files.check_is_in_place(log.active)) {
            shared.redb.fail();
            return Err(gone);
        }
        log.is_sound = true;
        log.mark = *mark;
        shared.flushed.store(mark.sequence, Ordering::Release);
        shared.view_mut().last = mark.sequence;
        shared.acknowledge(mark.sequence);
        // The next one like it may fit. The other segment is free, and the commit does not wait for its growth.
        let (segment, growth) = (1 - log.active, Growth::For(frame.all));
        self.hand_over(Full { rows: Arc::default(), mark: None, segment, growth });
        Ok(())
    }

    /// One state of the store: what redb has, the rows that it lacks, and the last commit.
    fn state(&self) -> Result<(Snapshot<'_>, Overlays, u64), Error> {
        // Under one lock: a full overlay is dropped when redb has it.
        let view = self.shared.view();
        if view.is_closed {
            return Err(closed());
        }
        Ok((self.shared.redb.snapshot()?, [Some(view.active.clone()), view.full.clone()], view.last))
    }

    /// The folder, by a path without links. None in tests on a simulated disk.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.shared.files.as_ref().map(|files| files.folder().path())
    }

    /// Says in the lock file where else this process answers.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn add_place(&self, place: &Path) -> Result<(), Error> {
        let lock = lock(&self.lock);
        let Some(lock) = lock.as_ref() else { return Err(closed()) };
        lock.add_place(place).map_err(|why| {
            cannot!(Kind::Store, "say where this process answers", "the lock file cannot be written", "check its disk")
                .because(why)
        })
    }

    /// Which of the store's folder and files others than this user may use, with their modes: what was there before and is
    /// left as it is. What is made here is for this user only.
    pub(crate) fn open_to_others(&self) -> Vec<String> {
        let names = [files::FILE, files::LOG[0], files::LOG[1], acknowledged::FILE, crate::store::lock::FILE];
        self.shared.files.as_ref().map_or_else(Vec::new, |files| files.folder().open_to_others(&names))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_only() -> Error {
    cannot!(Kind::Misuse, "write to the store", "it was opened to be read only", "open it without .read_only()")
}

impl Store for Disk {
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error> {
        let mut log = lock(&self.log);
        if self.shared.view().is_closed {
            return Err(closed());
        }
        let log = log.as_mut().ok_or_else(read_only)?;
        if rows.is_empty() {
            return Ok(());
        }
        self.append(log, rows)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let snapshot = {
            let view = self.shared.view();
            if view.is_closed {
                return Err(closed());
            }
            for overlay in std::iter::once(&view.active).chain(&view.full) {
                if let Some(value) = overlay.get(table, key, view.last) {
                    return Ok(value);
                }
            }
            self.shared.redb.snapshot()?
        };
        snapshot.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        let (snapshot, overlays, last) = self.state()?;
        let overlays = overlays.iter().flatten();
        let cursors = overlays.map(|overlay| OverlayRows::new(overlay, table, range, order, last)).collect();
        snapshot.read(|transaction| merge::scan(transaction, (table, range, order), cursors, visit))
    }

    fn scan_all(&self, visit: VisitAll<'_>) -> Result<(), Error> {
        let (snapshot, overlays, last) = self.state()?;
        let (all, mut goes_on) = ((Bound::Unbounded, Bound::Unbounded), true);
        snapshot.read(|transaction| {
            for table in Table::ALL {
                let cursors = overlays.iter().flatten();
                let cursors = cursors.map(|overlay| OverlayRows::new(overlay, table, all, Order::Ascending, last));
                merge::scan(transaction, (table, all, Order::Ascending), cursors.collect(), &mut |key, value| {
                    let seen = visit(table, key, value);
                    goes_on = seen.is_continue();
                    seen
                })?;
                if !goes_on {
                    break;
                }
            }
            Ok(())
        })
    }

    fn footprint(&self) -> Footprint {
        self.shared.files.as_ref().map_or_else(Footprint::default, |files| files.footprint())
    }

    fn close(&self) -> Result<(), Error> {
        // Held to the end: another call of this waits, and a commit finds the store closed.
        let mut held = lock(&self.log);
        let drained = held.take().map_or(Ok(()), |mut log| {
            match log.is_sound {
                // A commit that failed must not come back.
                false => self.begin_epoch(&mut log),
                true if log.rows.is_empty() => self.caught_up(),
                true => {
                    let mark = log.mark;
                    self.drain(&mut log, mark)
                }
            }
        });
        self.shared.catching_up.end();
        if let Some(thread) = lock(&self.thread).take() {
            drop(thread.join());
        }
        if !std::mem::replace(&mut self.shared.view_mut().is_closed, true) {
            if let (Ok(()), Some(segments)) = (&drained, &self.shared.segments) {
                // All of it is in redb, whose file is held until then. A segment that cannot be cleared is replayed as nothing.
                segments.iter().for_each(|segment| drop(segment.clear()));
            }
            self.shared.redb.close();
        }
        drop(lock(&self.lock).take());
        drained
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}
