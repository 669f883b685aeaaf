//! Where the socket of a store is. Owns what becomes of a path that is too long for a socket; must not know what is served there.
//!
//! It is in the store's folder, unless the path of that is too long. Then it is in a folder of this user's alone, and the file
//! `lock` of the store has its path on the second line.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The name of the socket in a store's folder.
pub(crate) const SOCKET: &str = "control.sock";
/// The most bytes of a socket's path, without the zero behind it.
const MOST_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };
/// More of the file `lock` is not read.
const MOST_LOCK: u64 = 4_096;

/// Where a server of a store listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SocketPlace {
    pub(crate) path: PathBuf,
    /// Whether that is in the store's folder.
    pub(crate) is_in_folder: bool,
}

/// Where the server of the store in a folder listens, by the folder's path without links.
///
/// # Errors
///
/// When there is neither room in the folder's path nor a folder of this user's for sockets.
pub(crate) fn choose(folder: &Path) -> io::Result<SocketPlace> {
    choose_among(folder, runtime_folders())
}

fn choose_among(folder: &Path, others: impl IntoIterator<Item = PathBuf>) -> io::Result<SocketPlace> {
    let path = folder.join(SOCKET);
    if fits(&path) {
        return Ok(SocketPlace { path, is_in_folder: true });
    }
    let name = name_of(folder)?;
    let mut refused = io::Error::other("its path is too long for a socket; move the store to a shorter one");
    for other in others {
        let path = other.join(&name);
        if !fits(&path) {
            continue;
        }
        match make_private(&other) {
            Ok(()) => return Ok(SocketPlace { path, is_in_folder: false }),
            Err(why) => refused = why,
        }
    }
    Err(refused)
}

/// The name of a folder's socket in another one. It is that of no copy of the folder, and the next process that opens the store
/// replaces what a dead one has left.
fn name_of(folder: &Path) -> io::Result<String> {
    let found = fs::metadata(folder)?;
    Ok(format!("{:x}-{:x}.sock", found.dev(), found.ino()))
}

/// A server binds a path with one more byte first.
fn fits(path: &Path) -> bool {
    path.as_os_str().len() < MOST_PATH
}

/// Where sockets may be that do not fit into the folder of their store, the best first.
fn runtime_folders() -> impl Iterator<Item = PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let own = format!("kitaru-{}", rustix::process::geteuid().as_raw());
    let temporary = [env::temp_dir(), PathBuf::from("/tmp")];
    runtime.map(|dir| dir.join("kitaru")).into_iter().chain(temporary.map(|dir| dir.join(&own)))
}

/// Makes a folder that this user alone may use. One that others may use is refused: a socket in it may be another user's.
fn make_private(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    let folder = folder.display();
    Err(io::Error::other(format!("{folder} is not a folder of this user alone; remove it, or set XDG_RUNTIME_DIR")))
}

/// Where the process that holds the store in a folder may listen, the likeliest first. Blocks.
pub(crate) fn find(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let own = folder.join(SOCKET);
    let own = (own.as_os_str().len() <= MOST_PATH).then_some(own);
    own.into_iter().chain(noted(&folder)).collect()
}

/// The path in the file `lock`.
fn noted(folder: &Path) -> Option<PathBuf> {
    let lock = folder.join("lock");
    // To open a pipe would wait for its other end.
    if !fs::symlink_metadata(&lock).is_ok_and(|found| found.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(lock).ok()?.take(MOST_LOCK).read_to_end(&mut bytes).ok()?;
    let path = PathBuf::from(OsStr::from_bytes(bytes.split(|byte| *byte == b'\n').nth(1)?));
    // A copy of a folder has the path of the original's socket.
    let is_own = path.file_name().is_some_and(|name| name_of(folder).is_ok_and(|own| *name == *own));
    (path.is_absolute() && is_own).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn socket_is_in_the_stores_folder_unless_its_path_is_too_long() {
        let others = tempfile::tempdir().unwrap();
        let other = others.path().join("kitaru");
        let choose = |folder: &Path| choose_among(folder, [other.clone()]).unwrap();
        let parent = others.path().canonicalize().unwrap();
        let rest = MOST_PATH - parent.as_os_str().len() - "//control.sock~".len();
        let longest = parent.join("a".repeat(rest));
        let too_long = parent.join("a".repeat(rest + 1));
        fs::create_dir_all(&longest).unwrap();
        fs::create_dir_all(too_long.join("b")).unwrap();
        assert_eq!(choose(&longest), SocketPlace { path: longest.join(SOCKET), is_in_folder: true });
        assert!(!other.exists());
        let SocketPlace { path, is_in_folder } = choose(&too_long);
        assert!(path.starts_with(&other) && !is_in_folder, "{path:?}");
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(choose(&too_long).path, path, "the next process finds what a dead one has left");
        assert_ne!(choose(&too_long.join("b")).path, path);
    }

    #[test]
    fn folder_that_others_may_use_is_not_taken_for_sockets() {
        let others = tempfile::tempdir().unwrap();
        let (open, link, file) = (others.path().join("open"), others.path().join("link"), others.path().join("file"));
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(others.path().join("elsewhere")).unwrap();
        symlink(others.path().join("elsewhere"), &link).unwrap();
        fs::write(&file, "").unwrap();
        let folder = others.path().join("a".repeat(MOST_PATH));
        fs::create_dir(&folder).unwrap();
        for taken in [&open, &link, &file] {
            let why = choose_among(&folder, [taken.clone()]).unwrap_err().to_string();
            assert!(why.contains("not a folder of this user alone"), "{why}");
        }
        let next = others.path().join("next");
        assert!(choose_among(&folder, [open, next.clone()]).unwrap().path.starts_with(next));
        let why = choose_among(&folder, [folder.clone()]).unwrap_err().to_string();
        assert!(why.contains("too long"), "{why}");
    }

    #[test]
    fn place_in_a_lock_file_is_found_if_it_is_a_path_for_that_folder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock");
        let own = name_of(dir.path()).unwrap();
        let found = format!("/run/a b/{own}");
        for (content, expected) in [
            (format!("12 00ff\n{found}"), Some(found)),
            ("12 00ff\n/run/1-2.sock".to_owned(), None),
            ("12 00ff".to_owned(), None),
            ("12 00ff\n".to_owned(), None),
            (format!("12 00ff\n{own}"), None),
        ] {
            fs::write(&lock, &content).unwrap();
            assert_eq!(noted(dir.path()), expected.map(PathBuf::from), "{content}");
        }
        fs::remove_file(&lock).unwrap();
        fs::create_dir(&lock).unwrap();
        assert_eq!(noted(dir.path()), None);
        assert_eq!(find(dir.path()), [dir.path().canonicalize().unwrap().join(SOCKET)]);
    }
}
