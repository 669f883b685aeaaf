//! Power cuts at every sync of one of the files: of the writes to each file since its last sync, any part reaches the disk, in
//! units of a sector.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::error::Error;
use crate::store::disk::frame::MAGIC;
use crate::store::disk::platter::{DiskEvent, LOG, Platter, PlatterFiles, STORE};
use crate::store::disk::tests::{Seeded, row, seeds};
use crate::store::{Disk, Order, Reader, Row, Store, Table, seal};

/// The rows of the tables that the workload writes.
pub(super) type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

const WRITTEN: [Table; 3] = [Table::Unfinished, Table::Journal, Table::Aside];

/// The commits of a workload: records that come, rows that are overwritten and go, values of many pages, and batches.
pub(super) fn workload(seed: &mut Seeded, commits: u64) -> Vec<Vec<Row>> {
    let row = |table: Table, key: u64, value: Option<Vec<u8>>| {
        let key = key.to_be_bytes();
        let value = value.map(|mut value| {
            seal(table, &key, &mut value);
            value
        });
        Row { table, key: key.into(), value }
    };
    (0..commits)
        .map(|nth| {
            let mut rows: Vec<Row> = (0..seed.below(6))
                .map(|n| row(Table::Journal, nth * 10 + n, Some(vec![nth as u8; seed.below(300) as usize])))
                .collect();
            rows.push(row(Table::Unfinished, seed.below(5), Some(nth.to_le_bytes().to_vec())));
            match seed.below(6) {
                0 => rows.push(row(Table::Aside, nth, Some(vec![nth as u8; seed.below(40_000) as usize]))),
                1 => rows.push(row(Table::Aside, seed.below(nth + 1), None)),
                2 => rows.push(row(Table::Unfinished, seed.below(5), None)),
                _ => {}
            }
            rows
        })
        .collect()
}

/// What a store holds, every row checked.
pub(super) fn held(store: &Arc<Disk>) -> Result<Rows, Error> {
    let reader = Reader::new(store.clone());
    let mut held = Rows::new();
    for table in WRITTEN {
        reader.scan(table, (Bound::Unbounded, Bound::Unbounded), Order::Ascending, &mut |key, value| {
            held.insert((table, key.to_vec()), value.to_vec());
            ControlFlow::Continue(())
        })?;
    }
    Ok(held)
}

/// What a store has to hold after each of the commits, the first being none.
pub(super) fn states(mut rows: Rows, commits: &[Vec<Row>]) -> Vec<Rows> {
    let mut states = vec![rows.clone()];
    for batch in commits {
        for Row { table, key, value } in batch {
            let key = (*table, key.as_bytes().to_vec());
            match value {
                Some(value) => rows.insert(key, value[..value.len() - 4].to_vec()),
                None => rows.remove(&key),
            };
        }
        states.push(rows.clone());
    }
    states
}

/// A disk at one of its syncs.
#[derive(Default)]
pub(super) struct Cut<'a> {
    /// What it holds for good.
    kept: [Vec<u8>; 3],
    /// What was written since, in order.
    pending: Vec<&'a DiskEvent>,
    /// The possible contents of the file next to the store: anything that was written there.
    beside: Vec<&'a [u8]>,
    /// How many commits were acknowledged.
    acknowledged: u64,
}

/// The disk at each of its syncs, and at the end.
pub(super) fn cuts<'a>(files: &'a PlatterFiles, events: &'a [DiskEvent]) -> Vec<Cut<'a>> {
    cuts_after_losses(files, events, &mut |_| true)
}

