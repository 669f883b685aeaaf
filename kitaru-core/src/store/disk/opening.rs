//! Opening a store on disk: its log is replayed, unless the files do not belong together. Must not know what becomes of the
//! store then.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use ::redb::Database;

use crate::error::{Error, Kind, cannot};
use crate::store::disk::acknowledged::Acknowledged;
use crate::store::disk::catching_up::CatchingUp;
use crate::store::disk::database::{marked, raise, release};
use crate::store::disk::failure::{damaged, failed, guarded};
use crate::store::disk::files::{self, Files};
use crate::store::disk::mark::{Mark, Marked};
use crate::store::disk::overlay::Overlay;
use crate::store::disk::read_only::ReadOnly;
use crate::store::disk::redb::{Opener, Redb};
use crate::store::disk::segment::Segment;
use crate::store::disk::tail::{self, LogMismatch, Tail};
use crate::store::disk::{Disk, Log, Shared, View, database};
use crate::store::folder::Folder;
use crate::store::lock::FolderLock;
use crate::store::platform::FilePresence;

/// How to open a store on disk.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// How long to wait for a store that another process holds. 5 seconds unless set.
    pub lock_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { lock_timeout: Duration::from_secs(5) }
    }
}

/// What a store is made of, wherever its files are.
pub(super) struct StoreParts {
    pub(super) redb: Redb,
    /// The last commit that redb is known to have. Its file has no fewer when it is opened again.
    pub(super) flushed: Arc<AtomicU64>,
    pub(super) mark: Mark,
    pub(super) segments: [Segment; 2],
    pub(super) acknowledged: Acknowledged,
    pub(super) files: Option<Arc<Files>>,
    pub(super) lock: Option<FolderLock>,
    /// The redb file, for messages.
    pub(super) name: String,
}

impl Disk {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written; when another process holds it after the lock timeout; when a file of it is
    /// not a store's, is missing where there was one, is a link, is damaged, of a newer format, of another store, or lacks
    /// commits that were acknowledged. Nothing is overwritten.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self, Error> {
        let folder = Folder::open(dir)?;
        let lock = FolderLock::take(&folder, options.lock_timeout)?;
        let mut files = Files::find_or_make(folder)?;
        let acknowledged = Acknowledged::beside(files.folder(), FilePresence::Optional)?;
        let (database, name) = (files.open()?, files.name());
        let admitted = (|| match marked(&database, &name)? {
            Marked::Logged(mark) => {
                let segments = files.open_log()?;
                // The process that made it may have died before its names were durable. One that has made commits did this.
                if mark.sequence == 0 {
                    files.sync_names()?;
                }
                Ok((segments, mark))
            }
            Marked::Unlogged { sequence } => {
                acknowledged.check(sequence, &name)?;
                upgrade(&database, sequence, || files.make_log())
            }
        })();
        let (segments, mark) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                release(database);
                return Err(error);
            }
        };
        let (files, flushed) = (Arc::new(files), Arc::new(AtomicU64::new(mark.sequence)));
        let open = reopener(files.clone(), mark, flushed.clone());
        let redb = Redb::new(open, database);
        let (files, lock) = (Some(files), Some(lock));
        let disk = Self::of(StoreParts { redb, flushed, mark, segments, acknowledged, files, lock, name })?;
        disk.start()?;
        Ok(disk)
    }

    /// Opens the store in `dir` to read it, and writes nothing there, also after a kill. The rows of the log are read
    /// too. Commits fail.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), and when there is no store.
    pub fn open_read_only(dir: &Path, options: OpenOptions) -> Result<Self, Error> {
        let folder = Folder::find(dir)?;
        let lock = FolderLock::share(&folder, options.lock_timeout)?;
        let files = Files::find(folder)?;
        let name = files.name();
        let acknowledged = match files.folder().has(super::acknowledged::FILE) {
            Ok(true) => Some(Acknowledged::beside(files.folder(), FilePresence::ReadOnly)?),
            _ => None,
        };
        let files = Arc::new(files);
        let opened = files.clone();
        let (database, marked) = open_to_read(&files)?;
        let open = Box::new(move || open_to_read(&opened).map(|(database, _)| database));
        // From here on an error releases the database, whose drop may panic where it is damaged.
        let redb = Redb::new(open, database);
        let (rows, last) = match marked {
            Marked::Unlogged { sequence } => (Overlay::default(), sequence),
            Marked::Logged(mark) => {
                let segments = files.read_log()?;
                let Tail { commits, mark, .. } =
                    tail::read(&mark, [&segments[0], &segments[1]]).map_err(|mismatch| mismatched(mismatch, &name))?;
                let rows = Overlay::default();
                commits.into_iter().for_each(|(sequence, commit)| rows.insert(sequence, commit));
                (rows, mark.sequence)
            }
        };
        acknowledged.as_ref().map_or(Ok(()), |acknowledged| acknowledged.check(last, &name))?;
        let view = View { active: Arc::new(rows), full: None, last, is_closed: false };
        let shared = Shared {
            redb,
            view: RwLock::new(view),
            catching_up: CatchingUp::default(),
            flushed: Arc::default(),
            segments: None,
            acknowledged,
            files: Some(files),
        };
        Ok(Disk { shared: Arc::new(shared), log: Mutex::new(None), thread: Mutex::new(None), lock: Mutex::new(lock) })
    }

    /// A store of which the files are there, after its log is replayed. It has no thread yet: redb catches up while a commit
    /// waits for it.
    pub(super) fn of(parts: StoreParts) -> Result<Self, Error> {
        // The lock first, so that an error drops it last: a process that waits for it must not find redb's file held.
        let StoreParts { lock, redb, flushed, mut mark, segments, acknowledged, files, name } = parts;
        let read = |segment: &Segment| segment.read().map_err(failed);
        let (first, second) = (read(&segments[0])?, read(&segments[1])?);
        let tail = tail::read(&mark, [&first, &second]).map_err(|mismatch| mismatched(mismatch, &name))?;
        acknowledged.check(tail.mark.sequence, &name)?;
        if tail.is_torn || !tail.commits.is_empty() {
            // What a torn frame after these has left counts no more.
            mark = tail.mark.next_epoch();
            let rows = Overlay::default();
            tail.commits.into_iter().for_each(|(sequence, commit)| rows.insert(sequence, commit));
            redb.commit(&mark, |tables| rows.newest(|table, key, value| tables.write(table, key, value)))?;
            flushed.store(mark.sequence, Ordering::Release);
        }
        // What is shown must not be missing later, whether it was acknowledged or only durable, or the number was lost.
        if mark.sequence > 0 {
            acknowledged.keep(mark.sequence);
        }
        let rows = Arc::<Overlay>::default();
        let view = View { active: rows.clone(), full: None, last: mark.sequence, is_closed: false };
        let shared = Shared {
            redb,
            view: RwLock::new(view),
            catching_up: CatchingUp::default(),
            flushed,
            segments: Some(segments),
            acknowledged: Some(acknowledged),
            files,
        };
        let log = Log { active: 0, at: 0, mark, rows, buffer: Vec::new(), is_sound: true };
        Ok(Disk {
            shared: Arc::new(shared),
            log: Mutex::new(Some(log)),
            thread: Mutex::new(None),
            lock: Mutex::new(lock),
        })
    }

    /// Has a thread of its own catch up from now on.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn start(&self) -> Result<(), Error> {
        let shared = self.shared.clone();
        let work = move || shared.catching_up.run(|full| shared.catch_up(full));
        let thread = thread::Builder::new().name("kitaru-catch-up".to_owned()).spawn(work).map_err(|why| {
            cannot!(
                Kind::Store,
                "open the store",
                "the system gives no thread for its log",
                "raise the limit of threads"
            )
            .because(why)
        })?;
        *self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(thread);
        Ok(())
    }
}

