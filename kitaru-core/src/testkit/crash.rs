//! A process that dies everywhere: a scenario is run once undisturbed, and once more for each point at which its process
//! could die, with a death there and a new process after it. Owns what is compared; must not know how a process dies.

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
use crate::testkit::ledger::Ledger;
use crate::testkit::post::Posted;
use crate::testkit::process::{Process, admits, runtime};
use crate::testkit::quiet::be_quiet;
use crate::testkit::report::{Mode, Report, Trial, Verdict};

/// Runs a scenario once for each point at which its process could die, with a death there and a new process after it, and
/// panics with a report where what it comes to is not what an undisturbed run comes to.
///
/// A process could die before and after each write is durable, in each body at its start, wherever it is suspended and at
/// its end, and where a flow is parked and comes back. All of it is tried twice: once as in any program, and once with
/// flows parked wherever they wait.
///
/// The scenario is run anew in each process: what it awaits has to be a call of a flow, which goes on where it stopped, or a
/// method of the kit. Time that has passed stays passed, and an answer or a signal that was acknowledged is not sent again.
/// What it comes to is compared by its `Debug`, and has to be the same however the bodies of a flow overtake each other.
///
/// Reported is
/// - a scenario that comes to something else, panics, or comes to a standstill after a death;
/// - a body that runs although its outcome is recorded, and an `at_most_once` body that begins twice;
/// - a call that contradicts a record, and a value that is digested differently when it is read back: what depends on
///   chance or on the order of a hash does that.
///
/// A flow that was told that an `at_most_once` body may have happened may come to something else, and one that asks a person
/// what became of the body (`on_interrupt = "ask"`, a tool that is `once`) may wait; the report of [`crash_report`] says so. A
/// scenario that answers such a wait is held to the same end.
///
/// # Panics
///
/// With the report. It ends in the line that repeats it.
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

/// As [`crash_everywhere`], for those who want to look at the report.
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

/// Makes the trials on a thread of its own: the caller's may be a runtime's, which cannot run another one.
pub(super) fn alone(trials: impl FnOnce(u64) -> Vec<Trial> + Send) -> Report {
    let seed = chance::seed();
    let explore = move || {
        pool::work_at_once();
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
    // Once more without a death: what comes of chance alone comes out here.
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
        // It says itself that it is no good.
        (Life::Panicked(_) | Life::Still(_), _) if point.is_none() => Verdict::NoGood(came.told()),
        (expected, came) if expected == came => Verdict::Same,
        (_, came) if was_interrupted => Verdict::Interrupted(came.told()),
        (expected, came) => Verdict::Differs { expected: expected.told(), came: came.told() },
    };
    Trial {
        mode,
        point: findings.died.clone().or_else(|| point.cloned()),
        verdict,
        findings,
        journal: Ledger::of(house),
    }
}

/// What the life of a process came to.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Life {
    /// The scenario's output.
    Came(String),
    Panicked(String),
    Died,
    /// Nothing moved any more. This is where everything stood.
    Still(String),
}

impl Life {
    fn told(&self) -> String {
        match self {
            Life::Came(output) => output.clone(),
            Life::Panicked(message) => format!("a panic: {message}"),
            Life::Died => "a death".to_owned(),
            Life::Still(journal) => format!("a standstill, in which nothing moved any more:\n{journal}"),
        }
    }
}

/// One process, from its begin to its death, or to the end of the scenario.
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
            // It may ring for a death before this process's life.
            while !house.is_dead() && death.as_mut().poll(cx).is_ready() {
                death.set(house.died.notified());
            }
            if house.is_dead() {
                return Poll::Ready(Life::Died);
            }
            match catch_unwind(AssertUnwindSafe(|| scenario.as_mut().poll(cx))) {
                Ok(Poll::Ready(_)) if house.is_dead() => return Poll::Ready(Life::Died),
                Ok(Poll::Ready(output)) => return Poll::Ready(Life::Came(without_backtrace(&output))),
                Err(panic) => return Poll::Ready(Life::Panicked(message(panic))),
                Ok(Poll::Pending) => {}
            }
            while still.as_mut().poll(cx).is_ready() {
                match house.mistake() {
                    Some(mistake) => return Poll::Ready(Life::Panicked(mistake)),
                    None if admits(house, &engine) => still.set(idle.abandoned()),
                    None => return Poll::Ready(Life::Still(Ledger::of(house).to_string())),
                }
            }
            Poll::Pending
        })
        .await
    };
    runtime.block_on(idle.foreground(life))
}

/// An error's `Debug` may hold where it was made, which differs from run to run.
fn without_backtrace(output: &impl Debug) -> String {
    let text = format!("{output:#?}");
    text.split("\nStack backtrace:").next().unwrap_or_default().to_owned()
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    Error::panicked("the scenario", panic).to_string()
}
