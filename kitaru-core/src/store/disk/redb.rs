//! The rows in the redb file. Owns that a commit is durable, and that the file is opened again after an I/O error; must not
//! know of the log in front of it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ::redb::{Database, ReadTransaction, ReadableDatabase, TableError, WriteTransaction};

use crate::error::Error;
use crate::store::Table;
use crate::store::disk::database::{self, DEFINITIONS, release};
use crate::store::disk::failure::{closed, damaged, explain};
use crate::store::disk::mark::Mark;

/// Opens the file, now and again.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, Error> + Send + Sync>;

/// A redb file that is opened again where redb has given up after an I/O error.
pub(super) struct Redb {
    open: Opener,
    state: RwLock<State>,
}

enum State {
    Open(Database),
    /// An I/O error has made redb refuse all work. The next call opens the file again.
    Failed,
    Closed,
}

/// The rows as they were at one moment. While it is there, the file is not closed.
pub(super) struct Snapshot<'a> {
    redb: &'a Redb,
    state: RwLockReadGuard<'a, State>,
    transaction: ReadTransaction,
}

impl Redb {
    pub(super) fn new(open: Opener, database: Database) -> Self {
        Redb { open, state: RwLock::new(State::Open(database)) }
    }

    /// Commits what `fill` writes, and that the store has come so far.
    pub(super) fn commit(
        &self,
        mark: &Mark,
        fill: impl Fn(&mut OpenTables<'_>) -> Result<(), ::redb::Error>,
    ) -> Result<(), Error> {
        self.work(|database| {
            let transaction = database::begin(database)?;
            let mut tables = OpenTables::of(&transaction);
            fill(&mut tables)?;
            for (key, value) in mark.rows() {
                tables.write(Table::Meta, key, Some(&value))?;
            }
            drop(tables);
            Ok(transaction.commit()?)
        })
    }

    /// How far the file has come.
    pub(super) fn mark(&self) -> Result<Mark, Error> {
        self.work(|database| {
            let meta = database.begin_read()?.open_table(DEFINITIONS[Table::Meta as usize])?;
            Ok(Mark::of(&meta)?)
        })
    }

    /// The rows as they are now.
    pub(super) fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        let state = self.ready()?;
        let State::Open(database) = &*state else { return Err(closed()) };
        match catch_unwind(AssertUnwindSafe(|| database.begin_read())) {
            Ok(Ok(transaction)) => Ok(Snapshot { redb: self, state, transaction }),
            Ok(Err(error)) => {
                drop(state);
                self.fail();
                Err(explain(error.into()))
            }
            Err(panic) => {
                drop(state);
                self.fail();
                Err(damaged(Error::panicked("a call of redb", panic)))
            }
        }
    }

    /// Has the next call open the file again.
    pub(super) fn fail(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(_) = *state {
            release(std::mem::replace(&mut *state, State::Failed));
        }
    }

    /// Closes the file. What is read until then is read to its end.
    pub(super) fn close(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        release(std::mem::replace(&mut *state, State::Closed));
    }

    /// Works on the open database. Where redb fails for good, the next call opens the file again.
    pub(super) fn work<R>(&self, work: impl Fn(&Database) -> Result<R, ::redb::Error>) -> Result<R, Error> {
        let state = self.ready()?;
        let State::Open(database) = &*state else { return Err(closed()) };
        // redb panics on some damaged files.
        let worked = catch_unwind(AssertUnwindSafe(|| work(database)));
        drop(state);
        self.judge(worked)
    }

    fn judge<R>(&self, worked: std::thread::Result<Result<R, ::redb::Error>>) -> Result<R, Error> {
        let error = match worked {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => explain(error),
            Err(panic) => damaged(Error::panicked("a call of redb", panic)),
        };
        self.fail();
        Err(error)
    }

    /// The database, opened again if need be.
    fn ready(&self) -> Result<RwLockReadGuard<'_, State>, Error> {
        loop {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if !matches!(*state, State::Failed) {
                return Ok(state);
            }
            drop(state);
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if let State::Failed = *state {
                *state = State::Open((self.open)()?);
            }
            // Another call may have it opened again before this one reads it.
        }
    }
}

impl Snapshot<'_> {
    /// Reads. Where redb fails for good, the next call opens the file again.
    pub(super) fn read<R>(self, read: impl FnOnce(&ReadTransaction) -> Result<R, ::redb::Error>) -> Result<R, Error> {
        let Snapshot { redb, state, transaction } = self;
        let done = catch_unwind(AssertUnwindSafe(|| read(&transaction)));
        drop((transaction, state));
        redb.judge(done)
    }

    pub(super) fn get(self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read(|transaction| {
            let table = transaction.open_table(DEFINITIONS[table as usize])?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        })
    }
}

/// The tables that a transaction has opened so far.
pub(super) struct OpenTables<'t> {
    transaction: &'t WriteTransaction,
    open: [Option<::redb::Table<'t, &'static [u8], &'static [u8]>>; Table::ALL.len()],
}

impl<'t> OpenTables<'t> {
    fn of(transaction: &'t WriteTransaction) -> Self {
        OpenTables { transaction, open: Default::default() }
    }

    /// Writes a row, or deletes it where there is no value.
    pub(super) fn write(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Result<(), ::redb::Error> {
        let table = self.table(table)?;
        match value {
            Some(value) => table.insert(key, value)?,
            None => table.remove(key)?,
        };
        Ok(())
    }

    fn table(&mut self, table: Table) -> Result<&mut ::redb::Table<'t, &'static [u8], &'static [u8]>, TableError> {
        let nth = table as usize;
        Ok(match &mut self.open[nth] {
            Some(table) => table,
            none => none.insert(self.transaction.open_table(DEFINITIONS[nth])?),
        })
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb").finish_non_exhaustive()
    }
}