/// Makes a store without a log one with a log, which is durable before the redb file says so.
pub(super) fn upgrade(
    database: &Database,
    sequence: u64,
    make_log: impl FnOnce() -> Result<[Segment; 2], Error>,
) -> Result<([Segment; 2], Mark), Error> {
    let (segments, mark) = (make_log()?, Mark::first(sequence));
    raise(database, &mark)?;
    Ok((segments, mark))
}

/// Opens the redb file of a store to be read, now and again, with all tables of this format. What is written is in memory.
fn open_to_read(files: &Files) -> Result<(Database, Marked), Error> {
    let name = files.name();
    let file = files.file(FilePresence::ReadOnly)?;
    // As with the log: what is shown must not vanish when the power goes.
    let _ = file.sync_data();
    let bytes = file.metadata().map_or(u64::MAX, |file| file.len());
    let file = ReadOnly::of(file).map_err(failed)?;
    let database = guarded(|| Ok(database::builder(bytes).create_with_backend(file)?))
        .map_err(|error| error.context(format!("cannot open the store {name}")))?;
    let admitted = marked(&database, &name).and_then(|marked| match marked {
        Marked::Unlogged { sequence } => raise(&database, &Mark::first(sequence)).map(|()| marked),
        Marked::Logged(_) => Ok(marked),
    });
    match admitted {
        Ok(marked) => Ok((database, marked)),
        Err(error) => {
            release(database);
            Err(error)
        }
    }
}

/// Opens the redb file of a store again: it must be the same, and have all that it had.
fn reopener(files: Arc<Files>, mark: Mark, flushed: Arc<AtomicU64>) -> Opener {
    Box::new(move || {
        let database = files.open()?;
        let admitted = admit(&database, &files.name(), &mark, flushed.load(Ordering::Acquire));
        match admitted {
            Ok(()) => Ok(database),
            Err(error) => {
                release(database);
                Err(error)
            }
        }
    })
}

/// Refuses a file that is another store's, or has gone back behind the commit `flushed`.
pub(super) fn admit(database: &Database, name: &str, mark: &Mark, flushed: u64) -> Result<(), Error> {
    match marked(database, name)? {
        // More than `flushed` is a commit whose last sync failed. redb syncs a file that it opens after a failure, before
        // it is read.
        Marked::Logged(found) if found.store == mark.store && found.sequence >= flushed => Ok(()),
        found => {
            let why = format!("redb had commit {flushed}, and has {found:?} when its file is opened again");
            Err(damaged(Error::msg(why)))
        }
    }
}

/// What is wrong with the files of a store, and what to do.
fn mismatched(mismatch: LogMismatch, store: &str) -> Error {
    let [first, second] = files::LOG;
    let what = match mismatch {
        LogMismatch::OtherStore { segment } => {
            // The other one may be this store's.
            let log = files::LOG[segment];
            return cannot!(
                Kind::Store,
                "open the store {store}",
                "{log} is another store's",
                "restore its folder, or make {log} an empty file and lose its commits"
            );
        }
        LogMismatch::Behind { redb, log } => format!("it ends with commit {redb}, its log continues with {log}"),
        LogMismatch::Forked { sequence } => format!("its log is of another copy since commit {sequence}"),
        LogMismatch::Damaged { after } => format!("its log is damaged at commit {}", after + 1),
    };
    cannot!(
        Kind::Store,
        "open the store {store}",
        "{what}",
        "restore its folder, or make {first} and {second} empty files and lose their commits"
    )
}
