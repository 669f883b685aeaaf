//! The upkeep of a store. Owns the file of a backup until it is whole; must not know who asks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use kitaru_core::Kitaru;

use super::shown;
use crate::api;
use crate::problem::Problem;

/// Deletes executions whose retention is over, or counts them.
pub(super) async fn collect(kitaru: &Kitaru, gc: api::Gc) -> Result<api::Collected, Problem> {
    let api::Gc { older_than_ms, dry_run } = gc;
    let request = match older_than_ms {
        Some(ms) => kitaru.gc().older_than(Duration::from_millis(ms)),
        None => kitaru.gc(),
    };
    let collected = if dry_run { request.only_count().await? } else { request.await? };
    Ok(api::Collected { generations: collected.generations(), bytes: collected.bytes() })
}

/// Who deleted what.
pub(super) async fn audit(kitaru: &Kitaru) -> Result<api::Audit, Problem> {
    Ok(api::Audit { entries: kitaru.audit().await?.iter().map(shown::audit).collect() })
}

/// Looks at every row.
pub(super) async fn check_up(kitaru: &Kitaru) -> Result<api::Checkup, Problem> {
    Ok(shown::checkup(&kitaru.checkup().await?))
}

/// Writes a backup, under another name until it is whole and durable.
pub(super) async fn back_up(kitaru: &Kitaru, wanted: &api::BackUp) -> Result<api::Backup, Problem> {
    let whole = PathBuf::from(&wanted.file);
    if !whole.is_absolute() {
        return Err(Problem::misuse(format!(
            "cannot write the backup to {:?}: its path is not absolute; begin it with /",
            wanted.file
        )));
    }
    let part = unfinished(&whole);
    let (begun, named) = (part.clone(), whole.clone());
    let file = off_the_runtime(move || begin(&begun, &named)).await?;
    let written = write(kitaru, file, (part.clone(), whole)).await;
    if written.is_err() {
        let _ = off_the_runtime(move || fs::remove_file(part)).await;
    }
    written
}

/// The name of a backup until it is whole: another one each time, so that two to one file do not share it.
fn unfinished(whole: &Path) -> PathBuf {
    static NTH: AtomicU64 = AtomicU64::new(0);
    let (pid, nth) = (std::process::id(), NTH.fetch_add(1, Ordering::Relaxed));
    let mut name = whole.to_owned().into_os_string();
    name.push(format!(".{pid}-{nth}.part"));
    PathBuf::from(name)
}

fn begin(part: &Path, whole: &Path) -> io::Result<File> {
    if fs::symlink_metadata(whole).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // A file that is there is not this process's.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)
}

async fn write(kitaru: &Kitaru, file: File, (part, whole): (PathBuf, PathBuf)) -> Result<api::Backup, Problem> {
    let out = file.try_clone().map_err(|why| unwritten(&why))?;
    let backup = kitaru.backup(BufWriter::new(out)).await?;
    let finish = move || {
        file.sync_all()?;
        // Unlike a rename, it does not replace a file that is there by now.
        match fs::hard_link(&part, &whole) {
            Ok(()) => fs::remove_file(&part)?,
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => return Err(why),
            // Not every file system has links.
            Err(_) => fs::rename(&part, &whole)?,
        }
        whole.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    off_the_runtime(finish).await?;
    Ok(api::Backup { rows: backup.rows(), bytes: backup.bytes() })
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|why| Err(io::Error::other(why)));
    done.map_err(|why| unwritten(&why))
}

fn unwritten(why: &io::Error) -> Problem {
    match why.kind() {
        io::ErrorKind::AlreadyExists => Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "cannot write the backup: the file exists; name another one, or remove it",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "storage_full",
            format!("cannot write the backup: {why}; name a file on another disk"),
        ),
        _ => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            format!("cannot write the backup: {why}; name a file that the process of the store can write"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_backups_to_one_file_do_not_share_an_unfinished_one() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("backup");
        let (first, second) = (unfinished(&whole), unfinished(&whole));
        assert_ne!(first, second);
        begin(&first, &whole).unwrap();
        begin(&second, &whole).unwrap();
        assert_eq!(begin(&first, &whole).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
