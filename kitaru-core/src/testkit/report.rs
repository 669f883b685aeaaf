//! The report of crashes at every point, for people. Owns the words; must not know how the results were found.

use std::fmt;

use crate::testkit::chance::VARIABLE;
use crate::testkit::house::{Findings, ParkingMode};
use crate::testkit::table::JournalTable;

/// How many failures are shown in full.
const TOLD: usize = 3;

/// The result of [`crash_report`](crate::testkit::crash_report). Its `Display` is for people.
#[derive(Clone)]
pub struct Report {
    seed: u64,
    pub(super) trials: Vec<Trial>,
}

/// One run of the scenario.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) mode: Mode,
    /// Where the process crashed, if it did.
    pub(super) point: Option<String>,
    pub(super) verdict: RunVerdict,
    pub(super) findings: Findings,
    pub(super) journal: JournalTable,
}

/// When waiting flows are parked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    AlwaysParking,
}

impl Mode {
    pub(super) fn parking(self) -> ParkingMode {
        match self {
            Mode::Plain => ParkingMode::Plain,
            Mode::AlwaysParking => ParkingMode::Always,
        }
    }
}

#[derive(Clone)]
pub(super) enum RunVerdict {
    Same,
    /// The output differs, after the error that an `at_most_once` body may have run, or the scenario waits for a person who
    /// knows whether it did.
    Interrupted(String),
    Differs {
        expected: String,
        came: String,
    },
    /// The undisturbed run already fails.
    NoGood(String),
}

impl Report {
    pub(super) fn new(seed: u64) -> Self {
        Report { seed, trials: Vec::new() }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.trials.iter().all(|trial| trial.faults().is_empty())
    }

    /// How many crashes were tried.
    pub fn deaths(&self) -> usize {
        self.trials.iter().filter(|trial| trial.point.is_some()).count()
    }
}

impl Trial {
    /// What is wrong with the trial, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Findings { ran_again, ran_twice, diverged, unsteady, broken, .. } = &self.findings;
        let mut say = |fault: String| {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        };
        match &self.verdict {
            RunVerdict::Same | RunVerdict::Interrupted(_) => {}
            RunVerdict::NoGood(came) => say(format!("without a crash its output is {}", indented(came))),
            RunVerdict::Differs { expected, came } => say(format!(
                "it has another output\n       undisturbed: {}\n       now:         {}",
                indented(expected),
                indented(came)
            )),
        }
        broken.iter().for_each(|what| say(what.clone()));
        ran_again
            .iter()
            .for_each(|name| say(format!("the body of `{name}` ran again, although its outcome is recorded")));
        ran_twice.iter().for_each(|name| say(format!("`{name}` is at_most_once, and its body began twice")));
        diverged.iter().for_each(|what| say(format!("a call contradicts its {what}")));
        unsteady.iter().for_each(|checkpoint| {
            say(format!(
                "what `{checkpoint}` returns has another order whenever it is read back, so a call that receives it \
                 finds no record; return something with an order, such as a `Vec` or a `BTreeSet`"
            ));
        });
        faults
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n                    ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: Vec<&Trial> = self.trials.iter().filter(|trial| !trial.faults().is_empty()).collect();
        writeln!(f, "{} crashes were tried, and {} runs were wrong", self.deaths(), failed.len())?;
        for trial in failed.iter().take(TOLD) {
            let place = trial.point.as_deref().unwrap_or("without a crash");
            let mode = match trial.mode {
                Mode::Plain => "",
                Mode::AlwaysParking => " (with flows parked wherever they wait)",
            };
            writeln!(f, "\n  {place}{mode}")?;
            for fault in trial.faults() {
                writeln!(f, "     - {fault}")?;
            }
            writeln!(f, "     the journals after it:")?;
            trial.journal.to_string().lines().try_for_each(|line| writeln!(f, "       {line}"))?;
        }
        if failed.len() > TOLD {
            writeln!(f, "\n  and {} more:", failed.len() - TOLD)?;
            let more = failed.iter().skip(TOLD).filter_map(|trial| trial.point.as_deref());
            more.take(20).try_for_each(|place| writeln!(f, "     {place}"))?;
        }
        let mut interrupted = self.trials.iter().filter_map(|trial| match &trial.verdict {
            RunVerdict::Interrupted(came) => Some((trial.point.as_deref().unwrap_or_default(), came)),
            _ => None,
        });
        if let Some((place, came)) = interrupted.next() {
            let names = interrupted.count() + 1;
            writeln!(
                f,
                "\n  {names} crashes left it open whether an at_most_once body had run, which is not a mistake; one {place}, \
                 and its output was {}",
                indented(came)
            )?;
        }
        write!(f, "\n  run again with: {VARIABLE}={} cargo test", self.seed)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::house::House;

    fn report(mode: Mode, point: Option<&str>, verdict: RunVerdict, find: impl FnOnce(&mut Findings)) -> Report {
        let mut findings = Findings::default();
        find(&mut findings);
        let journal = JournalTable::of(&House::new(1, ParkingMode::Plain));
        let trial = Trial { mode, point: point.map(str::to_owned), verdict, findings, journal };
        Report { seed: 7, trials: vec![trial] }
    }

    #[test]
    fn report_with_any_finding_is_not_clean_and_says_what_was_found() {
        type Find = fn(&mut Findings);
        let finds: [(Find, &str); 5] = [
            (
                |found| found.ran_again.push("pay".into()),
                "the body of `pay` ran again, although its outcome is recorded",
            ),
            (|found| found.ran_twice.push("pay".into()), "`pay` is at_most_once, and its body began twice"),
            (|found| found.diverged.push("record `pay`".into()), "a call contradicts its record `pay`"),
            (|found| found.unsteady.push("pay".into()), "what `pay` returns has another order"),
            (|found| found.broken.push("a hole".into()), "- a hole"),
        ];
        for (find, said) in finds {
            let report = report(Mode::Plain, Some("before `pay`"), RunVerdict::Same, find);
            assert!(!report.is_clean() && report.to_string().contains(said), "{said}: {report}");
        }
    }

    #[test]
    fn report_of_another_end_is_not_clean_and_of_an_interrupted_body_it_is() {
        let nothing = |_: &mut Findings| {};
        let differs = RunVerdict::Differs { expected: "7".into(), came: "8".into() };
        let differs = report(Mode::AlwaysParking, Some("at `pay`"), differs, nothing);
        let said = differs.to_string();
        assert!(!differs.is_clean() && said.contains("undisturbed: 7") && said.contains("now:         8"), "{said}");
        assert!(said.contains("at `pay` (with flows parked wherever they wait)"), "{said}");
        assert!(!report(Mode::Plain, None, RunVerdict::NoGood("a panic".into()), nothing).is_clean());

        let interrupted = report(Mode::Plain, Some("in `pay`"), RunVerdict::Interrupted("an error".into()), nothing);
        assert!(interrupted.is_clean() && interrupted.to_string().contains("left it open whether"), "{interrupted}");
        let undisturbed = report(Mode::Plain, None, RunVerdict::Same, nothing);
        assert_eq!((interrupted.deaths(), undisturbed.deaths(), undisturbed.is_clean()), (1, 0, true));
    }
}
