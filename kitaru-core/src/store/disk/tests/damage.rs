//! Files that are damaged: cut short at every length, or with a bit flipped at every byte. Each case ends in what was
//! written, all of it, or in an error that says what is wrong; redb's panics do not get out, and it ends the process only
//! at bytes that are listed.
//!
//! `KITARU_DAMAGE=all` tries every byte and every length; a sample of them otherwise. What is read of a log is tried in `tail` at
//! every bit and every length.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::store::disk::acknowledged::FILE as NUMBER;
use crate::store::disk::database::ALL_ARE_LARGE;
use crate::store::disk::files::{FILE, LOG as NAMES};
use crate::store::disk::platter::{LOG, Platter, PlatterFiles, STORE};
use crate::store::disk::segment::SIZES;
use crate::store::disk::tests::{Seeded, row};
use crate::store::{Disk, OpenOptions, Order, Reader, Row, Store, Table, seal};

/// What is done to which store, and from which case on: the order to the other process.
const DAMAGE: &str = "KITARU_TEST_DAMAGE";
const ALL: &str = "KITARU_DAMAGE";

/// A byte on disk and one of its bits, at which redb ends its process. The list may shrink.
const ABORTS: &str = include_str!("aborts.txt");

/// Longer than this nothing may take.
const HANGS_AFTER: Duration = Duration::from_secs(20);

type Rows = Vec<(Table, Vec<u8>, Vec<u8>)>;

/// How a store was left.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    Closed,
    Killed,
    /// Closed, and too large to be verified when it is opened.
    Large,
}

const LEFT: [Left; 3] = [Left::Closed, Left::Killed, Left::Large];

/// A store's files, and the rows that are in it.
struct Sound {
    left: Left,
    files: PlatterFiles,
    rows: Rows,
}

impl Sound {
    /// A small store: short rows and long ones, several commits of either kind, and something deleted.
    fn new(left: Left) -> Self {
        let disk = Platter::default();
        let store = Arc::new(disk.store().expect("a store"));
        let long = |table: Table, length: usize| {
            let mut value = vec![table as u8; length];
            seal(table, b"long", &mut value);
            Row { table, key: b"long".into(), value: Some(value) }
        };
        for n in 0..40 {
            let mut rows = vec![row(n), Row { table: Table::Journal, key: 7u64.to_be_bytes().into(), value: None }];
            match n {
                10 => rows.push(long(Table::Shape, 6_000)),
                20 => rows.push(long(Table::Memo, 300)),
                30 => rows.push(long(Table::Aside, 20_000)),
                _ => {}
            }
            store.commit(rows).expect("a commit");
        }
        let rows = all_rows(&store).expect("its rows");
        if left != Left::Killed {
            store.close().expect("it closes");
        }
        Sound { left, files: disk.files(), rows }
    }

    /// The same with a log as large as one on a real disk.
    fn padded(mut self) -> Self {
        LOG.iter().for_each(|log| self.files.0[*log].resize(SIZES.least as usize, 0));
        self
    }

    /// Opens a damaged copy in a folder, to read it. Nothing is written there.
    fn read(&self, dir: &Path, ([redb, first, second], number): &PlatterFiles) -> Result<Found, String> {
        let files = [(FILE, redb), (NAMES[0], first), (NAMES[1], second), (NUMBER, number)];
        let is_changed = |(name, bytes): &(&str, &Vec<u8>)| fs::read(dir.join(name)).ok().as_ref() != Some(*bytes);
        for (name, bytes) in files.into_iter().filter(is_changed) {
            fs::write(dir.join(name), bytes).expect("a file");
        }
        let opened = Disk::open_read_only(dir, OpenOptions { lock_timeout: Duration::ZERO });
        let found = match opened.and_then(|store| all_rows(&Arc::new(store))) {
            Ok(rows) if rows == self.rows => Ok(Found::Whole),
            Ok(rows) if self.may_lack(&rows) => Ok(Found::Less),
            Ok(rows) => Err(format!("{} rows of {} are there, or others", rows.len(), self.rows.len())),
            Err(error) => refused(error),
        };
        if let Some((name, _)) = files.iter().find(|file| is_changed(file)) {
            return Err(format!("{name} was written to"));
        }
        let made = fs::read_dir(dir).expect("a folder").count();
        if made == files.len() { found } else { Err(format!("{made} files are there")) }
    }