/// The same. Where a sync has failed, `keeps` says which parts of what was written before have reached the disk; no later sync
/// writes the others.
fn cuts_after_losses<'a>(
    files: &'a PlatterFiles,
    events: &'a [DiskEvent],
    keeps: &mut dyn FnMut(&DiskEvent) -> bool,
) -> Vec<Cut<'a>> {
    let (mut kept, mut pending, mut acknowledged) = (files.0.clone(), Vec::new(), 0);
    let mut beside = vec![files.1.as_slice()];
    let mut cuts = Vec::new();
    for event in events.iter().chain([&DiskEvent::Sync(STORE)]) {
        match event {
            DiskEvent::Bytes(..) | DiskEvent::Length(..) => pending.push(event),
            DiskEvent::Beside(bytes) => beside.push(bytes),
            DiskEvent::Mark(mark) => acknowledged = *mark,
            DiskEvent::Lost(file) => {
                cuts.push(Cut { kept: kept.clone(), pending: pending.clone(), beside: beside.clone(), acknowledged });
                pending.retain(|event: &&DiskEvent| {
                    let is_lost = event.file() == Some(*file);
                    if is_lost {
                        event.parts().iter().filter(|part| keeps(part)).for_each(|part| part.to(&mut kept));
                    }
                    !is_lost
                });
            }
            DiskEvent::Sync(file) => {
                cuts.push(Cut { kept: kept.clone(), pending: pending.clone(), beside: beside.clone(), acknowledged });
                pending.retain(|event: &&DiskEvent| {
                    let is_synced = event.file() == Some(*file);
                    if is_synced {
                        event.to(&mut kept);
                    }
                    !is_synced
                });
            }
        }
    }
    cuts
}

/// The same, as it may have been with a thread that has redb catch up: what it does to the redb file comes at any time before
/// the next segment is full, in pieces between what commits do to the log.
fn interleaved(events: Vec<DiskEvent>, seed: &mut Seeded) -> Vec<DiskEvent> {
    let mut mixed: Vec<DiskEvent> = Vec::new();
    let mut late: VecDeque<DiskEvent> = VecDeque::new();
    let mut events = events.into_iter().peekable();
    while let Some(event) = events.next() {
        if event.file() != Some(STORE) {
            mixed.push(event);
            while seed.below(3) == 0
                && let Some(event) = late.pop_front()
            {
                mixed.push(event);
            }
            continue;
        }
        // One piece of work at a time.
        mixed.extend(late.drain(..));
        late.push_back(event);
        late.extend(std::iter::from_fn(|| events.next_if(|event| event.file() == Some(STORE))));
        // The free segment grows behind it.
        if let Some(DiskEvent::Length(grown, _)) = events.peek() {
            let grown = *grown;
            late.extend(std::iter::from_fn(|| events.next_if(|event| event.file() == Some(grown))));
        }
        // A commit that is too large for the log waits for it, and closing does.
        if !matches!(events.peek(), Some(DiskEvent::Bytes(_, _, data)) if data.starts_with(MAGIC)) {
            mixed.extend(late.drain(..));
        }
    }
    mixed.extend(late);
    mixed
}

impl Cut<'_> {
    /// Nothing but how many commits were acknowledged.
    pub(super) fn after(acknowledged: u64) -> Self {
        Cut { acknowledged, ..Cut::default() }
    }

    /// The parts that reach the disk or do not, each for itself.
    fn parts(&self) -> Vec<DiskEvent> {
        self.pending.iter().flat_map(|event| event.parts()).collect()
    }

    /// The disk after the power has gone, and been so kind as to keep these of the parts.
    fn disk(&self, parts: &[DiskEvent], seed: &mut Seeded, keeps: &mut dyn FnMut(usize) -> bool) -> Platter {
        let mut files = self.kept.clone();
        parts.iter().enumerate().filter(|(nth, _)| keeps(*nth)).for_each(|(_, part)| part.to(&mut files));
        // Never synced: any of what was there, the newest as often as not, or what the file system makes of it.
        let beside = match seed.below(8) {
            0..4 => self.beside.last().map_or(Vec::new(), |newest| newest.to_vec()),
            4..6 => self.beside[seed.below(self.beside.len() as u64) as usize].to_vec(),
            6 => Vec::new(),
            _ => vec![0; 12],
        };
        Platter::of((files, beside))
    }

    /// All that is tried at this point.
    pub(super) fn outcomes(&self, seed: &mut Seeded, random: usize) -> Vec<Platter> {
        let parts = self.parts();
        let all = parts.len();
        let mut disks = vec![self.disk(&parts, seed, &mut |_| false), self.disk(&parts, seed, &mut |_| true)];
        // All in order up to one, all but one, and one alone; of those that are many, some.
        for nth in (0..all).step_by(1 + all / 4) {
            let nth = nth + seed.below(1 + all as u64 / 4) as usize;
            disks.push(self.disk(&parts, seed, &mut |part| part <= nth));
            disks.push(self.disk(&parts, seed, &mut |part| part != nth));
            disks.push(self.disk(&parts, seed, &mut |part| part == nth));
        }
        for _ in 0..random {
            // Seldom and often, as well as evenly.
            let often = [2, 8, 14][seed.below(3) as usize];
            let mut chance = seed.split();
            disks.push(self.disk(&parts, seed, &mut |_| chance.below(16) < often));
        }
        disks
    }
}

