//! The files of a store in its folder: finding and making them, and saying what is wrong with those that cannot be used. Must
//! not know what is in the tables, or in the log.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use ::redb::backends::FileBackend;
use ::redb::{Database, StorageBackend};

use crate::error::{Error, Kind, cannot};
use crate::store::Footprint;
use crate::store::disk::acknowledged;
use crate::store::disk::database::{FORMAT, builder, raise};
use crate::store::disk::failure::guarded;
use crate::store::disk::frame::HEADER;
use crate::store::disk::mark::Mark;
use crate::store::disk::segment::{SIZES, Segment};
use crate::store::folder::{Folder, kind_of};
use crate::store::platform::{FileId, FilePresence};

pub(super) const FILE: &str = "store.redb";
/// The files of the log.
pub(super) const LOG: [&str; 2] = ["store.log.0", "store.log.1"];
/// Made under another name, so that a crash while it is made leaves no file that looks like a damaged store.
const UNFINISHED: &str = "store.redb.new";
/// A store that is being restored. As long as it is there, no store is made in its place.
pub(super) const RESTORED: &str = "store.redb.restored";

/// What a file of redb's begins with (redb, docs/design.md, "Database header").
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The files of a store.
#[derive(Debug)]
pub(super) struct Files {
    folder: Folder,
    /// Which file each is: one that has taken its place is another store's.
    store: Place,
    log: Option<[Place; 2]>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    id: FileId,
}

impl Files {
    /// Finds the redb file, or makes it and the log where there is no store yet.
    pub(super) fn find_or_make(folder: Folder) -> Result<Self, Error> {
        match is_there(&folder)? {
            FolderContent::Store => {}
            FolderContent::Nothing => make(&folder)?,
            FolderContent::Remains(name) => return Err(missing(&folder, name)),
        }
        Self::at(folder)
    }

    /// Finds the redb file.
    pub(super) fn find(folder: Folder) -> Result<Self, Error> {
        match is_there(&folder)? {
            FolderContent::Store => Self::at(folder),
            FolderContent::Nothing => {
                let dir = folder.path().display();
                Err(cannot!(Kind::Store, "read a store in {dir}", "there is none", "name the folder of a store"))
            }
            FolderContent::Remains(name) => Err(missing(&folder, name)),
        }
    }