    /// Whether these rows may be what a damaged file shows: a large one may hide some.
    fn may_lack(&self, rows: &Rows) -> bool {
        self.left == Left::Large && rows.iter().all(|row| self.rows.contains(row))
    }

    /// Opens a damaged copy, reads and writes. A large file may hide rows.
    fn look(&self, disk: &Platter) -> Result<Found, String> {
        let store = match disk.store() {
            Ok(store) => Arc::new(store),
            Err(error) => return refused(error),
        };
        let compare = |store: &Arc<Disk>, when: &str| match all_rows(store) {
            Ok(rows) if rows == self.rows => Ok(None),
            Ok(rows) if self.may_lack(&rows) => Ok(Some(Found::Less)),
            Ok(rows) => Err(format!("{when} {} rows of {} are there, or others", rows.len(), self.rows.len())),
            Err(error) => refused(error).map(Some),
        };
        if let Some(found) = compare(&store, "opened, ")? {
            return Ok(found);
        }
        // Damage that writing brings to light, as to the lists of free pages, is no less damage.
        let long = |value: Option<Vec<u8>>| Row { table: Table::Memo, key: b"more".into(), value };
        let more = (0..3).try_for_each(|n| {
            let mut value = vec![n; 5_000];
            seal(Table::Memo, b"more", &mut value);
            store.commit(vec![long(Some(value))])
        });
        if let Err(error) = more.and_then(|()| store.commit(vec![long(None)])) {
            return refused(error);
        }
        if let Some(found) = compare(&store, "written to, ")? {
            return Ok(found);
        }
        if let Err(error) = store.close() {
            return refused(error);
        }
        match disk.store() {
            Ok(store) => Ok(compare(&Arc::new(store), "opened again, ")?.unwrap_or(Found::Whole)),
            Err(error) => refused(error),
        }
    }
}

/// An error has to say what is wrong.
fn refused(error: Error) -> Result<Found, String> {
    let message = format!("{error:#}");
    let says = ["damaged", "restore", "is missing", "is not a store", "version", "redb file of another program"];
    match error.is_store() && says.iter().any(|part| message.contains(part)) {
        true => Ok(Found::Refused),
        false => Err(format!("an error that does not say what is wrong: {message}")),
    }
}

/// What was found of a damaged store.
#[derive(Clone, Copy, Debug)]
enum Found {
    Whole,
    Refused,
    /// Rows that are right, and not all.
    Less,
}

