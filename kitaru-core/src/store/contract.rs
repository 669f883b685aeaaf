//! What a store promises. Owns the trait and the words of it; must not know who keeps it.

use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;

use crate::error::{Error, Kind, cannot};
use crate::store::RowKey;

/// A durable, ordered key-value store with atomic batches: all that the journals need.
///
/// Its methods block. They are called from threads that may: the writer's, and the runtime's blocking pool.
///
/// # What a crash may leave
///
/// After any end of the process, a power cut included, a store that is opened again holds every batch for which
/// [`commit`](Store::commit) has returned `Ok`, whole, and of every other batch all or nothing. Batches that follow each
/// other are there in order: none without the ones before it.
pub trait Store: Send + Sync + 'static {
    /// Makes all rows durable, or none. Of two rows with one key the later stands.
    ///
    /// # Errors
    ///
    /// When it is not known that the rows are durable. After a full disk or an I/O error the store works again as
    /// soon as the disk does, without being opened again.
    fn commit(&self, rows: Vec<Row>) -> Result<(), Error>;

    /// The value under a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Shows the rows of a range, from one state of the store, until `visit` breaks.
    ///
    /// # Errors
    ///
    /// When the store cannot be read. What was shown before is right.
    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error>;

    /// Shows the rows of all tables, from one state of the store, in the order of tables and keys, until `visit` breaks.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or has no way to keep one state: only stores of tests have none.
    fn scan_all(&self, visit: VisitAll<'_>) -> Result<(), Error> {
        let _ = visit;
        Err(cannot!(Kind::Misuse, "read the whole store", "it keeps no state", "use a store on disk or in memory"))
    }

    /// What it occupies.
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }

    /// Releases the store, for other processes too. Closing twice is not an error; every other call fails from then on.
    ///
    /// # Errors
    ///
    /// When it cannot be closed cleanly. It is released nevertheless.
    fn close(&self) -> Result<(), Error>;
}

/// What a store occupies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Its folder, and the version of its format, if it is on disk.
    pub on_disk: Option<(PathBuf, u32)>,
    /// The bytes of its files.
    pub bytes: u64,
}

/// A range of keys, ordered bytewise.
pub type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What is shown each key and value of a range.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// What is shown each row of a store.
pub type VisitAll<'a> = &'a mut dyn FnMut(Table, &[u8], &[u8]) -> ControlFlow<()>;

/// One table of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
#[repr(u8)]
pub enum Table {
    /// About the store itself.
    Meta = 0,
    /// The header of each generation.
    Execution = 1,
    /// From flow, id and generation to the header.
    Name = 2,
    /// Generations that are not finished: a dead process would leave them behind.
    Unfinished = 3,
    /// The records.
    Journal = 4,
    /// The texts of shapes, by their fingerprints.
    Shape = 5,
    /// Results that other executions may use.
    Memo = 6,
    /// What is sent to executions from outside, and what of their waits is shown there.
    Aside = 7,
    /// By what generations are found, without a value.
    Index = 8,
}

impl Table {
    /// Every table, in the order of their numbers.
    pub const ALL: [Table; 9] = [
        Table::Meta,
        Table::Execution,
        Table::Name,
        Table::Unfinished,
        Table::Journal,
        Table::Shape,
        Table::Memo,
        Table::Aside,
        Table::Index,
    ];
}

/// A row to be written, or deleted where it has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: RowKey,
    /// The value, or nothing to delete what is there.
    pub value: Option<Vec<u8>>,
}

/// In which order a range is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The lowest key first.
    Ascending,
    /// The highest key first.
    Descending,
}