    fn at(folder: Folder) -> Result<Self, Error> {
        let store = Place::of(&folder, FILE).map_err(|why| unusable(&folder, why))?;
        Ok(Files { folder, store, log: None })
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What the files occupy, as far as their names lead to them.
    pub(super) fn footprint(&self) -> Footprint {
        let dir = self.folder.path();
        let sizes = [FILE, LOG[0], LOG[1]].iter().filter_map(|name| std::fs::metadata(dir.join(name)).ok());
        Footprint { on_disk: Some((dir.to_owned(), FORMAT)), bytes: sizes.map(|file| file.len()).sum() }
    }

    /// The redb file, for messages.
    pub(super) fn name(&self) -> String {
        self.store.path.display().to_string()
    }

    /// Opens the redb file, now and again.
    pub(super) fn open(&self) -> Result<Database, Error> {
        self.check_are_in_place()?;
        let file = self.file(FilePresence::Required)?;
        let bytes = file.metadata().map_or(u64::MAX, |file| file.len());
        let opened = guarded(|| Ok(builder(bytes).create_with_backend(FileBackend::new(file)?)?));
        opened.map_err(|error| error.context(format!("cannot open the store {}", self.name())))
    }

    /// The redb file, if it looks like one.
    pub(super) fn file(&self, presence: FilePresence) -> Result<File, Error> {
        let mut file = self.folder.file(FILE, presence).map_err(|why| unusable(&self.folder, why))?;
        check_magic(&mut file, &self.name())?;
        Ok(file)
    }

    /// Makes the names of the files durable.
    pub(super) fn sync_names(&self) -> Result<(), Error> {
        self.folder.sync().map_err(|why| unusable(&self.folder, why))
    }

    /// Opens the log.
    pub(super) fn open_log(&mut self) -> Result<[Segment; 2], Error> {
        let segments = LOG.map(|name| {
            let opened =
                segment(&self.folder, name, FilePresence::Required).and_then(|file| Segment::open(file, SIZES));
            opened.map_err(|why| match why.kind() {
                io::ErrorKind::NotFound => lost(&self.folder, name),
                io::ErrorKind::UnexpectedEof => of_wrong_length(&self.folder, name, "cut short"),
                io::ErrorKind::FileTooLarge => of_wrong_length(&self.folder, name, "too long"),
                _ => unusable_log(&self.folder, name, why),
            })
        });
        let [first, second] = segments;
        let segments = [first?, second?];
        self.log = Some(self.places()?);
        Ok(segments)
    }

    /// All that is in the log, which is not changed.
    pub(super) fn read_log(&self) -> Result<[Vec<u8>; 2], Error> {
        let [first, second] = LOG.map(|name| {
            let mut bytes = Vec::new();
            let file = self.folder.file(name, FilePresence::ReadOnly);
            let read = file.and_then(|file| {
                // What is shown must not vanish when the power goes. Where a file that is read cannot be synced, it may.
                let _ = file.sync_data();
                file.take(SIZES.most + 1).read_to_end(&mut bytes)
            });
            match read.map(|read| read as u64) {
                Ok(read) if read > 0 && read < SIZES.least => Err(of_wrong_length(&self.folder, name, "cut short")),
                Ok(read) if read > SIZES.most => Err(of_wrong_length(&self.folder, name, "too long")),
                Ok(_) => Ok(bytes),
                Err(why) if why.kind() == io::ErrorKind::NotFound => Err(lost(&self.folder, name)),
                Err(why) => Err(unusable_log(&self.folder, name, why)),
            }
        });
        Ok([first?, second?])
    }

    /// Makes the log of a store that has none.
    pub(super) fn make_log(&mut self) -> Result<[Segment; 2], Error> {
        for name in LOG {
            if is_left(&self.folder, name).map_err(|why| unusable_log(&self.folder, name, why))? {
                return Err(newer(&self.folder, name));
            }
        }
        let segments = make_log(&self.folder)?;
        self.folder.sync().map_err(|why| unusable(&self.folder, why))?;
        self.log = Some(self.places()?);
        Ok(segments)
    }

    fn places(&self) -> Result<[Place; 2], Error> {
        let [first, second] =
            LOG.map(|name| Place::of(&self.folder, name).map_err(|why| unusable_log(&self.folder, name, why)));
        Ok([first?, second?])
    }

    /// Refuses to continue if a path does not lead to its file any more: the writes would be lost.
    pub(super) fn check_are_in_place(&self) -> Result<(), Error> {
        self.check(std::iter::once(&self.store).chain(self.log.iter().flatten()))
    }

    /// The same of the redb file and one of the log's: those that a commit is found by.
    pub(super) fn check_is_in_place(&self, segment: usize) -> Result<(), Error> {
        self.check([&self.store].into_iter().chain(self.log.iter().map(|log| &log[segment])))
    }

    fn check<'a>(&self, mut places: impl Iterator<Item = &'a Place>) -> Result<(), Error> {
        let Some(gone) = places.find(|place| FileId::at(&place.path) != Some(place.id)) else { return Ok(()) };
        let dir = self.folder.path().display();
        let file = gone.path.file_name().unwrap_or_default().display();
        Err(cannot!(
            Kind::Store,
            "write the store in {dir}",
            "its folder or {file} was removed, moved or replaced",
            "put it back, or end this process"
        ))
    }
}

impl Place {
    fn of(folder: &Folder, name: &str) -> io::Result<Self> {
        let id = folder.file(name, FilePresence::ReadOnly).and_then(|file| FileId::of(&file))?;
        Ok(Place { path: folder.path().join(name), id })
    }
}

/// What is in a folder.
pub(super) enum FolderContent {
    Store,
    Nothing,
    /// A file of a store whose redb file is missing.
    Remains(&'static str),
}

pub(super) fn is_there(folder: &Folder) -> Result<FolderContent, Error> {
    let found = || -> io::Result<FolderContent> {
        if folder.has(FILE)? {
            return Ok(FolderContent::Store);
        }
        if folder.has(acknowledged::FILE)? {
            return Ok(FolderContent::Remains(acknowledged::FILE));
        }
        for name in LOG {
            if is_left(folder, name)? {
                return Ok(FolderContent::Remains(name));
            }
        }
        if folder.has(RESTORED)? {
            return Ok(FolderContent::Remains(RESTORED));
        }
        Ok(FolderContent::Nothing)
    };
    found().map_err(|why| unusable(folder, why))
}

/// Whether a file of a log's name is there that holds something: commits, or another program's data. One that was closed begins
/// with zeros.
fn is_left(folder: &Folder, name: &str) -> io::Result<bool> {
    if !folder.has(name)? {
        return Ok(false);
    }
    let mut begins = Vec::new();
    folder.file(name, FilePresence::ReadOnly)?.take(HEADER as u64).read_to_end(&mut begins)?;
    Ok(begins.iter().any(|byte| *byte != 0))
}

fn segment(folder: &Folder, name: &str, presence: FilePresence) -> io::Result<Box<dyn StorageBackend>> {
    let file = FileBackend::new(folder.file(name, presence)?).map_err(io::Error::other)?;
    Ok(Box::new(file))
}

pub(super) fn make_log(folder: &Folder) -> Result<[Segment; 2], Error> {
    let [first, second] = LOG.map(|name| {
        let made = segment(folder, name, FilePresence::Optional).and_then(|file| Segment::make(file, SIZES));
        made.map_err(|why| unusable_log(folder, name, why))
    });
    Ok([first?, second?])
}

fn make(folder: &Folder) -> Result<(), Error> {
    let made = |why: io::Error| unmade(folder, why);
    // Not only where the folder is new: the process that made it may have died.
    folder.sync_name().map_err(made)?;
    match folder.remove(UNFINISHED) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(made(why)),
        _ => {}
    }
    let file = folder.file(UNFINISHED, FilePresence::New).map_err(made)?;
    let database = guarded(|| Ok(builder(0).create_with_backend(FileBackend::new(file)?)?))?;
    raise(&database, &Mark::first(0))?;
    drop(database);
    make_log(folder)?;
    // The log is durable before the name of the store: one without the other is refused.
    folder.sync().map_err(made)?;
    // An opening makes this name durable, before there is a commit.
    folder.rename(UNFINISHED, FILE).map_err(made)
}

