//! Random flow programs under a seeded order, clock and store: they die at random, again and again, their store refuses to
//! write, and they come to what they come to undisturbed, on the path they took.
//!
//! `KITARU_PROGRAMS` says how many programs are run, `KITARU_FIRST` with which one it begins, and `KITARU_SEED` names another
//! seed for all of them:
//!
//!     KITARU_SEED=1 KITARU_PROGRAMS=1000000 cargo test --release --test simulation

// Every line of these modules is a test, helpers and flows included.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod interpret;
mod program;
mod trace;

use kitaru::testkit::{self, Testkit};

use crate::interpret::{ask, run};

/// How many programs are run, unless told otherwise.
const PROGRAMS: u64 = 2_000;
/// How often each is run in each mode.
const RUNS: u32 = 1;

fn seed() -> u64 {
    std::env::var("KITARU_SEED").map_or(0, |seed| seed.parse().expect("KITARU_SEED is a whole number"))
}

fn programs() -> u64 {
    std::env::var("KITARU_PROGRAMS").map_or(PROGRAMS, |count| count.parse().expect("KITARU_PROGRAMS is a whole number"))
}

fn simulate(nth: u64) {
    let scenario = |kit: Testkit| async move { run(&kit, nth).await };
    let report = testkit::crash_randomly(RUNS, scenario);
    assert!(report.is_clean(), "program {nth}: {:?}\n{report}\n  with: KITARU_FIRST={nth} KITARU_PROGRAMS=1", ask(nth));
}

/// The programs of one of two halves, which run side by side.
fn half(rest: u64) {
    let first = std::env::var("KITARU_FIRST").map_or(0, |first| first.parse().expect("KITARU_FIRST is a whole number"));
    let first = first + seed().wrapping_mul(1 << 32);
    (first..first + programs()).filter(|nth| nth % 2 == rest).for_each(simulate);
}

#[test]
fn random_programs_come_to_what_they_come_to_undisturbed() {
    half(0);
}

#[test]
fn other_random_programs_come_to_what_they_come_to_undisturbed() {
    half(1);
}

#[test]
fn a_program_is_the_same_again_and_programs_differ() {
    assert_eq!(ask(7), ask(7));
    assert!((0..50).any(|nth| ask(nth) != ask(nth + 1)));
}
