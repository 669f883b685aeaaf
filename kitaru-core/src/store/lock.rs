//! The lock on a store's folder. Owns that one process at a time uses it, and who that is; must not know the store.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind};

const FILE: &str = "lock";
/// How often to look whether the holder is gone.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock, waiting for it up to `timeout`.
    pub(super) fn take(dir: &Path, timeout: Duration) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let unusable = |why: std::io::Error| {
            Error::new(Kind::Store, format!("the lock {} of the store cannot be used", path.display())).because(why)
        };
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(unusable)?;
        // None where no clock ever shows it.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(held(dir, &mut file, timeout)),
                Err(TryLockError::Error(why)) => return Err(unusable(why)),
            }
        }
        // For the message of whoever waits. The lock is the file's, not its content's.
        let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        written.and_then(|()| file.flush()).map_err(unusable)?;
        Ok(FolderLock { _file: file })
    }
}

fn held(dir: &Path, file: &mut File, timeout: Duration) -> Error {
    let mut pid = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut pid));
    let pid = read.ok().and_then(|_| pid.trim().parse::<u32>().ok());
    let dir = dir.display();
    let message = match pid {
        Some(pid) if pid == std::process::id() => {
            format!("the store in {dir} is already open in this process; clone its Kitaru handle instead of opening it")
        }
        Some(pid) => format!(
            "the store in {dir} is held by process {pid}, and still was after {timeout:?}; end that process, wait longer \
             with .lock_timeout(…), or use another folder"
        ),
        None => format!(
            "the store in {dir} is held by another process, and still was after {timeout:?}; end that process, wait \
             longer with .lock_timeout(…), or use another folder"
        ),
    };
    Error::new(Kind::Locked, message)
}