pub(super) fn unmade(folder: &Folder, why: io::Error) -> Error {
    let file = folder.path().join(FILE);
    let (kind, file) = (kind_of(&why), file.display());
    cannot!(kind, "make the store {file}", "a file cannot be written", "check its folder").because(why)
}

fn unusable(folder: &Folder, why: io::Error) -> Error {
    unusable_log(folder, FILE, why)
}

fn unusable_log(folder: &Folder, name: &str, why: io::Error) -> Error {
    let file = folder.path().join(name);
    let (kind, file) = (kind_of(&why), file.display());
    let error = match why.kind() {
        io::ErrorKind::InvalidInput => cannot!(
            kind,
            "open the store {file}",
            "it is not a plain file",
            "put a file of a store in its place, or name another folder"
        ),
        _ => cannot!(
            kind,
            "open the store {file}",
            "the system refuses it",
            "check the file and its folder, or name another folder"
        ),
    };
    error.because(why)
}

/// Commits were acknowledged here, and the file that held them is gone.
fn missing(folder: &Folder, remains: &str) -> Error {
    let is_restored = remains == RESTORED;
    let (file, remains) = (folder.path().join(FILE), folder.path().join(remains));
    let (file, remains) = (file.display(), remains.display());
    if is_restored {
        return cannot!(
            Kind::Store,
            "open the store {file}",
            "its restore was cut off",
            "restore it again, or remove {remains} to begin with an empty one"
        );
    }
    cannot!(
        Kind::Store,
        "open the store {file}",
        "it is missing, and {remains} is there",
        "put it back, or move the other away to begin again"
    )
}

/// A file of the log is gone, and with it perhaps the newest commits.
fn lost(folder: &Folder, name: &str) -> Error {
    let (file, log) = (folder.path().join(FILE), folder.path().join(name));
    let (file, log) = (file.display(), log.display());
    cannot!(
        Kind::Store,
        "open the store {file}",
        "the file {log} of its log is missing",
        "put it back, or make an empty one and lose its commits"
    )
}

/// A store of a format without a log, next to a log.
fn newer(folder: &Folder, name: &str) -> Error {
    let (file, log) = (folder.path().join(FILE), folder.path().join(name));
    let (file, log) = (file.display(), log.display());
    cannot!(
        Kind::Store,
        "open the store {file}",
        "it has an older format, and {log} is of a newer one",
        "restore the folder, or move the log away"
    )
}

fn of_wrong_length(folder: &Folder, name: &str, what: &str) -> Error {
    let log = folder.path().join(name);
    let log = log.display();
    cannot!(
        Kind::Store,
        "open the store",
        "the file {log} of its log is damaged, it is {what}",
        "restore the whole folder from a backup"
    )
}

/// Distinguishes a file that is not a store from one that is damaged.
fn check_magic(file: &mut File, name: &str) -> Result<(), Error> {
    let mut magic = [0; MAGIC.len()];
    let other = acknowledged::FILE;
    match file.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => Ok(()),
        Ok(()) => Err(cannot!(
            Kind::Store,
            "open the store {name}",
            "it is not a store of Kitaru's",
            "move it away, or name another folder"
        )),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Err(cannot!(
            Kind::Store,
            "open the store {name}",
            "it is cut short",
            "restore a backup, or move it and {other} away to begin with an empty one"
        )),
        Err(why) => Err(cannot!(Kind::Store, "open the store {name}", "it cannot be read: {why}", "check its disk")),
    }
}
