//! What all work on a database of redb's needs: its tables, its format, and how it is opened and released.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::redb::{Builder, Database, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::error::{Error, Kind, cannot, drop_payload};
use crate::store::disk::failure::guarded;
use crate::store::disk::mark::{Mark, Marked};
use crate::store::{Table, seal};

pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The names in the file, by the number of the table.
pub(super) const DEFINITIONS: [Definition; Table::ALL.len()] = [
    TableDefinition::new("meta"),
    TableDefinition::new("execution"),
    TableDefinition::new("name"),
    TableDefinition::new("unfinished"),
    TableDefinition::new("journal"),
    TableDefinition::new("shape"),
    TableDefinition::new("memo"),
    TableDefinition::new("aside"),
    TableDefinition::new("index"),
];

/// The version of the files, the tables and their rows. Version 1 has no log and no index.
pub(super) const FORMAT: u32 = 2;
/// The first version with a log.
const LOGGED: u32 = 2;
const FORMAT_KEY: &[u8] = b"format";

/// A library keeps its hands off the memory of its program: redb's own default is a gigabyte.
const CACHE_BYTES: usize = 64 << 20;

/// Up to this size a file is verified whole when it is opened: our checksums find what is wrong in a row, redb's what is
/// wrong between rows, so that one is missing. A larger one is verified after a kill only, because the time to open it would
/// grow with it.
const VERIFIED_BYTES: u64 = 16 << 20;

/// Whether every file stands for one that is too large to be verified.
#[cfg(test)]
pub(super) static ALL_ARE_LARGE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// How a file of so many bytes is opened.
pub(super) fn builder(bytes: u64) -> Builder {
    #[cfg(test)]
    let bytes = if ALL_ARE_LARGE.load(std::sync::atomic::Ordering::SeqCst) { u64::MAX } else { bytes };
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(bytes <= VERIFIED_BYTES);
    builder
}

/// Drops a database, which after a failure, or where it is damaged, may panic.
pub(super) fn release<D>(database: D) {
    catch_unwind(AssertUnwindSafe(|| drop(database))).unwrap_or_else(drop_payload);
}

/// A transaction whose commit is durable and lets the file open quickly after a kill.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, ::redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Makes a new store, or one of an earlier format, a store of this format: with all tables, and so that no earlier version
/// writes to it, which would neither see its log nor write all rows.
pub(super) fn raise(database: &Database, mark: &Mark) -> Result<(), Error> {
    guarded(|| {
        let transaction = begin(database)?;
        for definition in DEFINITIONS {
            transaction.open_table(definition)?;
        }
        write_format(&transaction, mark)?;
        Ok(transaction.commit()?)
    })
}

fn write_format(transaction: &WriteTransaction, mark: &Mark) -> Result<(), ::redb::Error> {
    let mut meta = transaction.open_table(DEFINITIONS[Table::Meta as usize])?;
    let mut format = FORMAT.to_le_bytes().to_vec();
    seal::seal(Table::Meta, FORMAT_KEY, &mut format);
    meta.insert(FORMAT_KEY, format.as_slice())?;
    for (key, value) in mark.rows() {
        meta.insert(key, value.as_slice())?;
    }
    Ok(())
}

/// How far a store has come.
///
/// # Errors
///
/// When it is another program's, has a newer format, or is damaged.
pub(super) fn marked(database: &impl ReadableDatabase, file: &str) -> Result<Marked, Error> {
    let format = check_format(database, file)?;
    guarded(|| {
        let meta = database.begin_read()?.open_table(DEFINITIONS[Table::Meta as usize])?;
        if format < LOGGED {
            return Ok(Marked::Unlogged { sequence: Mark::sequence_of(&meta)? });
        }
        Ok(Marked::Logged(Mark::of(&meta)?))
    })
}

fn check_format(database: &impl ReadableDatabase, file: &str) -> Result<u32, Error> {
    let read = || -> Result<Option<Vec<u8>>, ::redb::Error> {
        let meta = database.begin_read()?.open_table(DEFINITIONS[Table::Meta as usize])?;
        Ok(meta.get(FORMAT_KEY)?.map(|format| format.value().to_vec()))
    };
    let no_store = |error: Error| {
        error.context(format!("cannot open the store {file}: it is not a store of Kitaru's, or is damaged"))
    };
    let row = guarded(read).map_err(no_store)?;
    let known = row.map(|row| seal::open(Table::Meta, FORMAT_KEY, &row).map(|format| format.try_into().ok()));
    match known.transpose().map_err(no_store)?.flatten().map(u32::from_le_bytes) {
        Some(format) if format <= FORMAT => Ok(format),
        Some(format) => Err(cannot!(
            Kind::Store,
            "open the store {file}",
            "it has format {format}, this version of Kitaru reads up to {FORMAT}",
            "update Kitaru"
        )),
        None => Err(cannot!(
            Kind::Store,
            "open the store {file}",
            "it is a redb file of another program",
            "name another folder"
        )),
    }
}
