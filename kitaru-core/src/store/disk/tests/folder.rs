//! Folders and files that are held, cannot be used, or are not stores.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::redb::{Database, ReadableTable as _, TableDefinition};

use crate::error::Error;
use crate::store::disk::files::FILE;
use crate::store::disk::tests::{fill, rows};
use crate::store::folder::synced;
use crate::store::{Disk, OpenOptions, Reader, Row, Store, Table, seal};

const HOLDS: &str = "KITARU_TEST_HOLDS";

fn open(dir: &Path, lock_timeout: Duration) -> Result<Disk, Error> {
    Disk::open(dir, OpenOptions { lock_timeout })
}

fn refused(dir: &Path) -> String {
    let error = open(dir, Duration::ZERO).expect_err("it is refused");
    assert!(error.is_store(), "{error:#}");
    format!("{error:#}")
}

/// The other process of the tests below: holds the store until its input ends.
#[test]
fn holder() {
    let Some(dir) = std::env::var_os(HOLDS) else { return };
    let store = open(Path::new(&dir), Duration::ZERO).unwrap();
    println!("\nheld");
    std::io::stdin().lines().for_each(drop);
    store.close().unwrap();
}

/// A process that holds the store. Its output is read on, so that it can be written on.
fn hold(dir: &Path) -> Child {
    let test = concat!(module_path!(), "::holder").split_once("::").unwrap_or_default().1;
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(HOLDS, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program runs again");
    let mut said = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
    assert!(said.any(|line| line.is_ok_and(|line| line == "held")), "the other process does not hold it");
    std::thread::spawn(move || said.for_each(drop));
    child
}

#[test]
fn store_held_by_another_process_is_refused_with_its_pid_after_a_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = hold(dir.path());
    let start = Instant::now();
    let error = open(dir.path(), Duration::from_millis(60)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert!(error.is_locked(), "{error:#}");
    let message = format!("{error:#}");
    for part in [&format!("process {}", holder.id()), "60ms", ".lock_timeout(…)", &dir.path().display().to_string()] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    open(dir.path(), Duration::ZERO).unwrap();
}

#[test]
fn store_is_handed_over_to_a_waiting_process_when_its_holder_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = hold(dir.path());
    let waits = {
        let dir = dir.path().to_owned();
        std::thread::spawn(move || open(&dir, Duration::from_secs(30)).map(drop))
    };
    assert!(!waits.is_finished());
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    waits.join().unwrap().unwrap();
}

#[test]
fn a_store_that_this_process_holds_is_refused_with_the_advice_to_clone_its_handle() {
    let dir = tempfile::tempdir().unwrap();
    let _held = open(dir.path(), Duration::ZERO).unwrap();
    let error = open(dir.path(), Duration::ZERO).unwrap_err();
    assert!(error.is_locked() && error.to_string().contains("clone its Kitaru handle"), "{error:#}");
}

#[test]
fn a_closed_store_is_free_and_says_that_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Duration::ZERO).unwrap();
    store.close().unwrap();
    store.close().unwrap();
    assert!(store.get(Table::Meta, b"format").unwrap_err().is_closed());
    assert!(fill(&store, 0..1).unwrap_err().is_closed());
    open(dir.path(), Duration::ZERO).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "a file").unwrap();
    for (path, advice) in [(file.clone(), "a file is in the way"), (file.join("below"), "a file is in the way")] {
        let message = refused(&path);
        assert!(message.contains(advice) && message.contains(&path.display().to_string()), "{message}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
    // Not even the superuser makes files there.
    if Path::new("/proc/self").exists() {
        let message = refused(Path::new("/proc/self/store"));
        assert!(message.contains("cannot make the folder /proc/self/store"), "{message}");
    }
}

#[test]
fn file_that_is_not_a_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    for (content, says) in [
        (b"Dear diary, today I lost my store.".to_vec(), "is not a store of Kitaru's"),
        (Vec::new(), "is cut short"),
        (b"redb".to_vec(), "is cut short"),
    ] {
        fs::write(&file, &content).unwrap();
        let message = refused(dir.path());
        assert!(message.contains(says), "{message}");
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[test]
fn a_redb_file_of_another_program_is_refused_and_keeps_its_tables() {
    const THEIRS: TableDefinition<'_, u64, u64> = TableDefinition::new("theirs");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let database = Database::create(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(THEIRS).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let message = refused(dir.path());
    assert!(message.contains("not a store of Kitaru's"), "{message}");
    let database = Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    assert_eq!(transaction.open_table(THEIRS).unwrap().get(1).unwrap().unwrap().value(), 2);
    assert_eq!(transaction.list_tables().unwrap().count(), 1);
}

#[test]
fn a_store_of_a_newer_format_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Duration::ZERO).unwrap();
    let mut format = 3u32.to_le_bytes().to_vec();
    seal(Table::Meta, b"format", &mut format);
    let row = Row { table: Table::Meta, key: b"format".into(), value: Some(format) };
    store.commit(vec![row]).unwrap();
    store.close().unwrap();
    let message = refused(dir.path());
    assert!(message.contains("has format 3") && message.contains("reads up to 2"), "{message}");
    assert!(message.contains("update Kitaru"), "{message}");
}

