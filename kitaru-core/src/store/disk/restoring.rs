//! A new store that gets its rows before it is one. Owns that an incomplete one is never opened as a store; must not know where the
//! rows are from.

use std::path::Path;

use ::redb::Database;
use ::redb::backends::FileBackend;

use crate::error::{Error, Kind, cannot};
use crate::store::disk::OpenOptions;
use crate::store::disk::database::{self, DEFINITIONS, builder, raise, release};
use crate::store::disk::failure::guarded;
use crate::store::disk::files::{self, FolderContent, RESTORED, is_there};
use crate::store::disk::mark::Mark;
use crate::store::folder::Folder;
use crate::store::lock::FolderLock;
use crate::store::platform::FilePresence;
use crate::store::{Row, Table};

/// A store that is being made. It is removed unless it is finished.
pub(crate) struct NewDisk {
    folder: Folder,
    _lock: FolderLock,
    /// None once it is finished.
    database: Option<Database>,
}

impl NewDisk {
    /// Begins a store in a folder that has none. The remains of an earlier one that was not finished are removed.
    ///
    /// # Errors
    ///
    /// When the folder holds a store or what is left of one, or cannot be written.
    pub(crate) fn begin(dir: &Path, options: OpenOptions) -> Result<Self, Error> {
        let folder = Folder::open(dir)?;
        // Before the lock as well as behind it: a program may hold the store that is there.
        check_is_free(&folder)?;
        let lock = FolderLock::take(&folder, options.lock_timeout)?;
        if check_is_free(&folder)? {
            folder.remove(RESTORED).map_err(|why| files::unmade(&folder, why))?;
        }
        let file = folder.file(RESTORED, FilePresence::New).map_err(|why| files::unmade(&folder, why))?;
        let database = guarded(|| Ok(builder(0).create_with_backend(FileBackend::new(file)?)?))?;
        let disk = NewDisk { folder, _lock: lock, database: Some(database) };
        disk.work(|database| raise(database, &Mark::first(0)))?;
        Ok(disk)
    }

    /// Writes rows, which are durable when this returns.
    ///
    /// # Errors
    ///
    /// When the disk does not take them.
    pub(crate) fn write(&self, rows: Vec<Row>) -> Result<(), Error> {
        self.work(|database| {
            guarded(|| {
                let transaction = database::begin(database)?;
                for table in Table::ALL {
                    let mut of_table = rows.iter().filter(|row| row.table == table).peekable();
                    if of_table.peek().is_none() {
                        continue;
                    }
                    let mut open = transaction.open_table(DEFINITIONS[table as usize])?;
                    for Row { key, value, .. } in of_table {
                        open.insert(key.as_bytes(), value.as_deref().unwrap_or_default())?;
                    }
                }
                Ok(transaction.commit()?)
            })
        })
    }

    fn work(&self, work: impl FnOnce(&Database) -> Result<(), Error>) -> Result<(), Error> {
        self.database.as_ref().map_or(Ok(()), work)
    }

    /// Makes it a store.
    ///
    /// # Errors
    ///
    /// When its files cannot be written. There is no store then.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let unmade = |why| files::unmade(&self.folder, why);
        files::make_log(&self.folder)?;
        // The names of the log and of the folder are durable before that of the store.
        self.folder.sync_name().map_err(unmade)?;
        self.folder.sync().map_err(unmade)?;
        // redb writes to the file when it is closed.
        self.database.take().into_iter().for_each(release);
        let renamed = self.folder.rename(RESTORED, files::FILE).and_then(|()| self.folder.sync());
        renamed.map_err(|why| files::unmade(&self.folder, why))
    }
}

/// Refuses a folder that holds a store. Returns whether it holds one that was not finished.
fn check_is_free(folder: &Folder) -> Result<bool, Error> {
    match is_there(folder)? {
        FolderContent::Nothing => Ok(false),
        FolderContent::Remains(name) if name == RESTORED => Ok(true),
        FolderContent::Store | FolderContent::Remains(_) => {
            let dir = folder.path().display();
            Err(cannot!(
                Kind::Misuse,
                "restore a backup to {dir}",
                "it holds a store, or a file of one",
                "name another folder, or move the store away"
            ))
        }
    }
}

impl Drop for NewDisk {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            release(database);
            let _ = self.folder.remove(RESTORED);
        }
    }
}

impl std::fmt::Debug for NewDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewDisk").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}