/// Every row, but for how far the store has come.
fn all_rows(store: &Arc<Disk>) -> Result<Rows, Error> {
    let reader = Reader::new(store.clone());
    let mut rows = Rows::new();
    for table in Table::ALL {
        reader.scan(table, (Bound::Unbounded, Bound::Unbounded), Order::Ascending, &mut |key, value| {
            if key != b"commit" && key != b"log" {
                rows.push((table, key.to_vec(), value.to_vec()));
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(rows)
}

/// How a damaged store is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Opened {
    ToWrite,
    ToRead,
}

/// Which damage is tried.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// One bit of each byte.
    Flip,
    /// Each length.
    Cut,
}

impl Damage {
    /// The bytes of the file at which it is done. A sample takes each part of the file that is written to and little of the
    /// others, in steps that differ.
    fn places(self, sound: &Sound, file: usize, opened: Opened) -> Vec<usize> {
        let bytes = &sound.files.0[file];
        if opened == Opened::ToWrite && std::env::var_os(ALL).is_some() {
            return (0..bytes.len()).collect();
        }
        let sample = match opened {
            // Real files, which are slow, and the same code.
            Opened::ToRead => 797,
            Opened::ToWrite if file == STORE => 97,
            Opened::ToWrite => 23,
        };
        let mut chance = Seeded::new(7);
        let mut places = BTreeSet::new();
        // The header; of the redb file also where rows went missing or redb panicked when it was closed.
        places.extend((0..320).step_by(if opened == Opened::ToRead { 7 } else { 1 }));
        if file == STORE {
            places.extend([8_560, 69_701, 69_702, 69_703, 69_704, 69_917]);
        }
        let mut at = 0;
        while at < bytes.len() {
            places.insert(at);
            let is_used = bytes[at..].iter().take(sample).any(|byte| *byte != 0);
            at += 1 + chance.below(if is_used { sample } else { 40 * sample } as u64) as usize;
        }
        places.into_iter().collect()
    }

    fn done(self, sound: &Sound, file: usize, place: usize) -> PlatterFiles {
        let mut files = sound.files.clone();
        match self {
            Damage::Flip => files.0[file][place] ^= 1 << bit(place),
            Damage::Cut => files.0[file].truncate(place),
        }
        files
    }
}

/// The bit of a byte that is flipped.
fn bit(place: usize) -> u64 {
    Seeded::new(place as u64).below(8)
}

/// The other process of the tests below: redb ends the process at some damages.
#[test]
fn damager() {
    let Ok(order) = std::env::var(DAMAGE) else { return };
    let order: Vec<usize> = order.split(' ').map(|n| n.parse().unwrap()).collect();
    let [left, opened, damage, file, from] = order[..] else { panic!("a store, a damage, a file and a case") };
    let (opened, damage) = ([Opened::ToWrite, Opened::ToRead][opened], [Damage::Flip, Damage::Cut][damage]);
    let sound = Sound::new(LEFT[left]);
    let sound = if opened == Opened::ToRead { sound.padded() } else { sound };
    ALL_ARE_LARGE.store(opened == Opened::ToRead && sound.left == Left::Large, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    // redb's panics are caught, and too many to print.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Arc::new(AtomicU64::new(0));
    let watched = begun.clone();
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        loop {
            std::thread::sleep(HANGS_AFTER);
            let now = watched.load(Ordering::SeqCst);
            if now == last {
                println!("\nbroken it hangs");
                std::process::exit(3);
            }
            last = now;
        }
    });
    println!();
    for (nth, place) in damage.places(&sound, file, opened).into_iter().enumerate().skip(from) {
        begun.store(nth as u64, Ordering::SeqCst);
        println!("case {nth} {place}");
        let files = damage.done(&sound, file, place);
        let look = || match opened {
            Opened::ToWrite if sound.left == Left::Large => sound.look(&Platter::of(files).made_large()),
            Opened::ToWrite => sound.look(&Platter::of(files)),
            Opened::ToRead => sound.read(dir.path(), &files),
        };
        match catch_unwind(AssertUnwindSafe(look)) {
            Ok(Ok(found)) => println!("{found:?}"),
            Ok(Err(why)) => println!("broken {why}"),
            Err(panic) => println!("broken {}", Error::panicked("the store", panic)),
        }
    }
    println!("done");
}

/// What became of all cases.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    refused: usize,
    less: usize,
    /// Where redb has ended the process.
    aborts: BTreeSet<usize>,
}

/// Lets another process try all cases, and a further one continue where redb has ended one.
fn try_all(left: Left, opened: Opened, damage: Damage, file: usize) -> Tally {
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    let (mut from, mut place) = (0, 0);
    loop {
        let test = concat!(module_path!(), "::damager").split_once("::").unwrap_or_default().1;
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", test, "--nocapture"])
            .env(DAMAGE, format!("{} {} {} {file} {from}", left as u8, opened as u8, damage as u8))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program runs again");
        let mut done = false;
        for said in BufReader::new(child.stdout.take().expect("its output is a pipe")).lines() {
            let said = said.expect("a line");
            match said.split_once(' ').unwrap_or((&said, "")) {
                ("case", case) => {
                    let (nth, at) = case.split_once(' ').expect("a case and its place");
                    from = nth.parse::<usize>().expect("a number") + 1;
                    place = at.parse().expect("a number");
                }
                ("Whole", _) => tally.whole += 1,
                ("Refused", _) => tally.refused += 1,
                ("Less", _) => tally.less += 1,
                ("broken", why) => broken.push(format!(
                    "{damage:?} at {place} of file {file} of a store that was {left:?}, opened {opened:?}: {why}"
                )),
                ("done", _) => done = true,
                _ => {}
            }
        }
        let status = child.wait().expect("it ends");
        if done {
            break;
        }
        assert_ne!(status.code(), Some(101), "the other process has failed at {place}");
        if status.code() != Some(3) {
            tally.aborts.insert(place);
        }
    }
    let few: Vec<_> = broken.iter().take(20).collect();
    assert!(broken.is_empty(), "{} of {} cases: {few:#?}", broken.len(), from);
    println!("{damage:?}, file {file}, {left:?}, {opened:?}: {tally:?}");
    tally
}

