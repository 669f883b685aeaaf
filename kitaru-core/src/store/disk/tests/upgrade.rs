//! A store of format 1, which is given a log when it is opened: wherever that ends, it is a store with all that was in it.

use ::redb::ReadableDatabase as _;

use crate::store::disk::database::{DEFINITIONS, builder};
use crate::store::disk::platter::{DiskEvent, Platter, PlatterFile, PlatterFiles, STORE};
use crate::store::disk::tests::power::{Cut, Rows, cuts, held, recovered, run, states, workload};
use crate::store::disk::tests::{Seeded, seeds};
use crate::store::{Disk, OpenOptions, Store, Table, seal};

/// The files of a store of format 1, after these commits.
fn of_format_1(commits: &[Vec<crate::store::Row>]) -> PlatterFiles {
    let disk = Platter::default();
    let store = disk.store().unwrap();
    commits.iter().for_each(|rows| store.commit(rows.clone()).unwrap());
    store.close().unwrap();
    let ([redb, ..], acknowledged) = disk.files();
    let disk = Platter::of(([redb, Vec::new(), Vec::new()], acknowledged));
    let database = builder(0).create_with_backend(PlatterFile(disk.clone(), STORE)).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(DEFINITIONS[Table::Meta as usize]).unwrap();
        let mut format = 1u32.to_le_bytes().to_vec();
        seal(Table::Meta, b"format", &mut format);
        meta.insert(b"format".as_slice(), format.as_slice()).unwrap();
        meta.remove(b"log".as_slice()).unwrap();
    }
    transaction.delete_table(DEFINITIONS[Table::Index as usize]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    disk.files()
}

/// The format that a redb file says.
fn format(disk: &Platter) -> u8 {
    let database = builder(0).create_with_backend(PlatterFile(disk.clone(), STORE)).unwrap();
    let meta = database.begin_read().unwrap().open_table(DEFINITIONS[Table::Meta as usize]).unwrap();
    meta.get(b"format".as_slice()).unwrap().unwrap().value()[0]
}

#[test]
fn store_of_format_1_that_is_killed_while_it_is_upgraded_opens_with_all_of_it() {
    let (mut tried, mut old) = (0, 0);
    for seed in seeds(2) {
        let mut chance = Seeded::new(seed);
        let (before, after) = (workload(&mut chance, 8), workload(&mut chance, 3));
        let left = of_format_1(&before);
        assert_eq!(format(&Platter::of(left.clone())), 1);
        let rows = states(Rows::new(), &before).pop().unwrap();
        let states = states(rows, &after);
        let log = run(&Platter::of(left.clone()), &after);
        // A kill loses nothing that was written, synced or not.
        for killed in 0..=log.len() {
            let mut files = left.clone();
            log[..killed].iter().for_each(|event| match event {
                DiskEvent::Beside(bytes) => files.1.clone_from(bytes),
                event => event.to(&mut files.0),
            });
            let acknowledged = log[..killed].iter().rev().find_map(DiskEvent::mark).unwrap_or(0);
            let what = format!("KITARU_SEED={seed}, killed after write {killed}");
            let disk = Platter::of(files);
            old += u64::from(format(&Platter::of(disk.files())) == 1);
            recovered(&disk, &states, &Cut::after(acknowledged), &what);
            assert_eq!(format(&Platter::of(disk.files())), 2, "{what}");
        }
        for (point, cut) in cuts(&left, &log).iter().enumerate() {
            for (nth, disk) in cut.outcomes(&mut chance, 8).into_iter().enumerate() {
                let what = format!("KITARU_SEED={seed}, the power goes at sync {point}, outcome {nth}");
                recovered(&disk, &states, cut, &what);
                tried += 1;
            }
        }
    }
    assert!(old > 20, "{old} kills before it was one of this format");
    println!("{tried} cuts");
}

#[test]
fn store_of_format_1_that_is_only_read_is_read_on_after_its_file_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let commits = workload(&mut Seeded::new(1), 8);
    let ([redb, ..], _) = of_format_1(&commits);
    std::fs::write(dir.path().join("store.redb"), &redb).unwrap();
    let store = std::sync::Arc::new(Disk::open_read_only(dir.path(), OpenOptions::default()).unwrap());
    let expected = states(Rows::new(), &commits).pop().unwrap();
    for _ in 0..2 {
        assert!(held(&store).unwrap() == expected);
        assert_eq!(store.get(Table::Index, b"none").unwrap(), None);
        // As after an error of the disk.
        store.shared.redb.fail();
    }
    assert!(std::fs::read(dir.path().join("store.redb")).unwrap() == redb, "the file was written to");
}
