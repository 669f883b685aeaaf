//! The lock on a store's folder. Owns that one process at a time uses it, and who that is; must not know the store.
//!
//! The file holds the number of the process and a random mark of it: numbers are given out again, and each container has its own.
//! A second line says where else the process answers.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, cannot};
use crate::store::folder::Folder;
use crate::store::platform::{FilePresence, is_running};

pub(super) const FILE: &str = "lock";
/// How often to look whether the holder is gone.
const PAUSE: Duration = Duration::from_millis(20);
/// More than the number and the mark of a process is not read.
const MOST_BYTES: u64 = 64;

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

/// A process, as the file names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Holder {
    pid: u32,
    /// None where a version of Kitaru has written it that had none.
    mark: Option<u64>,
}

impl Holder {
    fn this_process() -> Self {
        // A forked child has it from its parent.
        static MARK: OnceLock<u64> = OnceLock::new();
        // Without randomness, only their numbers distinguish two processes.
        let mark = *MARK.get_or_init(|| getrandom::u64().unwrap_or_default());
        Holder { pid: std::process::id(), mark: Some(mark) }
    }

    fn write(self, file: &mut File) -> io::Result<()> {
        let text = format!("{} {:016x}", self.pid, self.mark.unwrap_or_default());
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    }

    fn read(file: &mut File) -> Option<Self> {
        file.rewind().ok()?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        // A path follows on the next line, which may be cut off within a character.
        let line = bytes.split(|byte| *byte == b'\n').next()?;
        let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        Some(Holder { pid, mark: words.next().and_then(|mark| u64::from_str_radix(mark, 16).ok()) })
    }
}

impl FolderLock {
    /// Takes the lock, waiting for it up to `timeout`.
    pub(super) fn take(folder: &Folder, timeout: Duration) -> Result<Self, Error> {
        let mut file = folder.file(FILE, FilePresence::Optional).map_err(|why| unusable(folder, why))?;
        wait(folder, &mut file, timeout, File::try_lock)?;
        // For the message of a process that waits. The lock is on the file, not on its content.
        Holder::this_process().write(&mut file).map_err(|why| unusable(folder, why))?;
        Ok(FolderLock { file })
    }

    /// Says where else the process answers, for a process that looks for the holder of the folder.
    pub(super) fn add_place(&self, place: &Path) -> io::Result<()> {
        let mut line = vec![b'\n'];
        line.extend_from_slice(place.as_os_str().as_encoded_bytes());
        // Behind the number and the mark.
        (&self.file).write_all(&line)
    }

    /// Takes the lock together with others that only read, and writes nothing. A folder without the file has no holder.
    pub(super) fn share(folder: &Folder, timeout: Duration) -> Result<Option<Self>, Error> {
        let mut file = match folder.file(FILE, FilePresence::ReadOnly) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|why| unusable(folder, why))?,
        };
        wait(folder, &mut file, timeout, File::try_lock_shared)?;
        Ok(Some(FolderLock { file }))
    }
}

fn unusable(folder: &Folder, why: io::Error) -> Error {
    let path = folder.path().join(FILE);
    let path = path.display();
    cannot!(Kind::Store, "open the store", "its lock {path} cannot be used", "remove it, or name another folder")
        .because(why)
}

/// Tries to take a lock until it is free, or `timeout` has passed.
fn wait(
    folder: &Folder,
    file: &mut File,
    timeout: Duration,
    take: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<(), Error> {
    // None where the clock ends before that.
    let deadline = Instant::now().checked_add(timeout);
    loop {
        match take(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(held(folder, Holder::read(file), timeout)),
            Err(TryLockError::Error(why)) => return Err(unusable(folder, why)),
        }
    }
}

fn held(folder: &Folder, holder: Option<Holder>, timeout: Duration) -> Error {
    let own = Holder::this_process();
    let dir = folder.path().display();
    match holder {
        Some(holder) if holder == own => cannot!(
            Kind::Locked,
            "open the store in {dir}",
            "it is already open in this process",
            "clone its Kitaru handle instead"
        ),
        Some(Holder { pid, mark }) if mark == own.mark => cannot!(
            Kind::Locked,
            "open the store in {dir}",
            "process {pid}, a fork of this one, shares its lock",
            "open it after the fork, in one of them"
        ),
        Some(Holder { pid, .. }) if pid == own.pid => cannot!(
            Kind::Locked,
            "open the store in {dir}",
            "process {pid} of another container still held it after {timeout:?}",
            "end that process"
        ),
        Some(Holder { pid, .. }) if !is_running(pid) => {
            let lock = folder.path().join(FILE);
            let lock = lock.display();
            cannot!(
                Kind::Locked,
                "open the store in {dir}",
                "a fork of process {pid}, or a container, held it for {timeout:?}",
                "end what `fuser {lock}` names"
            )
        }
        Some(Holder { pid, .. }) => cannot!(
            Kind::Locked,
            "open the store in {dir}",
            "process {pid} still held it after {timeout:?}",
            "end that process, or set .lock_timeout(…)"
        ),
        None => cannot!(
            Kind::Locked,
            "open the store in {dir}",
            "another process still held it after {timeout:?}",
            "end it, or set .lock_timeout(…)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(folder: &Folder, holder: Option<Holder>) -> String {
        held(folder, holder, Duration::ZERO).to_string()
    }

    #[test]
    fn holder_is_identified_by_its_mark_and_not_by_its_number_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let own = Holder::this_process();
        let other = own.mark.map(|mark| mark ^ 1);
        assert!(message(&folder, Some(own)).contains("already open in this process"));
        for mark in [other, None] {
            let message = message(&folder, Some(Holder { mark, ..own }));
            assert!(message.contains("of another container") && !message.contains("in this process"), "{message}");
        }
        let fork = message(&folder, Some(Holder { pid: own.pid + 1, ..own }));
        assert!(fork.contains("a fork of this one"), "{fork}");
        // No process has the highest number.
        let gone = message(&folder, Some(Holder { pid: i32::MAX as u32, mark: other }));
        assert!(!cfg!(unix) || gone.contains("a fork of process"), "{gone}");
        let parent = message(&folder, Some(Holder { pid: 1, mark: other }));
        assert!(parent.contains(": process 1 still held it"), "{parent}");
    }

    #[test]
    fn lock_file_of_any_content_names_no_process_and_is_read_within_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for (content, holder) in [
            ("", None),
            ("no number", None),
            ("12", Some(Holder { pid: 12, mark: None })),
            ("12 00000000000000ff", Some(Holder { pid: 12, mark: Some(255) })),
            ("12 what", Some(Holder { pid: 12, mark: None })),
            ("12 00000000000000ff\n/run/user/7 8/kitaru.sock", Some(Holder { pid: 12, mark: Some(255) })),
            ("\n12", None),
        ] {
            std::fs::write(&path, content).unwrap();
            let mut file = File::open(&path).unwrap();
            assert_eq!(Holder::read(&mut file), holder, "{content}");
        }
        // A hole. How much of it was read is where the reader stands.
        let mut file = File::create(&path).unwrap();
        file.set_len(1 << 24).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let mut long = folder.file(FILE, FilePresence::Required).unwrap();
        assert_eq!(Holder::read(&mut long), None);
        assert!(long.stream_position().unwrap() <= MOST_BYTES, "{:?} bytes were read", long.stream_position());
        // A file with a terabyte in it is taken over nevertheless.
        file.set_len(1 << 40).unwrap();
        let _held = FolderLock::take(&folder, Duration::MAX).unwrap();
        file = File::open(&path).unwrap();
        assert_eq!(Holder::read(&mut file), Some(Holder::this_process()));
    }
}
