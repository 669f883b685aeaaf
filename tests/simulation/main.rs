//! Random flow programs under a seeded order, clock and store: they crash at random, again and again, and their store refuses
//! writes and is late. Still they reach their undisturbed results, on the same path. The testkit checks the store after every
//! commit.
//!
//! `KITARU_PROGRAMS` says how many programs are run, `KITARU_FIRST` with which one it begins, and `KITARU_SEED` names another
//! seed for all of them. For very many there is a command:
//!
//!     tests/simulation/run 1000000
//!
//! Fewer of them run over the store of a program, on a disk that fails; more of these with
//!
//!     tests/simulation/run 100000 disk

// Every line of these modules is a test, helpers and flows included.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod interpret;
mod maker;
mod program;
mod trace;
mod world;

use kitaru::testkit::store::crash_randomly_on_a_failing_disk;
use kitaru::testkit::{self, Report, Testkit};

use crate::program::{Part, Role};
use crate::world::run;

/// The default number of programs.
const PROGRAMS: u64 = 3_000;
/// The same over a disk.
const PROGRAMS_ON_A_DISK: u64 = 200;
/// How often each is run in each mode.
const RUNS: u32 = 1;

fn seed() -> u64 {
    std::env::var("KITARU_SEED").map_or(0, |seed| seed.parse().expect("KITARU_SEED is a whole number"))
}

/// The first program of the seed.
fn first() -> u64 {
    seed().wrapping_mul(1 << 32)
}

fn programs(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str, unless: u64| {
        std::env::var(name)
            .map_or(unless, |number| number.parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
    };
    let first = number("KITARU_FIRST", 0) + first();
    first..first + number("KITARU_PROGRAMS", few)
}

fn simulate(nth: u64) {
    check(nth, &testkit::crash_randomly(RUNS, |kit: Testkit| async move { run(&kit, nth).await }));
}

fn simulate_on_a_disk(nth: u64) {
    check(nth, &crash_randomly_on_a_failing_disk(RUNS, |kit: Testkit| async move { run(&kit, nth).await }));
}

fn check(nth: u64, report: &Report) {
    assert!(
        report.is_clean(),
        "program {nth}: {:?}\n{report}\n  with: KITARU_FIRST={} KITARU_PROGRAMS=1",
        asks(nth),
        nth.wrapping_sub(first())
    );
}

fn asks(nth: u64) -> Vec<program::Program> {
    Part { nth, round: 0, role: Role::Root }.programs()
}

/// The programs of one of two halves, which run side by side.
fn half(rest: u64) {
    programs(PROGRAMS).filter(|nth| nth % 2 == rest).for_each(simulate);
}

#[test]
fn random_programs_reach_their_undisturbed_results() {
    half(0);
}

#[test]
fn other_random_programs_reach_their_undisturbed_results() {
    half(1);
}

#[test]
fn random_programs_on_a_failing_disk_reach_their_undisturbed_results() {
    programs(PROGRAMS_ON_A_DISK).filter(|nth| nth % 2 == 0).for_each(simulate_on_a_disk);
}

#[test]
fn other_random_programs_on_a_failing_disk_reach_their_undisturbed_results() {
    programs(PROGRAMS_ON_A_DISK).filter(|nth| nth % 2 == 1).for_each(simulate_on_a_disk);
}

/// Programs that found mistakes in Kitaru, each with the mistake. A change of the generator changes what they do: then
/// `tests/mistakes`, which plants some of the mistakes again, finds other programs.
const FOUND: [(u64, &str); 3] = [
    (1, "a wait that had been recorded began in the very poll in which the flow was given an error"),
    (16, "the same, of a child"),
    (20, "a child was in the store whose parent had lost what it said of it, because the store had refused that"),
];

#[test]
fn programs_that_found_mistakes_find_none() {
    for (nth, mistake) in FOUND {
        println!("program {nth}: {mistake}");
        simulate(nth);
    }
}

#[test]
fn a_program_is_the_same_again_and_programs_differ() {
    assert_eq!(asks(7), asks(7));
    assert!((0..50).any(|nth| asks(nth) != asks(nth + 1)));
}