fn flips(left: Left, opened: Opened) -> Tally {
    let tally = try_all(left, opened, Damage::Flip, STORE);
    let known: BTreeSet<usize> = ABORTS
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{left:?} ")))
        .map(|place| place.parse().expect("a place"))
        .collect();
    let new: Vec<_> = tally.aborts.difference(&known).collect();
    assert!(new.is_empty(), "redb ends the process at bits that are not listed: {left:?} {new:?}");
    let few = if opened == Opened::ToRead { 20 } else { 200 };
    assert!(tally.refused > few, "only {tally:?} were noticed");
    tally
}

#[test]
fn bit_flipped_at_any_byte_of_a_closed_store_is_an_error_or_harmless() {
    drop(flips(Left::Closed, Opened::ToWrite));
}

#[test]
fn bit_flipped_at_any_byte_of_a_killed_store_is_an_error_or_harmless() {
    drop(flips(Left::Killed, Opened::ToWrite));
}

#[test]
fn bit_flipped_in_a_large_file_gives_no_wrong_row_and_seldom_hides_one() {
    let tally = flips(Left::Large, Opened::ToWrite);
    // Five of 135,168, all of which the sample has.
    assert!(tally.less <= 5, "{tally:?}");
}

#[test]
fn a_store_cut_short_at_any_length_is_refused_unless_what_it_lacks_was_not_in_use() {
    for left in [Left::Closed, Left::Killed] {
        let tally = try_all(left, Opened::ToWrite, Damage::Cut, STORE);
        assert!(tally.aborts.is_empty(), "{tally:?}");
        assert!(tally.refused > 200 && tally.whole < 10, "{tally:?}");
    }
}

#[test]
fn bit_flipped_or_length_cut_anywhere_in_a_log_is_an_error_or_harmless() {
    for left in [Left::Closed, Left::Killed] {
        for (damage, file) in
            [(Damage::Flip, LOG[0]), (Damage::Flip, LOG[1]), (Damage::Cut, LOG[0]), (Damage::Cut, LOG[1])]
        {
            let tally = try_all(left, Opened::ToWrite, damage, file);
            assert!(tally.aborts.is_empty() && tally.less == 0, "{tally:?}");
            // What redb has is not needed of a log.
            assert!(left == Left::Killed || tally.whole > 0, "{tally:?}");
        }
    }
}

#[test]
fn damaged_store_that_is_only_read_is_an_error_or_whole_and_nothing_is_written() {
    // A large file is not verified, and redb panics on damage when it is dropped.
    let large = flips(Left::Large, Opened::ToRead);
    assert!(large.less <= 5, "{large:?}");
    for left in [Left::Closed, Left::Killed] {
        drop(flips(left, Opened::ToRead));
        for (damage, file) in [
            (Damage::Cut, STORE),
            (Damage::Flip, LOG[0]),
            (Damage::Flip, LOG[1]),
            (Damage::Cut, LOG[0]),
            (Damage::Cut, LOG[1]),
        ] {
            let tally = try_all(left, Opened::ToRead, damage, file);
            assert!(tally.aborts.is_empty() && tally.less == 0, "{tally:?}");
        }
    }
}
