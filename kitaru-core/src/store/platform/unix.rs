//! By handle, and without following links.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::store::platform::{FilePresence, NameKind};

/// For this user only, regardless of the program's umask.
const OWN_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const OWN_FOLDER: u32 = 0o700;

/// The identity of a file under any name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(in crate::store) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| FileId { device: found.dev(), inode: found.ino() })
    }

    /// The file at a path, a link not followed.
    ///
    /// Its times are not asked for: Linux gives a file whose times were looked at a new time with its next write, and
    /// writes its inode with the next fdatasync. With each commit that cost 60 µs.
    pub(in crate::store) fn at(path: &Path) -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, StatxFlags, makedev, statx};
            match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO) {
                Ok(found) => {
                    let device = makedev(found.stx_dev_major, found.stx_dev_minor);
                    return Some(FileId { device, inode: found.stx_ino });
                }
                // A kernel, or a sandbox, that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(_) => return None,
            }
        }
        fs::symlink_metadata(path).ok().map(|found| FileId { device: found.dev(), inode: found.ino() })
    }
}

/// A folder that stays the same one when it is renamed.
#[derive(Debug)]
pub(in crate::store) struct FolderHandle(OwnedFd);

impl FolderHandle {
    pub(in crate::store) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(FolderHandle(rustix::fs::open(path, flags, Mode::empty())?))
    }

    pub(in crate::store) fn kind(&self, name: &str) -> io::Result<Option<NameKind>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => {
                let kind = FileType::from_raw_mode(found.st_mode);
                Ok(Some(NameKind { is_link: kind.is_symlink(), is_file: kind.is_file() }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    pub(in crate::store) fn open_file(&self, name: &str, presence: FilePresence) -> io::Result<File> {
        // A pipe that replaced the file after the check must not block the opening.
        let access = if presence == FilePresence::ReadOnly { OFlags::RDONLY } else { OFlags::RDWR };
        let mut flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        match presence {
            FilePresence::Required | FilePresence::ReadOnly => {}
            FilePresence::Optional => flags |= OFlags::CREATE,
            FilePresence::New => flags |= OFlags::CREATE | OFlags::EXCL,
        }
        Ok(rustix::fs::openat(&self.0, name, flags, OWN_FILE)?.into())
    }

    pub(in crate::store) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(in crate::store) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    pub(in crate::store) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

pub(in crate::store) fn make_own_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(OWN_FOLDER).create(dir)
}

/// Who may use what is at a path.
pub(in crate::store) fn mode(path: &Path) -> Option<u32> {
    fs::symlink_metadata(path).ok().map(|found| found.permissions().mode())
}

/// Whether a process of this number is there, as far as this one can see.
pub(in crate::store) fn is_running(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // Others' processes may not be signalled, and are there.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
