//! Opening and making the file of a store, and saying what is wrong with one that cannot be opened. Must not know what
//! is in its tables, but for the version of the format.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ::redb::backends::FileBackend;
use ::redb::{Builder, Database, ReadableDatabase, WriteTransaction};

use crate::error::{Error, Kind};
use crate::store::folder::{Folder, kind_of};
use crate::store::platform::{FileId, Presence};
use crate::store::redb::acknowledged::{self, Acknowledged, CommitNumber};
use crate::store::redb::database::{DEFINITIONS, release};
use crate::store::{Table, seal};

pub(super) const FILE: &str = "store.redb";
/// Made under another name, so that a crash while it is made leaves no file that looks like a damaged store.
const UNFINISHED: &str = "store.redb.new";

/// The version of the tables and their rows.
const FORMAT: u32 = 2;
const FORMAT_KEY: &[u8] = b"format";

/// What a file of redb's begins with (redb, docs/design.md, "Database header").
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// A library keeps its hands off the memory of its program: redb's own default is a gigabyte.
const CACHE_BYTES: usize = 64 << 20;

/// Up to this size a file is verified whole when it is opened: our checksums find what is wrong in a row, redb's what is
/// wrong between rows, so that one is missing. A larger one is verified after a kill only, because the time to open it would
/// grow with it.
const VERIFIED_BYTES: u64 = 16 << 20;

/// The file of a store in its folder.
pub(super) struct StoreFile {
    folder: Folder,
    path: PathBuf,
    /// Which file it is: one that has taken its place is another store.
    id: FileId,
}

impl StoreFile {
    /// Finds the file, or makes it where there is no store yet.
    pub(super) fn find_or_make(folder: Folder) -> Result<Self, Error> {
        let found = folder.has(FILE).and_then(|is_there| Ok((is_there, folder.has(acknowledged::FILE)?)));
        match found.map_err(|why| unusable(&folder, why))? {
            (true, _) => {}
            (false, false) => make(&folder)?,
            (false, true) => return Err(missing(&folder)),
        }
        let file = folder.file(FILE, Presence::Required);
        let id = file.and_then(|file| FileId::of(&file)).map_err(|why| unusable(&folder, why))?;
        Ok(StoreFile { path: folder.path().join(FILE), folder, id })
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Opens the file, now and again.
    pub(super) fn open(&self, acknowledged: &Acknowledged) -> Result<Database, Error> {
        self.check_is_in_place()?;
        let name = self.path.display().to_string();
        let mut file = self.folder.file(FILE, Presence::Required).map_err(|why| unusable(&self.folder, why))?;
        check_magic(&mut file, &name)?;
        let bytes = file.metadata().map_or(u64::MAX, |file| file.len());
        let opened = guarded(|| Ok(builder(bytes).create_with_backend(FileBackend::new(file)?)?));
        let database = opened.map_err(|error| error.context(format!("the store {name} cannot be opened")))?;
        admit(database, &name, acknowledged)
    }

    /// Refuses to continue if the path does not lead to this file any more: the writes would be lost.
    pub(super) fn check_is_in_place(&self) -> Result<(), Error> {
        if FileId::at(&self.path) == Some(self.id) {
            return Ok(());
        }
        let dir = self.folder.path().display();
        Err(Error::new(
            Kind::Store,
            format!(
                "the store in {dir} cannot be written: its folder or its file {FILE} was removed, moved or replaced while \
                 it was open. Put it back and call the flow again, or end this process; what another process records \
                 there meanwhile is a store of its own"
            ),
        ))
    }
}

fn unusable(folder: &Folder, why: io::Error) -> Error {
    let file = folder.path().join(FILE);
    let hint = match why.kind() {
        io::ErrorKind::InvalidInput => "put a file of a store in its place, or name another folder",
        _ => "see to the file and its folder, or name another folder",
    };
    let message = format!("the store {} cannot be opened; {hint}. Nothing was changed", file.display());
    Error::new(kind_of(&why), message).because(why)
}

/// Commits were acknowledged here, and the file that held them is gone.
fn missing(folder: &Folder) -> Error {
    let (file, number) = (folder.path().join(FILE), folder.path().join(acknowledged::FILE));
    Error::new(
        Kind::Store,
        format!(
            "the store {} cannot be opened: the file is missing, and {} beside it says that there was one. Put it back, or \
             restore a backup; to begin with an empty store, remove {1} too. Nothing was changed",
            file.display(),
            number.display()
        ),
    )
}

fn make(folder: &Folder) -> Result<(), Error> {
    let made = |why: io::Error| {
        let file = folder.path().join(FILE);
        Error::new(kind_of(&why), format!("the store {} cannot be made; see to its folder", file.display()))
            .because(why)
    };
    match folder.remove(UNFINISHED) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(made(why)),
        _ => {}
    }
    let file = folder.file(UNFINISHED, Presence::New).map_err(made)?;
    let database = guarded(|| Ok(builder(0).create_with_backend(FileBackend::new(file)?)?))?;
    initialise(&database)?;
    drop(database);
    folder.rename(UNFINISHED, FILE).map_err(made)?;
    // The name is durable only with its folder.
    folder.sync().map_err(made)
}

/// Makes the tables of a new store.
pub(super) fn initialise(database: &Database) -> Result<(), Error> {
    let initialise = || -> Result<(), ::redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        for definition in DEFINITIONS {
            transaction.open_table(definition)?;
        }
        write_format(&transaction)?;
        transaction.commit()?;
        Ok(())
    };
    guarded(initialise)
}

