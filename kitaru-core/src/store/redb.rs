//! A store in a redb file. Owns what redb needs to keep the contract: tables, durability, being opened again after an
//! I/O error. Must not know what the rows mean.

mod acknowledged;
mod database;
mod open;

#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use ::redb::{Database, ReadableDatabase, TableError, WriteTransaction};

use crate::error::{Error, Kind};
use crate::store::folder::Folder;
use crate::store::lock::{self, FolderLock};
use crate::store::redb::acknowledged::{Acknowledged, CommitNumber};
use crate::store::redb::database::{DEFINITIONS, release};
use crate::store::redb::open::StoreFile;
use crate::store::{Durability, Order, Range, Row, Store, Table, Visit};

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

/// A store in a folder, in one redb file.
pub struct Redb {
    /// Opens the file, again where redb has given up after an I/O error.
    open: Opener,
    database: RwLock<State>,
    acknowledged: Arc<Acknowledged>,
    /// None where there is no folder.
    file: Option<Arc<StoreFile>>,
    /// Held for as long as the store is not closed, also while the file is opened again.
    lock: Mutex<Option<FolderLock>>,
}

type Opener = Box<dyn Fn() -> Result<Database, Error> + Send + Sync>;

enum State {
    Open(Database),
    /// An I/O error has made redb refuse all work. The next call opens it again.
    Failed,
    Closed,
}

impl Redb {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written; when another process holds it after the lock timeout; when the file
    /// there is no store, is missing where there was one, is a link, is damaged, of a newer format, or lacks commits that
    /// were acknowledged. Nothing is overwritten.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self, Error> {
        let folder = Folder::open(dir)?;
        let lock = FolderLock::take(&folder, options.lock_timeout)?;
        let file = Arc::new(StoreFile::find_or_make(folder)?);
        let acknowledged = Arc::new(Acknowledged::beside(file.folder())?);
        let (opened, checked) = (file.clone(), acknowledged.clone());
        Self::with(Box::new(move || opened.open(&checked)), acknowledged, Some((file, lock)))
    }

    fn with(
        open: Opener,
        acknowledged: Arc<Acknowledged>,
        place: Option<(Arc<StoreFile>, FolderLock)>,
    ) -> Result<Self, Error> {
        let database = RwLock::new(State::Open(open()?));
        let (file, lock) = place.unzip();
        Ok(Redb { open, database, acknowledged, file, lock: Mutex::new(lock) })
    }

    /// Which of the store's folder and files others than this user may use, with their modes: what was there before and is
    /// left as it is. What is made here is for this user only.
    pub(crate) fn open_to_others(&self) -> Vec<String> {
        let names = [open::FILE, acknowledged::FILE, lock::FILE];
        self.file.as_ref().map_or_else(Vec::new, |file| file.folder().open_to_others(&names))
    }

    /// Works on the open database. Where redb fails for good, the next call opens it again.
    fn work<R>(&self, work: impl Fn(&Database) -> Result<R, ::redb::Error>) -> Result<R, Error> {
        let state = self.ready()?;
        let State::Open(database) = &*state else { return Err(closed()) };
        // redb panics on some damaged files.
        let worked = catch_unwind(AssertUnwindSafe(|| work(database)));
        drop(state);
        let error = match worked {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => open::explain(error),
            Err(panic) => open::damaged(Error::panicked("redb", panic)),
        };
        self.fail();
        Err(error)
    }

    /// The database, opened again if need be.
    fn ready(&self) -> Result<RwLockReadGuard<'_, State>, Error> {
        let state = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Failed) {
            return Ok(state);
        }
        drop(state);
        let mut state = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Failed = *state {
            *state = State::Open((self.open)()?);
        }
        drop(state);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self) {
        let mut state = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(_) = *state {
            release(std::mem::replace(&mut *state, State::Failed));
        }
    }
}

fn closed() -> Error {
    Error::new(Kind::Closed, "the store was closed; open it again to go on")
}

/// The tables that a transaction has opened so far.
struct Tables<'t> {
    transaction: &'t WriteTransaction,
    open: [Option<::redb::Table<'t, &'static [u8], &'static [u8]>>; Table::ALL.len()],
}

impl<'t> Tables<'t> {
    fn of(transaction: &'t WriteTransaction) -> Self {
        Tables { transaction, open: Default::default() }
    }

    fn table(&mut self, table: Table) -> Result<&mut ::redb::Table<'t, &'static [u8], &'static [u8]>, TableError> {
        let nth = table as usize;
        Ok(match &mut self.open[nth] {
            Some(table) => table,
            none => none.insert(self.transaction.open_table(DEFINITIONS[nth])?),
        })
    }

    fn write(&mut self, Row { table, key, value }: &Row) -> Result<(), ::redb::Error> {
        let table = self.table(*table)?;
        match value {
            Some(value) => table.insert(key.as_bytes(), value.as_slice())?,
            None => table.remove(key.as_bytes())?,
        };
        Ok(())
    }

    /// Numbers the commit.
    fn number(&mut self) -> Result<CommitNumber, ::redb::Error> {
        let meta = self.table(Table::Meta)?;
        let number = CommitNumber::of(meta)?.next();
        meta.insert(CommitNumber::KEY, number.sealed().as_slice())?;
        Ok(number)
    }
}

impl Store for Redb {
    fn commit(&self, rows: &[Row], durability: Durability) -> Result<(), Error> {
        let committed = self.work(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(durability == Durability::QuickRepair);
            let mut tables = Tables::of(&transaction);
            rows.iter().try_for_each(|row| tables.write(row))?;
            // One without rows has nothing that could be missed.
            let number = if rows.is_empty() { None } else { Some(tables.number()?) };
            drop(tables);
            transaction.commit()?;
            Ok(number)
        })?;
        // After the commit: a write to a file that the path does not lead to is not acknowledged.
        if let Some(Err(gone)) = self.file.as_ref().map(|file| file.check_is_in_place()) {
            self.fail();
            return Err(gone);
        }
        // Behind the commit: a number that is there says that its commit was durable.
        committed.into_iter().for_each(|number| self.acknowledged.keep(number));
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(DEFINITIONS[table as usize])?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, table: Table, range: Range<'_>, order: Order, visit: Visit<'_>) -> Result<(), Error> {
        let visit = std::cell::RefCell::new(visit);
        self.work(|database| {
            let table = database.begin_read()?.open_table(DEFINITIONS[table as usize])?;
            let mut rows = table.range::<&[u8]>(range)?;
            loop {
                let row = match order {
                    Order::Ascending => rows.next(),
                    Order::Descending => rows.next_back(),
                };
                let Some(row) = row else { return Ok(()) };
                let (key, value) = row?;
                if (*visit.borrow_mut())(key.value(), value.value()).is_break() {
                    return Ok(());
                }
            }
        })
    }

    fn close(&self) -> Result<(), Error> {
        let mut state = self.database.write().unwrap_or_else(PoisonError::into_inner);
        release(std::mem::replace(&mut *state, State::Closed));
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb").finish_non_exhaustive()
    }
}
