//! A process that crashes at random, again and again, with a store that refuses writes and is late. Owns the randomness; must
//! not know how a process crashes.

use std::fmt::Debug;
use std::sync::Arc;

use crate::testkit::audit::examine;
use crate::testkit::chance::Chance;
use crate::testkit::crash::{Life, alone, live, trial};
use crate::testkit::disk::{DiskStore, Rows};
use crate::testkit::house::House;
use crate::testkit::kit::Testkit;
use crate::testkit::report::{Mode, Report, Trial};

/// Runs a scenario many times, each with several crashes and refused commits at random, in both modes of
/// [`crash_everywhere`](crate::testkit::crash_everywhere), and returns the report. Use it for programs that are too large, or
/// too many, for a crash at every point.
///
/// Here a call of a flow may fail because the store refuses to write. The scenario must allow for that by calling it again.
/// From run to run, concurrent bodies finish in another order, commits and their acknowledgements are late, and of several
/// tasks that wait for one commit any may learn of it first.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit};
/// # let report = || flow("report").run(|| async {
/// #     checkpoint("research").run(|| async { Ok::<_, Error>("notes".to_owned()) }).await
/// # });
/// let report = testkit::crash_randomly(20, |kit| async move {
///     loop {
///         match kit.run(report()).await {
///             Err(error) if error.is_store() => {}
///             done => break done,
///         }
///     }
/// });
/// assert!(report.is_clean(), "{report}");
/// ```
pub fn crash_randomly<F, Fut>(runs: u32, scenario: F) -> Report
where
    F: Fn(Testkit) -> Fut + Send,
    Fut: Future,
    Fut::Output: Debug,
{
    storms(runs, scenario, |_| Rows::InMemory(Box::default()))
}

/// As [`crash_randomly`], with the store of a program on a disk whose writes and syncs fail. The process dies in the middle of
/// them too, and the power may go with it. Whenever the store is opened again, all that was acknowledged is there.
pub fn crash_randomly_on_a_failing_disk<F, Fut>(runs: u32, scenario: F) -> Report
where
    F: Fn(Testkit) -> Fut + Send,
    Fut: Future,
    Fut::Output: Debug,
{
    storms(runs, scenario, |seed| Rows::OnDisk(Box::new(DiskStore::new(seed))))
}

fn storms<F, Fut>(runs: u32, scenario: F, rows: impl Fn(u64) -> Rows + Send) -> Report
where
    F: Fn(Testkit) -> Fut + Send,
    Fut: Future,
    Fut::Output: Debug,
{
    alone(move |seed| {
        let mut trials = Vec::new();
        for mode in [Mode::Plain, Mode::AlwaysParking] {
            trials.extend(storm(&scenario, mode, seed, runs, &rows));
        }
        trials
    })
}

/// The most crashes of one run.
const DEATHS: usize = 4;
/// The most turns that a commit, or one acknowledgement of it, may take.
const TURNS: usize = 12;

/// One scenario in one mode, with random crashes and refusals.
fn storm<F, Fut>(scenario: &F, mode: Mode, seed: u64, runs: u32, rows: &dyn Fn(u64) -> Rows) -> Vec<Trial>
where
    F: Fn(Testkit) -> Fut,
    Fut: Future,
    Fut::Output: Debug,
{
    let mut chance = Chance::new(seed);
    let house = House::new(seed, mode.parking());
    house.learn();
    let expected = live(&house, scenario, &Arc::default());
    let points = house.learned().len();
    let mut trials = vec![trial(&house, mode, None, expected.clone(), expected.clone(), false)];
    for _ in 0..runs {
        let seed = chance.next();
        let house = House::over(rows(seed), seed, mode.parking());
        if chance.below(2) == 0 {
            house.refuse_some(6 + chance.below(18) as u64);
        }
        if chance.below(3) > 0 {
            house.dawdle(1 + chance.below(TURNS));
        }
        let posted = Arc::default();
        let mut deaths = 1 + chance.below(DEATHS);
        let came = loop {
            match deaths.checked_sub(1) {
                Some(left) => {
                    deaths = left;
                    house.die_at(chance.below(points));
                }
                None => house.refuse_some(0),
            }
            match live(&house, scenario, &posted) {
                Life::Died => examine(&house),
                came => break came,
            }
        };
        examine(&house);
        let gave_up = !house.findings().interrupted.is_empty();
        trials.push(trial(&house, mode, None, expected.clone(), came, gave_up));
    }
    trials
}
