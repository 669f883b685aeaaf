//! By path: what is between two calls is left to the folder's owner.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::platform::{FilePresence, NameKind};

/// Files are not told apart here: one is there or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) struct FileId;

impl FileId {
    pub(in crate::store) fn of(_: &File) -> io::Result<Self> {
        Ok(FileId)
    }

    pub(in crate::store) fn at(path: &Path) -> Option<Self> {
        path.exists().then_some(FileId)
    }
}

#[derive(Debug)]
pub(in crate::store) struct FolderHandle(PathBuf);

impl FolderHandle {
    pub(in crate::store) fn open(path: &Path) -> io::Result<Self> {
        Ok(FolderHandle(path.to_owned()))
    }

    pub(in crate::store) fn kind(&self, name: &str) -> io::Result<Option<NameKind>> {
        match fs::symlink_metadata(self.0.join(name)) {
            Ok(found) => Ok(Some(NameKind { is_link: found.is_symlink(), is_file: found.is_file() })),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    pub(in crate::store) fn open_file(&self, name: &str, presence: FilePresence) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(presence != FilePresence::ReadOnly);
        match presence {
            FilePresence::Required | FilePresence::ReadOnly => {}
            FilePresence::Optional => {
                options.create(true);
            }
            FilePresence::New => {
                options.create_new(true);
            }
        }
        options.open(self.0.join(name))
    }

    pub(in crate::store) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(in crate::store) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    /// A folder cannot be synced here.
    pub(in crate::store) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

pub(in crate::store) fn make_own_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().create(dir)
}

pub(in crate::store) fn mode(_: &Path) -> Option<u32> {
    None
}

pub(in crate::store) fn is_running(_: u32) -> bool {
    true
}
