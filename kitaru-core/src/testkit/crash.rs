//! Crashes at every point: runs a scenario once undisturbed, and once more for each point at which its process could crash,
//! with a crash there and a new process after it. Owns what is compared; must not know how a process crashes.

use std::fmt::Debug;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::error::Error;
use crate::pool;
use crate::testkit::audit::examine;
use crate::testkit::chance;
use crate::testkit::house::{Findings, House};
use crate::testkit::kit::Testkit;
use crate::testkit::post::Posted;
use crate::testkit::process::{Process, admits, runtime};
use crate::testkit::quiet::be_quiet;
use crate::testkit::report::{Mode, Report, RunVerdict, Trial};
use crate::testkit::table::JournalTable;

/// Runs a scenario once for each point at which its process could crash, with a crash there and a new process after it. Panics
/// with a report if the output differs from that of an undisturbed run.
///
/// A process could crash before and after each write is durable; in each body at its start, at its end and wherever it is
/// suspended; and where a flow is parked and resumes. Each point is tried twice: once as in any program, and once with flows
/// parked wherever they wait.
///
/// Each process runs the scenario from its start. So the scenario may await only calls of flows, which resume where they
/// stopped, and methods of the kit. Time that has passed stays passed. An answer or a signal that was acknowledged is not sent
/// again. Outputs are compared by their `Debug`, and must not depend on the order in which concurrent bodies finish.
///
/// The report shows
/// - a scenario that has another output, panics, or stops moving after a crash;
/// - a body that runs although its outcome is recorded, and an `at_most_once` body that begins twice;
/// - a call that contradicts a record, and a value whose digest differs after it is read back. The usual cause is randomness or
///   the order of a hash map.
///
/// A flow that gets the error that an `at_most_once` body may have run may have another output. A flow that asks a person about
/// the body (`on_interrupt = "ask"`, a tool that is `once`) may wait. The report of [`crash_report`] says so. If the scenario
/// answers such a wait, its output must be the same.
///
/// # Panics
///
/// With the report. Its last line is the command that repeats the failure.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit};
/// # let report = |topic: String| flow("report").input("topic", &topic).run(move || async move {
/// #     let notes = checkpoint("research").arg("topic", &topic)
/// #         .run(|| async { Ok::<_, Error>("notes on tides".to_owned()) }).await?;
/// #     checkpoint("draft").arg("notes", &notes).run(|| async { Ok::<_, Error>(notes.to_uppercase()) }).await
/// # });
/// testkit::crash_everywhere(|kit| async move { kit.run(report("tides".into())).await });
/// ```
#[track_caller]
pub fn crash_everywhere<F, Fut>(scenario: F)
where
    F: Fn(Testkit) -> Fut + Send,
    Fut: Future,
    Fut::Output: Debug,
{
    let report = crash_report(scenario);
    assert!(report.is_clean(), "{report}");
}

/// As [`crash_everywhere`], but returns the report.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # use kitaru::{Error, dynamic::{checkpoint, flow}, testkit};
/// # let dice = || flow("dice").run(|| async {
/// #     let thrown = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1);
/// #     checkpoint("tell").arg("thrown", &thrown).run(|| async { Ok::<_, Error>("told".to_owned()) }).await
/// # });
/// let report = testkit::crash_report(|kit| async move { kit.run(dice()).await });
/// assert!(!report.is_clean());
/// ```
pub fn crash_report<F, Fut>(scenario: F) -> Report
where
    F: Fn(Testkit) -> Fut + Send,
    Fut: Future,
    Fut::Output: Debug,
{
    alone(move |seed| {
        let modes = [Mode::Plain, Mode::AlwaysParking];
        modes.into_iter().flat_map(|mode| explore(&scenario, mode, seed)).collect()
    })
}

/// Runs the trials on a thread of its own: the caller's thread may belong to a runtime, which cannot run another one.
pub(super) fn alone(trials: impl FnOnce(u64) -> Vec<Trial> + Send) -> Report {
    let seed = chance::seed();
    let explore = move || {
        pool::work_inline();
        be_quiet();
        let mut report = Report::new(seed);
        report.trials = trials(seed);
        report
    };
    let explored = std::thread::scope(|scope| scope.spawn(explore).join());
    explored.unwrap_or_else(|panic| panic!("{}", message(panic)))
}

