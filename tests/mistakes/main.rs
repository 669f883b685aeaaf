//! Checks that the tests notice the mistakes that they exist for.
//!
//!     cargo test --test mistakes                  every mistake on the list
//!     cargo test --test mistakes -- answer        those whose name contains `answer`
//!
//! A copy of the tree is built once, with every mistake of the list in it behind a switch; then the tests that a mistake
//! names run with that mistake switched on, and each has to fail by itself. A test that hangs has not noticed it. Mistakes
//! of the macros are made while other code is compiled, so each of them is built on its own. The whole list takes less than
//! an hour on two cores, and is not part of CI. `tests/tidy.rs` checks that the list still fits the sources.

mod list;
mod trial;
mod verdict;
mod workshop;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use list::{Mistake, TestName};
use verdict::Verdict;
use workshop::Workshop;

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    match examine(&filter) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(unnoticed) => {
            println!("\n{unnoticed} not noticed");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The number of unnoticed mistakes whose name contains `filter`.
fn examine(filter: &str) -> Result<usize, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let begun = Instant::now();
    let all = list::read(root)?;
    let chosen: Vec<&Mistake> = all.iter().filter(|mistake| mistake.name.contains(filter)).collect();
    if chosen.is_empty() {
        return Err(format!("no mistake has a name with `{filter}` in it"));
    }
    let workshop = Workshop::new(root, &all)?;
    let programs = workshop.build()?;
    println!("built in {:.0} s", begun.elapsed().as_secs_f64());

    let sound = without_mistakes(&workshop, &programs, &chosen);
    let (of_macros, switched): (Vec<&Mistake>, Vec<&Mistake>) =
        chosen.iter().partition(|mistake| mistake.is_of_macros());
    let mut report = side_by_side(&switched, |mistake| {
        if let Some(why) = unsound(&sound, mistake) {
            return Verdict::Unsound(why);
        }
        trial::with(&workshop, &programs, mistake)
    });
    for mistake in of_macros {
        let verdict = match unsound(&sound, mistake) {
            Some(why) => Verdict::Unsound(why),
            None => workshop.with_macros_of(mistake, |programs| trial::with(&workshop, programs, mistake)),
        };
        report.push((mistake, verdict));
    }

    let unnoticed: Vec<_> = report.iter().filter(|(_, verdict)| !verdict.is_noticed()).collect();
    unnoticed.iter().for_each(|(mistake, verdict)| println!("{:<44} {verdict}: {}", mistake.name, mistake.what));
    let noticed = report.len() - unnoticed.len();
    println!("{noticed} of {} noticed, in {:.0} s", report.len(), begun.elapsed().as_secs_f64());
    Ok(unnoticed.len())
}

/// The result of each named test without a mistake.
fn without_mistakes(
    workshop: &Workshop,
    programs: &workshop::Programs,
    chosen: &[&Mistake],
) -> BTreeMap<TestName, Option<String>> {
    let tests: BTreeMap<&TestName, ()> =
        chosen.iter().flat_map(|mistake| &mistake.tests).map(|test| (test, ())).collect();
    let tests: Vec<&TestName> = tests.into_keys().collect();
    side_by_side(&tests, |test| trial::passes(workshop, programs, test))
        .into_iter()
        .map(|(test, refused)| (test.clone(), refused))
        .collect()
}

fn unsound(sound: &BTreeMap<TestName, Option<String>>, mistake: &Mistake) -> Option<String> {
    mistake.tests.iter().find_map(|test| sound.get(test).cloned().flatten())
}

/// Works through a list with one thread for each core.
fn side_by_side<'a, T: Sync, R: Send>(items: &[&'a T], work: impl Fn(&'a T) -> R + Sync) -> Vec<(&'a T, R)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(item);
                    done.lock().expect("no thread panics with it").push((*item, result));
                }
            });
        }
    });
    done.into_inner().expect("no thread panics with it")
}
