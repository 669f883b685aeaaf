//! Whole stores on their way out and in. Owns which rows a backup has; must not know where its bytes go.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Kind, cannot};
use crate::ledger::backup::{Backup, BackupReader, BackupRow, BackupWriter};
use crate::ledger::embedded::Archive;
use crate::ledger::embedded::opening::SECRET;
use crate::store::{NewDisk, OpenOptions, Row, RowKey, Table, seal};

/// How long another process may hold the folder that a backup is restored to.
const LOCK: Duration = Duration::from_secs(1);

/// What the table `meta` has of the files of a store: those of the restored one say it of themselves.
const OF_FILES: [&[u8]; 3] = [b"format", b"commit", b"log"];

impl Archive {
    /// Writes all rows, as they are at one moment, until they are written or `goes_on` says no. Blocks.
    pub(crate) fn back_up(
        &self,
        out: impl Write,
        now_ms: u64,
        goes_on: impl Fn() -> Result<(), Error>,
    ) -> Result<Backup, Error> {
        let mut writer = BackupWriter::begin(out, now_ms).map_err(unwritable)?;
        let mut stopped = None;
        self.reader.scan_all(&mut |table, key, value| {
            if table == Table::Meta && OF_FILES.contains(&key) {
                return ControlFlow::Continue(());
            }
            let written = goes_on().and_then(|()| writer.row(table as u8, key, value).map_err(unwritable));
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    stopped = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match stopped {
            Some(error) => Err(error),
            None => writer.finish().map_err(unwritable),
        }
    }
}

/// Makes the store of a backup in a folder that has none. Blocks.
///
/// # Errors
///
/// When the folder holds a store, when the backup is damaged or of a newer version, when a file cannot be written. The folder
/// holds no store then.
pub(crate) fn restore(input: impl Read, dir: &Path) -> Result<Backup, Error> {
    let mut reader = BackupReader::begin(input)?;
    let disk = NewDisk::begin(dir, OpenOptions { lock_timeout: LOCK })?;
    let mut has_secret = false;
    while let Some(rows) = reader.block()? {
        has_secret |= rows.iter().any(|row| row.table == Table::Meta as u8 && row.key == SECRET);
        let rows = rows.into_iter().filter(|row| row.table != 0 || !OF_FILES.contains(&&*row.key));
        disk.write(rows.map(sealed).collect::<Result<_, _>>()?)?;
    }
    if !has_secret {
        return Err(cannot!(
            Kind::Store,
            "restore the backup",
            "the secret of its store is missing",
            "use another one"
        ));
    }
    disk.finish()?;
    Ok(reader.total())
}

fn sealed(row: BackupRow) -> Result<Row, Error> {
    let BackupRow { table: number, key, mut value } = row;
    let Some(table) = Table::ALL.get(usize::from(number)).copied() else {
        return Err(cannot!(
            Kind::Store,
            "restore the backup",
            "it has rows of a table {number}, which this version does not know",
            "update Kitaru"
        ));
    };
    seal(table, &key, &mut value);
    Ok(Row { table, key: RowKey::from(key), value: Some(value) })
}

fn unwritable(why: io::Error) -> Error {
    let kind = match why.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::StorageFull,
        _ => Kind::Store,
    };
    cannot!(kind, "write the backup", "the system does not take it", "check its disk").because(why)
}
