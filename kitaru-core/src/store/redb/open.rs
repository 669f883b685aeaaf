//! Opening and making the file of a store, and saying what is wrong with one that cannot be opened. Must not know what
//! is in its tables, but for the version of the format.

use std::fs::{self, File};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use ::redb::{Builder, Database, ReadableDatabase};

use crate::error::{Error, Kind};
use crate::store::Table;
use crate::store::lock::FolderLock;
use crate::store::redb::acknowledged::{Acknowledged, CommitNumber};
use crate::store::redb::{DEFINITIONS, release};

pub(super) const FILE: &str = "store.redb";
/// Made under another name, so that a crash while it is made leaves no file that looks like a damaged store.
const UNFINISHED: &str = "store.redb.new";

/// The version of the tables and their rows.
const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";

/// What a file of redb's begins with (redb, docs/design.md, "Database header").
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// A library keeps its hands off the memory of its program: redb's own default is a gigabyte.
const CACHE_BYTES: usize = 64 << 20;

/// Up to this size a file is verified whole when it is opened: our checksums find what is wrong in a row, redb's what is
/// wrong between rows, so that one is missing. A larger one is verified after a kill only, because the time to open it would
/// grow with it.
const VERIFIED_BYTES: u64 = 16 << 20;

/// Makes the folder and takes its lock.
pub(super) fn prepare(dir: &Path, lock_timeout: Duration) -> Result<FolderLock, Error> {
    let unusable = |what: &str, why: io::Error| {
        let hint = match why.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; let this user write it, or name another"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "; a file is in the way, name another folder"
            }
            _ => "; name another folder with .dir(…) or KITARU_DIR",
        };
        Error::new(kind_of(&why), format!("the folder {} of the store cannot be {what}{hint}", dir.display()))
            .because(why)
    };
    fs::create_dir_all(dir).map_err(|why| unusable("made", why))?;
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(|why| unusable("written", why))?;
    }
    FolderLock::take(dir, lock_timeout)
}

pub(super) fn create_if_missing(dir: &Path, file: &Path) -> Result<(), Error> {
    if file.exists() {
        return Ok(());
    }
    let unfinished = dir.join(UNFINISHED);
    let made =
        |why: io::Error| Error::new(kind_of(&why), format!("the store {} cannot be made", file.display())).because(why);
    match fs::remove_file(&unfinished) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(made(why)),
        _ => {}
    }
    let database = guarded(|| builder(0).create(&unfinished).map_err(::redb::Error::from))?;
    initialise(&database)?;
    drop(database);
    // Of a store that was moved away.
    Acknowledged::forget(dir).map_err(made)?;
    fs::rename(&unfinished, file).map_err(made)?;
    // The name is durable only with its folder.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(made)
}

/// Makes the tables of a new store.
pub(super) fn initialise(database: &Database) -> Result<(), Error> {
    let initialise = || -> Result<(), ::redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        for definition in DEFINITIONS {
            transaction.open_table(definition)?;
        }
        let mut format = FORMAT.to_le_bytes().to_vec();
        crate::store::seal(Table::Meta, FORMAT_KEY, &mut format);
        transaction.open_table(DEFINITIONS[Table::Meta as usize])?.insert(FORMAT_KEY, format.as_slice())?;
        transaction.commit()?;
        Ok(())
    };
    guarded(initialise)
}

/// Opens a file that is there.
pub(super) fn existing(file: &Path, acknowledged: &Acknowledged) -> Result<Database, Error> {
    check_magic(file)?;
    let bytes = fs::metadata(file).map_or(u64::MAX, |file| file.len());
    let database = guarded(|| builder(bytes).open(file).map_err(::redb::Error::from))
        .map_err(|error| error.context(format!("the store {} cannot be opened", file.display())))?;
    admit(database, &file.display().to_string(), acknowledged)
}

/// An open file, if it is a store that lacks nothing.
pub(super) fn admit(database: Database, file: &str, acknowledged: &Acknowledged) -> Result<Database, Error> {
    let check = || {
        check_format(&database, file)?;
        guarded(|| complete(&database))?;
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

/// Makes the table that a store of an earlier version does not have.
fn complete(database: &Database) -> Result<(), ::redb::Error> {
    let definition = DEFINITIONS[Table::Aside as usize];
    match database.begin_read()?.open_table(definition) {
        Err(::redb::TableError::TableDoesNotExist(_)) => {}
        found => return found.map(drop).map_err(::redb::Error::from),
    }
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(definition)?;
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

/// Tells a file that is no store from one that is damaged.
fn check_magic(file: &Path) -> Result<(), Error> {
    let mut magic = [0; MAGIC.len()];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    let problem = match read {
        Ok(()) if magic == MAGIC => return Ok(()),
        Ok(()) => "is no store of Kitaru's; move it away, or name another folder".to_owned(),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
            "is cut short, shorter than any store; restore it from a backup, or move it away to begin with an empty one"
                .to_owned()
        }
        Err(why) => format!("cannot be read: {why}"),
    };
    Err(Error::new(Kind::Store, format!("the file {} {problem}. Nothing was changed", file.display())))
}

fn check_format(database: &Database, file: &str) -> Result<(), Error> {
    let read = || -> Result<Option<Vec<u8>>, ::redb::Error> {
        let meta = database.begin_read()?.open_table(DEFINITIONS[Table::Meta as usize])?;
        Ok(meta.get(FORMAT_KEY)?.map(|format| format.value().to_vec()))
    };
    let known = guarded(read)
        .map_err(|error| error.context(format!("the file {file} is no store of Kitaru's, or is damaged")))?
        .and_then(|format| format.first_chunk().map(|format| u32::from_le_bytes(*format)));
    match known {
        Some(format) if format <= FORMAT => Ok(()),
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
        "the store's file is damaged; restore it from a backup, or move it away to begin with an empty one",
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
            "the store's file is held by a program that does not take the folder's lock; end that program",
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

fn kind_of(why: &io::Error) -> Kind {
    match why.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::StorageFull,
        _ => Kind::Store,
    }
}
