//! A store that is made of a backup, and is none until it is whole.

use std::fs;
use std::time::Duration;

use crate::store::disk::tests::{row, rows};
use crate::store::{Disk, NewDisk, OpenOptions, Reader, Store};

fn options() -> OpenOptions {
    OpenOptions { lock_timeout: Duration::from_secs(1) }
}

#[test]
fn restored_store_is_none_until_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("store");
    let disk = NewDisk::begin(&folder, options()).unwrap();
    disk.write((0..10).map(row).collect()).unwrap();
    // What a process leaves that dies now.
    let left = dir.path().join("left");
    fs::create_dir(&left).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), left.join(entry.file_name())).unwrap();
    }
    disk.write((10..20).map(row).collect()).unwrap();
    disk.finish().unwrap();
    let disk = Disk::open(&folder, options()).unwrap();
    let reader = Reader::new(std::sync::Arc::new(disk));
    assert_eq!(rows(&reader).unwrap(), (0..20).collect::<Vec<_>>());

    for why in [Disk::open(&left, options()).unwrap_err(), Disk::open_read_only(&left, options()).unwrap_err()] {
        assert!(why.to_string().contains("its restore was cut off; restore it again"), "{why}");
    }
    let disk = NewDisk::begin(&left, options()).unwrap();
    disk.write(vec![row(7)]).unwrap();
    disk.finish().unwrap();
    let disk = Disk::open(&left, options()).unwrap();
    disk.commit(vec![row(8)]).unwrap();
    disk.close().unwrap();
    let again = Disk::open(&left, options()).unwrap();
    assert_eq!(rows(&Reader::new(std::sync::Arc::new(again))).unwrap(), [7, 8]);
}

#[test]
fn restore_that_is_given_up_leaves_a_folder_without_a_store() {
    let dir = tempfile::tempdir().unwrap();
    drop(NewDisk::begin(dir.path(), options()).unwrap());
    Disk::open(dir.path(), options()).unwrap().close().unwrap();
    let why = NewDisk::begin(dir.path(), options()).unwrap_err();
    assert!(why.is_misuse() && why.to_string().contains("holds a store"), "{why}");
}
