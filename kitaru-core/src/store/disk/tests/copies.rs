//! Files of one store from different moments, put together in every way: an older copy of any of them has taken its place. What
//! opens is right, and what does not says what to do.

use std::sync::Arc;

use crate::store::disk::mark::open_commit;
use crate::store::disk::platter::{Platter, PlatterFiles};
use crate::store::disk::tests::power::{Rows, held, states, workload};
use crate::store::disk::tests::{Seeded, seeds};
use crate::store::{Disk, Row, Store};
/// The files at one moment, what the store held then, and how many commits had been acknowledged.
struct Moment {
    files: PlatterFiles,
    rows: Rows,
    commits: u64,
}

/// A store that is used, killed and closed.
struct Life {
    disk: Platter,
    store: Disk,
    rows: Rows,
    commits: u64,
    /// What it held after each commit.
    states: Vec<(u64, Rows)>,
}

impl Life {
    fn of(disk: Platter, rows: Rows, commits: u64) -> Self {
        let store = disk.store().expect("it opens");
        Life { disk, store, states: vec![(commits, rows.clone())], rows, commits }
    }

    fn goes_on(&mut self, commits: &[Vec<Row>]) -> Moment {
        for rows in commits {
            self.store.commit(rows.clone()).expect("a commit");
        }
        let after = states(self.rows.clone(), commits);
        self.states.extend((self.commits..).zip(after.iter().cloned()).skip(1));
        self.rows = after.into_iter().last().expect("a state");
        self.commits += commits.len() as u64;
        self.moment()
    }

    fn moment(&self) -> Moment {
        Moment { files: self.disk.files(), rows: self.rows.clone(), commits: self.commits }
    }

    /// Opens it again, as after a kill.
    fn killed(&mut self) {
        let disk = Platter::of(self.disk.files());
        self.store = disk.store().expect("it opens");
        self.disk = disk;
    }

    fn closed(&mut self) -> Moment {
        self.store.close().expect("it closes");
        let moment = self.moment();
        self.killed();
        moment
    }
}

/// Puts the files of these moments together in every way. Gives how many are refused, and how many show an older state.
fn put_together(moments: &[Moment], states: &[(u64, Rows)], what: &str) -> (usize, usize) {
    let all = moments.len();
    let (mut refused, mut older) = (0, 0);
    for nth in 0..all.pow(4) {
        let [redb, first, second, said] = [0, 1, 2, 3].map(|place| nth / all.pow(place) % all);
        let what = format!("{what}: redb of moment {redb}, log of {first} and {second}, number of {said}");
        let of = |moment: usize, file: usize| moments[moment].files.0[file].clone();
        let number = &moments[said].files.1;
        let files = ([of(redb, 0), of(first, 1), of(second, 2)], number.clone());
        let is_one = redb == first && first == second && second == said;
        let store = match Platter::of(files).store() {
            Ok(store) => Arc::new(store),
            Err(error) => {
                let message = format!("{error:#}");
                assert!(!is_one, "{what}: {message}");
                let says = ["its log continues with", "its log is damaged", "another copy", "it lacks the last"];
                assert!(error.is_store() && says.iter().any(|part| message.contains(part)), "{what}: {message}");
                assert!(message.contains("restore") && message.contains("and lose"), "{what}: {message}");
                refused += 1;
                continue;
            }
        };
        let held = held(&store).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        if is_one {
            assert!(held == moments[redb].rows, "{what}");
        }
        // Whole, and no older than the number says.
        let at_least = open_commit(number).unwrap_or(0);
        let known = states.iter().rev().find(|(commits, rows)| *commits >= at_least && *rows == held);
        let Some((commits, _)) = known else { panic!("{what}: rows that were never there together, or too old") };
        older += usize::from(moments.iter().any(|moment| moment.commits > *commits));
    }
    (refused, older)
}

#[test]
fn older_copies_of_any_files_are_refused_or_show_one_whole_state() {
    for seed in seeds(2) {
        let mut chance = Seeded::new(seed);
        let mut life = Life::of(Platter::default(), Rows::new(), 0);
        let mut moments = vec![life.goes_on(&workload(&mut chance, 3))];
        moments.push(life.goes_on(&workload(&mut chance, 9)));
        moments.push(life.closed());
        moments.push(life.goes_on(&workload(&mut chance, 4)));
        life.killed();
        moments.push(life.goes_on(&workload(&mut chance, 2)));
        moments.push(life.goes_on(&workload(&mut chance, 7)));
        let what = format!("KITARU_SEED={seed}");
        let (refused, older) = put_together(&moments, &life.states, &what);
        println!("{what}: {refused} of {} are refused, {older} show an older state", moments.len().pow(4));
        assert!(refused > 600 && older > 0);
    }
}

#[test]
fn files_of_copies_that_went_different_ways_are_refused_or_show_the_way_of_one() {
    for seed in seeds(2) {
        let mut chance = Seeded::new(seed);
        let mut life = Life::of(Platter::default(), Rows::new(), 0);
        let shared = life.goes_on(&workload(&mut chance, 6));
        let mut moments = Vec::new();
        let mut known = life.states.clone();
        for way in 0..2 {
            let mut copy = Life::of(Platter::of(shared.files.clone()), shared.rows.clone(), shared.commits);
            for _ in 0..2 {
                // Other rows than the other copy has.
                let mut commits = workload(&mut chance, 1 + way);
                commits.extend(workload(&mut chance, 5));
                moments.push(copy.goes_on(&commits));
            }
            known.extend(copy.states);
        }
        let what = format!("KITARU_SEED={seed}, two ways");
        let (refused, _) = put_together(&moments, &known, &what);
        println!("{what}: {refused} of {} are refused", moments.len().pow(4));
        assert!(refused > 100);
    }
}
