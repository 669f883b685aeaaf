//! The number of the last acknowledged commit, kept next to the store. Owns that a store which has gone back to an older
//! commit is noticed; must not know how one does. A damaged last frame of a log cannot be distinguished from a torn one, and of a file
//! that is damaged after a kill redb silently gives what an earlier commit left.
//!
//! The number is written behind each commit and never synced. After a power cut it is the number of a commit that was
//! durable before it was written, or its checksum does not fit.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Kind, cannot};
use crate::store::disk::mark::{MOST_COMMITS, open_commit, seal_commit};
use crate::store::folder::Folder;
use crate::store::platform::FilePresence;

/// The file next to the store's.
pub(super) const FILE: &str = "acknowledged";

/// What is kept there, and no more of it is read.
const BYTES: u64 = 12;

/// Where the number is kept.
pub(super) trait Medium: Send + Sync {
    fn read(&self) -> io::Result<Vec<u8>>;

    /// Overwrites what is there, and does not wait until it is durable.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
}

/// A file next to the store's.
struct SideFile(Mutex<File>);

impl Medium for SideFile {
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind()?;
        let mut bytes = Vec::with_capacity(BYTES as usize);
        (&mut *file).take(BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind()?;
        file.write_all(bytes)
    }
}

/// The number of the last acknowledged commit.
pub(super) struct Acknowledged {
    medium: Box<dyn Medium>,
    /// For the message: what to remove to continue without what is missing.
    name: String,
}

impl Acknowledged {
    /// In a folder, in a file of its own.
    pub(super) fn beside(folder: &Folder, presence: FilePresence) -> Result<Self, Error> {
        let path = folder.path().join(FILE);
        let file = folder.file(FILE, presence).map_err(|why| {
            let file = path.display();
            cannot!(Kind::Store, "open the store", "its file {file} cannot be used", "check its folder").because(why)
        })?;
        Ok(Self::on(Box::new(SideFile(Mutex::new(file))), path.display().to_string()))
    }

    pub(super) fn on(medium: Box<dyn Medium>, name: String) -> Self {
        Acknowledged { medium, name }
    }

    /// A commit is durable.
    pub(super) fn keep(&self, number: u64) {
        // The commit stands, and an older number is a weaker check, not a wrong one.
        let _ = self.medium.write(&seal_commit(number));
    }

    /// Refuses a store that lacks commits which were acknowledged; `last` is the last that it has.
    pub(super) fn check(&self, last: u64, store: &str) -> Result<(), Error> {
        // What cannot be read, or does not fit its checksum, was torn by a power cut, or never written.
        let kept = self.medium.read().ok().and_then(|kept| open_commit(&kept));
        let Some(acknowledged) = kept.filter(|kept| (last + 1..MOST_COMMITS).contains(kept)) else { return Ok(()) };
        Err({
            let (name, missing) = (&self.name, acknowledged - last);
            cannot!(
                Kind::Store,
                "open the store {store}",
                "it lacks the last {missing} of {acknowledged} commits",
                "restore a backup, or remove {name} and lose them"
            )
        })
    }
}

impl fmt::Debug for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledged").field("name", &self.name).finish_non_exhaustive()
    }
}