/// Opens what a cut has left and compares it with what has to be there: what one of the commits left, from the last one
/// that was acknowledged on. Gives which.
pub(super) fn recovered(disk: &Platter, states: &[Rows], cut: &Cut<'_>, what: &str) -> (Arc<Disk>, u64) {
    let store = Arc::new(disk.store().unwrap_or_else(|error| panic!("{what}: {error:#}")));
    let held = held(&store).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let possible = cut.acknowledged as usize..states.len().min(cut.acknowledged as usize + 2);
    let found = possible.clone().rev().find(|nth| states[*nth] == held);
    let Some(found) = found else {
        let is = states.iter().position(|state| *state == held);
        panic!("{what}: {} commits were acknowledged, and what is there is that after {is:?}", cut.acknowledged);
    };
    (store, found as u64)
}

/// Makes commits, and what has happened to the disk by then.
pub(super) fn run(disk: &Platter, commits: &[Vec<Row>]) -> Vec<DiskEvent> {
    let store = disk.store().expect("a store");
    for (nth, rows) in commits.iter().enumerate() {
        store.commit(rows.clone()).expect("a commit");
        disk.mark(nth as u64 + 1);
    }
    store.close().expect("it closes");
    disk.events()
}

fn empty() -> PlatterFiles {
    let disk = Platter::default();
    disk.store().expect("a store").close().expect("it closes");
    disk.files()
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged_and_leaves_no_commit_half_done() {
    let empty = empty();
    let (mut points, mut tried) = (0, 0);
    for seed in seeds(3) {
        let mut chance = Seeded::new(seed);
        let commits = workload(&mut chance, 24);
        let states = states(Rows::new(), &commits);
        let log = interleaved(run(&Platter::of(empty.clone()), &commits), &mut chance);
        for (point, cut) in cuts(&empty, &log).iter().enumerate() {
            points += 1;
            for (nth, disk) in cut.outcomes(&mut chance, 6).into_iter().enumerate() {
                tried += 1;
                let what = format!("KITARU_SEED={seed}, the power goes at sync {point}, outcome {nth}");
                let (store, found) = recovered(&disk, &states, cut, &what);
                // It continues from there.
                let more = &commits[found as usize % commits.len()];
                store.commit(more.clone()).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                store.close().unwrap_or_else(|error| panic!("{what}: {error:#}"));
            }
        }
    }
    println!("{tried} cuts at {points} syncs");
}

#[test]
fn power_cut_after_failed_syncs_loses_nothing_and_brings_no_failed_commit_back() {
    let empty = empty();
    let mut tried = 0;
    for seed in seeds(2) {
        let mut chance = Seeded::new(seed);
        let commits = workload(&mut chance, 16);
        let states = states(Rows::new(), &commits);
        let disk = Platter::of(empty.clone());
        let store = disk.store().expect("a store");
        let mut failed = 0;
        for (nth, rows) in commits.iter().enumerate() {
            let (active, left) = {
                let log = store.log.lock().expect("no panic");
                let log = log.as_ref().expect("a log");
                (log.active, store.shared.segments().expect("a log")[log.active].bytes() - log.at)
            };
            // It has to go to this segment.
            if left > 200 && chance.below(3) == 0 {
                // The frame is written, and its sync fails.
                disk.file_fails_after(LOG[active], 1);
                store.commit(vec![row(1_000 + nth as u64)]).expect_err("a sync that fails");
                disk.heals();
                failed += 1;
            }
            store.commit(rows.clone()).expect("a commit");
            disk.mark(nth as u64 + 1);
        }
        store.close().expect("it closes");
        assert!(failed > 1, "KITARU_SEED={seed}: {failed} commits failed");
        let log = disk.events();
        let mut keeps = chance.split();
        for (point, cut) in cuts_after_losses(&empty, &log, &mut |_| keeps.below(2) == 0).iter().enumerate() {
            for (nth, disk) in cut.outcomes(&mut chance, 3).into_iter().enumerate() {
                tried += 1;
                let what = format!("KITARU_SEED={seed}, the power goes at sync {point}, outcome {nth}");
                let store = Arc::new(disk.store().unwrap_or_else(|error| panic!("{what}: {error:#}")));
                let mut found = held(&store).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                let last = cut.acknowledged as usize;
                let is_next = states.get(last + 1) == Some(&found);
                // One that failed may be there until the next one is acknowledged, and not longer.
                found.remove(&(Table::Journal, (1_000 + last as u64).to_be_bytes().to_vec()));
                assert!(is_next || found == states[last], "{what}: {last} commits were acknowledged");
                store.close().unwrap_or_else(|error| panic!("{what}: {error:#}"));
            }
        }
    }
    println!("{tried} cuts");
}

#[test]
fn a_power_cut_while_a_store_recovers_from_one_loses_nothing_either() {
    let empty = empty();
    let mut tried = 0;
    for seed in seeds(2) {
        let mut chance = Seeded::new(seed);
        let commits = workload(&mut chance, 10);
        let states = states(Rows::new(), &commits);
        let log = interleaved(run(&Platter::of(empty.clone()), &commits), &mut chance);
        for (point, cut) in cuts(&empty, &log).iter().enumerate() {
            for (nth, disk) in cut.outcomes(&mut chance, 1).into_iter().enumerate() {
                let what = format!("KITARU_SEED={seed}, the power goes at sync {point}, outcome {nth}");
                let files = disk.files();
                let (store, found) = recovered(&disk, &states, cut, &what);
                // In half of the cases the recovery is all that happens.
                if chance.below(2) == 0 {
                    store.close().unwrap_or_else(|error| panic!("{what}: {error:#}"));
                }
                let log = disk.events();
                for (second, again) in cuts(&files, &log).iter().enumerate() {
                    for (nth, disk) in again.outcomes(&mut chance, 1).into_iter().enumerate() {
                        tried += 1;
                        let what = format!("{what}, and again at sync {second} of the recovery, outcome {nth}");
                        // What was seen after the first cut stays.
                        let seen = &states[..=found as usize];
                        recovered(&disk, seen, &Cut::after(found), &what);
                    }
                }
            }
        }
    }
    println!("{tried} second cuts");
}

#[test]
fn rows_seen_after_a_kill_stay_when_the_power_goes() {
    let empty = empty();
    let mut tried = 0;
    for seed in seeds(2) {
        let mut chance = Seeded::new(seed);
        let commits = workload(&mut chance, 8);
        let states = states(Rows::new(), &commits);
        let log = interleaved(run(&Platter::of(empty.clone()), &commits), &mut chance);
        // A kill loses nothing that was written, synced or not.
        for killed in 0..=log.len() {
            let mut files = empty.clone();
            log[..killed].iter().for_each(|event| match event {
                DiskEvent::Beside(bytes) => files.1.clone_from(bytes),
                event => event.to(&mut files.0),
            });
            let disk = Platter::of(files);
            let acknowledged = log[..killed].iter().rev().find_map(DiskEvent::mark).unwrap_or(0);
            let what = format!("KITARU_SEED={seed}, killed after write {killed}");
            let (store, found) = recovered(&disk, &states, &Cut::after(acknowledged), &what);
            let all: Vec<DiskEvent> = log[..killed].iter().cloned().chain(disk.events()).collect();
            drop(store);
            let cuts = cuts(&empty, &all);
            let last = cuts.last().expect("the end");
            for (nth, disk) in last.outcomes(&mut chance, 2).into_iter().enumerate() {
                tried += 1;
                let what = format!("{what}, then the power goes, outcome {nth}");
                let seen = &states[..=found as usize];
                recovered(&disk, seen, &Cut::after(found), &what);
            }
        }
    }
    println!("{tried} cuts after kills");
}
