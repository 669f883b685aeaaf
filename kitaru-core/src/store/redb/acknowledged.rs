//! The number of the last acknowledged commit, kept next to the store. Owns that a store which has gone back to an older
//! commit is noticed; must not know how one does. Of a file that is damaged after a kill redb silently gives what an
//! earlier commit left.
//!
//! The number is written behind each commit and never synced. After a power cut it is the number of a commit that was
//! durable before it was written, or its checksum does not fit.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Mutex, PoisonError};

use ::redb::{ReadableTable, StorageError};

use crate::error::{Error, Kind};
use crate::store::folder::Folder;
use crate::store::platform::Presence;
use crate::store::{Table, seal};

/// The file next to the store's.
pub(super) const FILE: &str = "acknowledged";

/// What is kept there, and no more of it is read.
const BYTES: u64 = 12;

/// More commits than a store sees in any time: a number that is not below is none.
const MOST_COMMITS: u64 = 1 << 62;

/// Which commit of a store's one is, from 1 in the order of commits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct CommitNumber(u64);

impl CommitNumber {
    pub(super) const KEY: &[u8] = b"commit";

    /// The number of a store's last commit, by its table `meta`.
    pub(super) fn of(meta: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Self, StorageError> {
        let Some(row) = meta.get(Self::KEY)? else {
            // A store of an earlier version, or one that has just been made.
            return Ok(CommitNumber(0));
        };
        Self::unsealed(row.value())
            .filter(|CommitNumber(number)| *number < MOST_COMMITS)
            .ok_or_else(|| StorageError::Corrupted("the number of the last commit is damaged".to_owned()))
    }

    pub(super) fn next(self) -> Self {
        CommitNumber(self.0 + 1)
    }

    /// As it is kept in `meta` and next to the store alike.
    pub(super) fn sealed(self) -> Vec<u8> {
        let mut value = Vec::with_capacity(12);
        value.extend_from_slice(&self.0.to_le_bytes());
        seal::seal(Table::Meta, Self::KEY, &mut value);
        value
    }

    fn unsealed(sealed: &[u8]) -> Option<Self> {
        let number = seal::open(Table::Meta, Self::KEY, sealed).ok()?;
        number.try_into().ok().map(|number| CommitNumber(u64::from_le_bytes(number)))
    }
}

/// Where the number is kept.
pub(super) trait Medium: Send + Sync {
    fn read(&self) -> io::Result<Vec<u8>>;

    /// Overwrites what is there, and does not wait until it is durable.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
}

/// A file next to the store's.
struct Beside(Mutex<File>);

impl Medium for Beside {
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
    /// For the message: what to remove to continue without the missing commits.
    name: String,
}

impl Acknowledged {
    /// In a folder, in a file of its own.
    pub(super) fn beside(folder: &Folder) -> Result<Self, Error> {
        let path = folder.path().join(FILE);
        let file = folder.file(FILE, Presence::Optional).map_err(|why| {
            let message = format!("the file {} of the store cannot be used; see to its folder", path.display());
            Error::new(Kind::Store, message).because(why)
        })?;
        Ok(Self::on(Box::new(Beside(Mutex::new(file))), path.display().to_string()))
    }

    pub(super) fn on(medium: Box<dyn Medium>, name: String) -> Self {
        Acknowledged { medium, name }
    }

    /// A commit is durable.
    pub(super) fn keep(&self, number: CommitNumber) {
        // The commit stands, and an older number is a weaker check, not a wrong one.
        let _ = self.medium.write(&number.sealed());
    }

    /// Refuses a store that lacks commits which were acknowledged; `last` is what it has.
    pub(super) fn check(&self, last: CommitNumber, store: &str) -> Result<(), Error> {
        // What cannot be read, or does not fit its checksum, was torn by a power cut, or never written.
        let kept = self.medium.read().ok().and_then(|kept| CommitNumber::unsealed(&kept));
        let Some(acknowledged) = kept.filter(|kept| *kept > last) else { return Ok(()) };
        let (CommitNumber(acknowledged), CommitNumber(last)) = (acknowledged, last);
        Err(Error::new(
            Kind::Store,
            format!(
                "the store {store} lacks what was acknowledged: commit {acknowledged} was durable, and the file ends with \
                 commit {last}. It is damaged, or an older copy has taken its place. Restore the newest backup. To go on \
                 with what is left remove the file {}; what the {} missing commits recorded is lost then, and runs again",
                self.name,
                acknowledged - last
            ),
        ))
    }
}

impl fmt::Debug for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledged").field("name", &self.name).finish_non_exhaustive()
    }
}