#[test]
fn a_store_of_an_earlier_format_becomes_one_of_this_format_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let row_of = |format: u32| {
        let mut format = format.to_le_bytes().to_vec();
        seal(Table::Meta, b"format", &mut format);
        Row { table: Table::Meta, key: b"format".into(), value: Some(format) }
    };
    let store = open(dir.path(), Duration::ZERO).unwrap();
    let this = store.get(Table::Meta, b"format").unwrap();
    assert_eq!(this, row_of(2).value);
    store.commit(vec![row_of(1)]).unwrap();
    store.close().unwrap();
    // No earlier version writes to it any more: it would leave rows out.
    let store = open(dir.path(), Duration::ZERO).unwrap();
    assert_eq!(store.get(Table::Meta, b"format").unwrap(), this);
}

#[test]
fn remains_of_a_store_that_was_being_made_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut half = fs::File::create(dir.path().join("store.redb.new")).unwrap();
    half.write_all(b"redb, half made").unwrap();
    let store = std::sync::Arc::new(open(dir.path(), Duration::ZERO).unwrap());
    fill(&*store, 0..3).unwrap();
    assert_eq!(rows(&Reader::new(store)).unwrap(), [0, 1, 2]);
    assert!(!dir.path().join("store.redb.new").exists());
}

#[test]
fn new_folder_is_kept_out_of_version_control_and_other_files_stay() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("made/here");
    open(&dir, Duration::ZERO).unwrap();
    assert_eq!(fs::read_to_string(dir.join(".gitignore")).unwrap(), "*\n");
    fs::write(dir.join(".gitignore"), "lock\n").unwrap();
    open(&dir, Duration::ZERO).unwrap();
    assert_eq!(fs::read_to_string(dir.join(".gitignore")).unwrap(), "lock\n");
    // One that was there before may be a place of work.
    open(home.path(), Duration::ZERO).unwrap();
    assert!(!home.path().join(".gitignore").exists());
}

#[test]
fn names_of_a_store_and_of_its_folders_are_durable_before_a_commit_is() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let (made, dir) = (home.join("made"), home.join("made/here"));
    drop(synced::take());
    open(&dir, Duration::ZERO).unwrap();
    assert_eq!(synced::take(), [home.clone(), made.clone(), dir.clone(), dir.clone()]);
    // The process that made a folder, or gave the store its name, may have died before the name was durable.
    open(&dir, Duration::ZERO).unwrap();
    assert_eq!(synced::take(), std::slice::from_ref(&dir));
    // One that has made commits has synced them.
    fill(&open(&dir, Duration::ZERO).unwrap(), 0..1).unwrap();
    drop(synced::take());
    open(&dir, Duration::ZERO).unwrap();
    assert_eq!(synced::take(), [] as [std::path::PathBuf; 0]);
    open(&made, Duration::ZERO).unwrap();
    assert_eq!(synced::take(), [home, made.clone(), made]);
}