fn write_format(transaction: &WriteTransaction) -> Result<(), ::redb::Error> {
    let mut format = FORMAT.to_le_bytes().to_vec();
    seal::seal(Table::Meta, FORMAT_KEY, &mut format);
    transaction.open_table(DEFINITIONS[Table::Meta as usize])?.insert(FORMAT_KEY, format.as_slice())?;
    Ok(())
}

/// An open file, if it is a store that lacks nothing.
pub(super) fn admit(database: Database, file: &str, acknowledged: &Acknowledged) -> Result<Database, Error> {
    let check = || {
        let format = check_format(&database, file)?;
        if format < FORMAT {
            guarded(|| raise(&database))?;
        }
        let last = guarded(|| {
            let meta = database.begin_read()?.open_table(DEFINITIONS[Table::Meta as usize])?;
            Ok(CommitNumber::of(&meta)?)
        })?;
        acknowledged.check(last, file)
    };
    match check() {
        Ok(()) => Ok(database),
        Err(error) => {
            release(database);
            Err(error)
        }
    }
}

/// Makes a store of an earlier format one of this format: with all tables, and so that no earlier version writes to it, which
/// would not write all rows.
fn raise(database: &Database) -> Result<(), ::redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    for definition in DEFINITIONS {
        transaction.open_table(definition)?;
    }
    write_format(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// How a file of so many bytes is opened.
pub(super) fn builder(bytes: u64) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(bytes <= VERIFIED_BYTES);
    builder
}

/// Distinguishes a file that is not a store from one that is damaged.
fn check_magic(file: &mut File, name: &str) -> Result<(), Error> {
    let mut magic = [0; MAGIC.len()];
    let problem = match file.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => return Ok(()),
        Ok(()) => "is no store of Kitaru's; move it away, or name another folder".to_owned(),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => format!(
            "is cut short, shorter than any store; restore it from a backup, or move it and the file {} beside it away to \
             begin with an empty one",
            acknowledged::FILE
        ),
        Err(why) => format!("cannot be read: {why}"),
    };
    Err(Error::new(Kind::Store, format!("the file {name} {problem}. Nothing was changed")))
}

fn check_format(database: &Database, file: &str) -> Result<u32, Error> {
    let read = || -> Result<Option<Vec<u8>>, ::redb::Error> {
        let meta = database.begin_read()?.open_table(DEFINITIONS[Table::Meta as usize])?;
        Ok(meta.get(FORMAT_KEY)?.map(|format| format.value().to_vec()))
    };
    let no_store = |error: Error| error.context(format!("the file {file} is no store of Kitaru's, or is damaged"));
    let row = guarded(read).map_err(no_store)?;
    let known = row.map(|row| seal::open(Table::Meta, FORMAT_KEY, &row).map(|format| format.try_into().ok()));
    match known.transpose().map_err(no_store)?.flatten().map(u32::from_le_bytes) {
        Some(format) if format <= FORMAT => Ok(format),
        Some(format) => Err(Error::new(
            Kind::Store,
            format!(
                "the store {file} has format {format}, and this version of Kitaru reads up to {FORMAT}; update Kitaru. \
                 Nothing was changed"
            ),
        )),
        None => Err(Error::new(
            Kind::Store,
            format!("the file {file} is a redb file of another program; name another folder. Nothing was changed"),
        )),
    }
}

/// Runs redb, which panics on some damaged files.
pub(super) fn guarded<R>(work: impl FnOnce() -> Result<R, ::redb::Error>) -> Result<R, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(worked) => worked.map_err(explain),
        Err(panic) => Err(damaged(Error::panicked("redb", panic))),
    }
}

pub(super) fn damaged(why: Error) -> Error {
    Error::new(
        Kind::Store,
        "the store's file is damaged; restore it from a backup, or move its folder away to begin with an empty one",
    )
    .because(why)
}

/// redb's error in our words.
pub(super) fn explain(error: ::redb::Error) -> Error {
    match error {
        ::redb::Error::Io(why) if kind_of(&why) == Kind::StorageFull => Error::new(
            Kind::StorageFull,
            "the disk of the store is full; make room and call the flow again, it goes on where it stopped",
        )
        .because(why),
        ::redb::Error::Io(why) if why.kind() == io::ErrorKind::InvalidData || why.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(Error::msg(why))
        }
        ::redb::Error::Io(why) => Error::new(
            Kind::Store,
            "the disk of the store has failed; nothing that was acknowledged is lost. See to the disk, and call the flow \
             again",
        )
        .because(why),
        ::redb::Error::PreviousIo => Error::new(
            Kind::Store,
            "the store is being opened again after an error of its disk; call the flow again, it goes on where it stopped",
        ),
        ::redb::Error::DatabaseAlreadyOpen => Error::new(
            Kind::Locked,
            "the store's file is held by a program that does not take the folder's lock, or whose lock file was removed; end \
             that program",
        ),
        ::redb::Error::UpgradeRequired(version) => Error::new(
            Kind::Store,
            format!("the store's file has version {version} of redb's own format; this version of Kitaru cannot read it"),
        ),
        ::redb::Error::ValueTooLarge(bytes) => {
            Error::new(Kind::TooLarge, format!("a row has {bytes} bytes, more than redb takes; lower the bound of outcomes"))
        }
        other => damaged(Error::msg(other)),
    }
}