/// One scenario in one mode.
fn explore<F, Fut>(scenario: &F, mode: Mode, seed: u64) -> Vec<Trial>
where
    F: Fn(Testkit) -> Fut,
    Fut: Future,
    Fut::Output: Debug,
{
    let parking = mode.parking();
    let house = House::new(seed, parking);
    house.learn();
    let expected = live(&house, scenario, &Arc::default());
    let points = house.learned();
    let mut trials = vec![trial(&house, mode, None, expected.clone(), expected.clone(), false)];
    // Once more without a crash: a difference here is due to randomness alone.
    let again = House::new(seed, parking);
    let came = live(&again, scenario, &Arc::default());
    trials.push(trial(&again, mode, None, expected.clone(), came, false));
    for nth in 0..points.len() {
        let house = House::new(seed, parking);
        house.die_at(nth);
        let posted = Arc::default();
        let mut came = live(&house, scenario, &posted);
        let mut gave_up = false;
        if let Life::Died = came {
            examine(&house);
            came = live(&house, scenario, &posted);
            gave_up = !house.findings().interrupted.is_empty();
        }
        trials.push(trial(&house, mode, points.get(nth), expected.clone(), came, gave_up));
    }
    trials
}

pub(super) fn trial(
    house: &Arc<House>,
    mode: Mode,
    point: Option<&String>,
    expected: Life,
    came: Life,
    was_interrupted: bool,
) -> Trial {
    let findings: Findings = house.findings();
    let verdict = match (&expected, &came) {
        // The scenario itself fails.
        (Life::Panicked(_) | Life::Still(_), _) if point.is_none() => RunVerdict::NoGood(came.text()),
        (expected, came) if expected == came => RunVerdict::Same,
        (_, came) if was_interrupted => RunVerdict::Interrupted(came.text()),
        (expected, came) => RunVerdict::Differs { expected: expected.text(), came: came.text() },
    };
    Trial {
        mode,
        point: findings.died.clone().or_else(|| point.cloned()),
        verdict,
        findings,
        journal: JournalTable::of(house),
    }
}

/// How the life of a process ended.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Life {
    /// The scenario's output.
    Ended(String),
    Panicked(String),
    Died,
    /// Nothing moved any more. This is the journal at that time.
    Still(String),
}

impl Life {
    fn text(&self) -> String {
        match self {
            Life::Ended(output) => output.clone(),
            Life::Panicked(message) => format!("a panic: {message}"),
            Life::Died => "a crash".to_owned(),
            Life::Still(journal) => format!("no progress: nothing moved any more:\n{journal}"),
        }
    }
}

/// One process, from its begin to its crash, or to the end of the scenario.
pub(super) fn live<F, Fut>(house: &Arc<House>, scenario: &F, posted: &Arc<Posted>) -> Life
where
    F: Fn(Testkit) -> Fut,
    Fut: Future,
    Fut::Output: Debug,
{
    let (runtime, idle) = runtime(house);
    let life = async {
        let process = Process::open(house, idle.clone()).await;
        let engine = Arc::downgrade(&process.kitaru.inner);
        let kit = Testkit::in_process(house.clone(), process, posted.clone());
        let begun = catch_unwind(AssertUnwindSafe(|| scenario(kit)));
        let mut scenario = match begun {
            Ok(scenario) => pin!(scenario),
            Err(panic) => return Life::Panicked(message(panic)),
        };
        let mut death = pin!(house.died.notified());
        let mut still = pin!(idle.abandoned());
        poll_fn(|cx| {
            // It may ring for a crash before this process.
            while !house.is_dead() && death.as_mut().poll(cx).is_ready() {
                death.set(house.died.notified());
            }
            if house.is_dead() {
                return Poll::Ready(Life::Died);
            }
            match catch_unwind(AssertUnwindSafe(|| scenario.as_mut().poll(cx))) {
                Ok(Poll::Ready(_)) if house.is_dead() => return Poll::Ready(Life::Died),
                Ok(Poll::Ready(output)) => return Poll::Ready(Life::Ended(without_backtrace(&output))),
                Err(panic) => return Poll::Ready(Life::Panicked(message(panic))),
                Ok(Poll::Pending) => {}
            }
            while still.as_mut().poll(cx).is_ready() {
                if let Some(engine) = engine.upgrade() {
                    engine.recount_permits();
                }
                match house.mistake() {
                    Some(mistake) => return Poll::Ready(Life::Panicked(mistake)),
                    None if admits(house, &engine) => still.set(idle.abandoned()),
                    None => return Poll::Ready(Life::Still(JournalTable::of(house).to_string())),
                }
            }
            Poll::Pending
        })
        .await
    };
    runtime.block_on(idle.foreground(life))
}

/// An error's `Debug` may contain a backtrace, which differs from run to run.
fn without_backtrace(output: &impl Debug) -> String {
    let text = format!("{output:#?}");
    text.split("\nStack backtrace:").next().unwrap_or_default().to_owned()
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    Error::panicked("the scenario", panic).to_string()
}
