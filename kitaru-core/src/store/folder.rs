//! A store's folder and the files in it. Owns which folder that is, however the current folder of the program or the names
//! on the way change, and that nothing but a regular file of the folder itself is opened; must not know what the files hold.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, cannot};
use crate::store::platform::{self, FilePresence, FolderHandle};

/// Keeps the folder out of version control.
const IGNORE: &str = ".gitignore";

/// A folder, by a handle that stays on it.
#[derive(Debug)]
pub(super) struct Folder {
    handle: FolderHandle,
    /// Absolute and without links, as it was when the folder was opened.
    path: PathBuf,
}

impl Folder {
    /// Opens a folder, which is made if it is missing, for this user only.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        if dir.as_os_str().is_empty() {
            return Err(cannot!(
                Kind::Misuse,
                "open the folder of the store",
                "its name is empty",
                "name one with .dir(…), such as .kitaru"
            ));
        }
        let unusable = |what: &str, why: io::Error| {
            let (kind, dir) = (kind_of(&why), dir.display());
            let error = match why.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => cannot!(
                    kind,
                    "{what} the folder {dir} of the store",
                    "this user may not",
                    "let the user write it, or name another folder"
                ),
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    cannot!(kind, "{what} the folder {dir} of the store", "a file is in the way", "name another folder")
                }
                _ => cannot!(
                    kind,
                    "{what} the folder {dir} of the store",
                    "the system refuses it",
                    "name another with .dir(…) or KITARU_DIR"
                ),
            };
            error.because(why)
        };
        let is_made = make(dir).map_err(|why| unusable("make", why))?;
        let path = dir.canonicalize().map_err(|why| unusable("find", why))?;
        let handle = FolderHandle::open(&path).map_err(|why| unusable("open", why))?;
        let folder = Folder { handle, path };
        // A folder that was there may be a place of work, whose files are under version control.
        if is_made {
            let written = folder.file(IGNORE, FilePresence::New).and_then(|mut file| file.write_all(b"*\n"));
            written.map_err(|why| unusable("write", why))?;
        }
        Ok(folder)
    }

    /// Opens a folder that is there, and writes nothing into it.
    pub(super) fn find(dir: &Path) -> Result<Self, Error> {
        let unusable = |why: io::Error| {
            let (kind, dir) = (kind_of(&why), dir.display());
            let error = match why.kind() {
                io::ErrorKind::NotFound => {
                    cannot!(kind, "open the store in {dir}", "the folder is missing", "name the folder of a store")
                }
                _ => cannot!(kind, "open the store in {dir}", "the folder cannot be read", "make it readable"),
            };
            error.because(why)
        };
        let path = dir.canonicalize().map_err(unusable)?;
        let handle = FolderHandle::open(&path).map_err(unusable)?;
        Ok(Folder { handle, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file of the folder, to be read and written.
    ///
    /// # Errors
    ///
    /// When it is a link or anything else that is not a regular file, besides errors of the system. Opening never blocks.
    pub(super) fn file(&self, name: &str, presence: FilePresence) -> io::Result<File> {
        self.check_is_regular(name)?;
        let file = self.handle.open_file(name, presence)?;
        // It may have been replaced in between.
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular("it is not a regular file")) }
    }

    /// Refuses anything but a regular file. A missing file is accepted.
    fn check_is_regular(&self, name: &str) -> io::Result<()> {
        match self.handle.kind(name)? {
            Some(kind) if kind.is_link => Err(not_regular(
                "it is a link, and the files of a store are opened without \
                                                           following links",
            )),
            Some(kind) if !kind.is_file => Err(not_regular("it is not a regular file")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there is anything of this name, a link that leads nowhere included.
    pub(super) fn has(&self, name: &str) -> io::Result<bool> {
        self.handle.kind(name).map(|kind| kind.is_some())
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.handle.remove(name)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.handle.rename(from, to)
    }

    /// Makes the names in the folder durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        synced::add(&self.path);
        self.handle.sync()
    }

    /// Makes the name of the folder itself durable.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        sync_parent(&self.path)
    }

    /// Which of the folder and these files others than this user may use, with their modes.
    pub(super) fn open_to_others(&self, names: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut see = |name: &str, mode: Option<u32>| {
            if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
                found.push(format!("{name} ({:04o})", mode & 0o7777));
            }
        };
        see(&self.path.display().to_string(), platform::mode(&self.path));
        names.iter().for_each(|name| see(name, platform::mode(&self.path.join(name))));
        found
    }
}

/// Makes a folder and those on the way to it; whether it was missing. Its own name is durable only after
/// [`Folder::sync_name`].
fn make(dir: &Path) -> io::Result<bool> {
    match platform::make_own_folder(dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            make_way(dir.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or(why)?)?;
        }
        Ok(()) => return Ok(true),
        Err(_) if dir.is_dir() => return Ok(false),
        Err(why) => return Err(why),
    }
    match platform::make_own_folder(dir) {
        Ok(()) => Ok(true),
        Err(_) if dir.is_dir() => Ok(false),
        Err(why) => Err(why),
    }
}

/// Makes a folder on the way to a store, and those before it. The name of each is durable before there is anything in it, also
/// of one that is found: the process that made it may have died before it synced the name.
fn make_way(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            make_way(dir.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or(why)?)?;
            fs::create_dir(dir)?;
        }
        Ok(()) => {}
        Err(_) if dir.is_dir() => {}
        Err(why) => return Err(why),
    }
    sync_parent(dir)
}

/// Makes the name of a folder durable. A parent that this user cannot read, or that is not kept on a disk, is left as it is.
fn sync_parent(dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Ok(handle) = FolderHandle::open(parent) else { return Ok(()) };
    #[cfg(test)]
    synced::add(parent);
    match handle.sync() {
        Err(why) if matches!(why.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

fn not_regular(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

pub(super) fn kind_of(why: &io::Error) -> Kind {
    match why.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::StorageFull,
        _ => Kind::Store,
    }
}

/// The folders that a test has synced.
#[cfg(test)]
pub(super) mod synced {
    use std::cell::RefCell;
    use std::path::{Path, PathBuf};

    thread_local! {
        static SYNCED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn add(path: &Path) {
        SYNCED.with_borrow_mut(|synced| synced.push(path.to_owned()));
    }

    /// Those that this thread has synced since it asked last.
    pub(in crate::store) fn take() -> Vec<PathBuf> {
        SYNCED.take()
    }
}
