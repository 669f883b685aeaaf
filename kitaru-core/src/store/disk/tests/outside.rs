//! What others may do to a store's folder, before it is opened and while it is open: links, pipes, modes, removal.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::store::disk::acknowledged::FILE as NUMBER;
use crate::store::disk::files::FILE;
use crate::store::disk::tests::{fill, row, rows};
use crate::store::{Disk, OpenOptions, Reader, Store, Table};

fn open(dir: &Path) -> Result<Disk, Error> {
    Disk::open(dir, OpenOptions { lock_timeout: Duration::from_millis(300) })
}

fn refused(dir: &Path) -> String {
    let begun = Instant::now();
    let error = open(dir).expect_err("it is refused");
    assert!(error.is_store() && begun.elapsed() < Duration::from_secs(10), "{error:#}");
    format!("{error:#}")
}

/// A closed store with a few rows.
fn filled() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    let store = open(&dir).unwrap();
    fill(&store, 0..3).unwrap();
    store.close().unwrap();
    (home, dir)
}

fn found(dir: &Path) -> Vec<u64> {
    rows(&Reader::new(Arc::new(open(dir).unwrap()))).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_new_folder_and_its_files_are_for_this_user_only() {
    let (_home, dir) = filled();
    let store = open(&dir).unwrap();
    assert_eq!(mode(&dir), 0o700);
    for file in [FILE, NUMBER, "lock", ".gitignore"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    assert!(store.open_to_others().is_empty());
}

#[test]
fn wider_permissions_are_named_and_left_as_they_are() {
    let (_home, dir) = filled();
    set_mode(&dir, 0o755);
    for (file, mode) in [(FILE, 0o644), (NUMBER, 0o660), ("lock", 0o604)] {
        set_mode(&dir.join(file), mode);
    }
    let store = open(&dir).unwrap();
    let named = store.open_to_others().join(", ");
    for part in ["store (0755)", "store.redb (0644)", "acknowledged (0660)", "lock (0604)"] {
        assert!(named.contains(part), "{named} lacks {part}");
    }
    fill(&store, 3..4).unwrap();
    store.close().unwrap();
    assert_eq!([mode(&dir), mode(&dir.join(FILE)), mode(&dir.join(NUMBER))], [0o755, 0o644, 0o660]);
}

#[test]
fn a_link_in_the_place_of_a_file_is_refused_and_what_it_leads_to_is_not_touched() {
    for name in [FILE, NUMBER, "lock", "store.redb.new"] {
        for precious in [Some("precious"), None] {
            let home = tempfile::tempdir().unwrap();
            let (dir, target) = (home.path().join("store"), home.path().join("target"));
            fs::create_dir(&dir).unwrap();
            precious.into_iter().for_each(|text| fs::write(&target, text).unwrap());
            symlink(&target, dir.join(name)).unwrap();
            match name {
                // What was left of one that was being made is replaced.
                "store.redb.new" => drop(open(&dir).unwrap()),
                NUMBER => assert!(refused(&dir).contains("missing"), "it says that there was a store"),
                _ => {
                    let message = refused(&dir);
                    assert!(message.contains("is a link") && message.contains(name), "{message}");
                }
            }
            let kept = fs::read_to_string(&target).ok();
            assert_eq!(kept.as_deref(), precious, "{name}");
        }
    }
}

#[test]
fn link_next_to_a_store_is_refused_and_its_target_is_not_touched() {
    for name in [FILE, NUMBER, "lock"] {
        let (home, dir) = filled();
        let target = home.path().join("target");
        fs::rename(dir.join(name), &target).unwrap();
        let before = fs::read(&target).unwrap();
        symlink(&target, dir.join(name)).unwrap();
        let message = refused(&dir);
        assert!(message.contains("is a link") && message.contains(name), "{message}");
        assert_eq!(fs::read(&target).unwrap(), before, "{name}");
    }
}

#[test]
fn file_that_is_not_regular_is_refused_without_waiting() {
    for name in [FILE, NUMBER, "lock"] {
        let makes: [fn(&Path); 3] = [
            fifo,
            |path| fs::create_dir(path).unwrap(),
            |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        ];
        for make in makes {
            let (_home, dir) = filled();
            fs::remove_file(dir.join(name)).unwrap();
            make(&dir.join(name));
            let message = refused(&dir);
            assert!(message.contains("not a regular file") && message.contains(name), "{message}");
        }
    }
}

#[test]
fn files_of_any_length_next_to_the_store_are_read_within_a_bound() {
    let (_home, dir) = filled();
    for name in [NUMBER, "lock"] {
        // Holes of a terabyte.
        fs::OpenOptions::new().write(true).open(dir.join(name)).unwrap().set_len(1 << 40).unwrap();
    }
    let begun = Instant::now();
    assert_eq!(found(&dir), [0, 1, 2]);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_folder_is_found_through_links_and_stays_the_one_that_was_opened() {
    let (home, dir) = filled();
    let (link, other) = (home.path().join("link"), home.path().join("other"));
    symlink(&dir, &link).unwrap();
    let store = Arc::new(open(&link).unwrap());
    // The name leads elsewhere from now on.
    fs::remove_file(&link).unwrap();
    fs::create_dir(&other).unwrap();
    symlink(&other, &link).unwrap();
    fill(&*store, 3..5).unwrap();
    // As after an error of the disk.
    store.shared.redb.fail();
    fill(&*store, 5..6).unwrap();
    store.close().unwrap();
    assert_eq!(found(&dir), [0, 1, 2, 3, 4, 5]);
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
}

#[test]
fn a_store_whose_folder_or_file_is_gone_says_so_with_each_write_until_it_is_back() {
    type Change = fn(&Path, &Path);
    let changes: [(&str, Change, Change); 4] = [
        ("folder moved", |dir, away| fs::rename(dir, away).unwrap(), |dir, away| fs::rename(away, dir).unwrap()),
        (
            "folder replaced",
            |dir, away| {
                fs::rename(dir, away).unwrap();
                drop(open(dir).unwrap());
            },
            |dir, away| {
                fs::remove_dir_all(dir).unwrap();
                fs::rename(away, dir).unwrap();
            },
        ),
        (
            "file moved",
            |dir, away| fs::rename(dir.join(FILE), away).unwrap(),
            |dir, away| fs::rename(away, dir.join(FILE)).unwrap(),
        ),
        (
            "file replaced",
            |dir, away| {
                fs::rename(dir.join(FILE), away).unwrap();
                fs::copy(away, dir.join(FILE)).unwrap();
            },
            |dir, away| fs::rename(away, dir.join(FILE)).unwrap(),
        ),
    ];
    for (what, change, back) in changes {
        let (home, dir) = filled();
        let away = home.path().join("away");
        let store = open(&dir).unwrap();
        change(&dir, &away);
        for _ in 0..3 {
            let error = store.commit(vec![row(3)]).expect_err(what);
            let message = format!("{error:#}");
            assert!(error.is_store() && message.contains("removed, moved or replaced"), "{what}: {message}");
            assert!(message.contains(&dir.display().to_string()), "{message}");
        }
        back(&dir, &away);
        store.commit(vec![row(4)]).expect(what);
        store.close().unwrap();
        let found = found(&dir);
        assert!(found == [0, 1, 2, 4] || found == [0, 1, 2, 3, 4], "{what}: {found:?}");
    }
    let (_home, dir) = filled();
    let store = open(&dir).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert!(store.commit(vec![row(3)]).is_err());
}

#[test]
fn a_second_process_is_refused_although_the_lock_file_was_removed() {
    let (_home, dir) = filled();
    let _held = open(&dir).unwrap();
    fs::remove_file(dir.join("lock")).unwrap();
    let error = open(&dir).unwrap_err();
    assert!(error.is_locked() && format!("{error:#}").contains("whose lock file was removed"), "{error:#}");
}

#[test]
fn a_lock_that_a_child_keeps_of_a_process_that_has_ended_is_said_to_be_so() {
    let (_home, dir) = filled();
    let script = "exec 9<>\"$1\"; flock -x 9; sleep 600 >&- 2>&- & echo $$ $!";
    let ended = Command::new("sh").args(["-c", script, "sh"]).arg(dir.join("lock")).output().unwrap();
    if String::from_utf8_lossy(&ended.stderr).contains("flock") {
        println!("skipped: there is no flock(1) here");
        return;
    }
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let (parent, child) = said.trim().split_once(' ').unwrap();
    fs::write(dir.join("lock"), format!("{parent} 00000000000000ff")).unwrap();
    let error = open(&dir).unwrap_err();
    assert!(Command::new("kill").arg(child).status().unwrap().success());
    let message = error.to_string();
    assert!(error.is_locked(), "{message}");
    for part in [parent, "a fork of process", "a container", "fuser"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn store_whose_file_is_missing_is_refused_until_its_number_is_removed() {
    let (_home, dir) = filled();
    fs::remove_file(dir.join(FILE)).unwrap();
    for _ in 0..2 {
        let message = refused(&dir);
        let number = dir.join(NUMBER).display().to_string();
        for part in ["it is missing", &number, "put it back", "move the other away"] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }
    fs::remove_file(dir.join(NUMBER)).unwrap();
    assert_eq!(found(&dir), [] as [u64; 0]);
}

#[test]
fn a_folder_without_a_name_is_misuse_and_leaves_nothing() {
    let error = open(Path::new("")).unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("its name is empty"), "{error:#}");
}

#[test]
fn a_damaged_version_of_the_format_is_damage_and_no_other_version() {
    let (_home, dir) = filled();
    let store = open(&dir).unwrap();
    let mut format = store.get(Table::Meta, b"format").unwrap().unwrap();
    format[3] ^= 0x80;
    let row = crate::store::Row { table: Table::Meta, key: b"format".into(), value: Some(format) };
    store.commit(vec![row]).unwrap();
    store.close().unwrap();
    let message = refused(&dir);
    assert!(message.contains("checksum does not fit") && !message.contains("update Kitaru"), "{message}");
}

#[test]
fn number_of_a_commit_that_no_store_reaches_is_damage() {
    let (_home, dir) = filled();
    let store = open(&dir).unwrap();
    let mut number = u64::MAX.to_le_bytes().to_vec();
    crate::store::seal(Table::Meta, b"commit", &mut number);
    // Behind the number that this commit writes itself.
    store
        .shared
        .redb
        .work(|database| {
            let transaction = database.begin_write()?;
            transaction
                .open_table(crate::store::disk::database::DEFINITIONS[0])?
                .insert(b"commit".as_slice(), number.as_slice())?;
            Ok(transaction.commit()?)
        })
        .unwrap();
    store.close().unwrap();
    let message = refused(&dir);
    assert!(message.contains("the number of the last commit is damaged"), "{message}");
}

#[test]
fn row_of_the_log_that_is_missing_is_damage_and_no_older_store() {
    let (_home, dir) = filled();
    let store = open(&dir).unwrap();
    let remove = |database: &::redb::Database| {
        let transaction = database.begin_write()?;
        transaction.open_table(crate::store::disk::database::DEFINITIONS[0])?.remove(b"log".as_slice())?;
        Ok(transaction.commit()?)
    };
    store.shared.redb.work(remove).unwrap();
    store.close().unwrap();
    let message = refused(&dir);
    assert!(message.contains("the row of the log is damaged"), "{message}");
}
