//! What deaths everywhere came to, for people. Owns the words; must not know how it was found out.

use std::fmt;

use crate::testkit::chance::VARIABLE;
use crate::testkit::house::{Findings, Parking};
use crate::testkit::ledger::Ledger;

/// How many failures are told at length.
const TOLD: usize = 3;

/// What [`crash_report`](crate::testkit::crash_report) has found. Its `Display` is for people.
#[derive(Clone)]
pub struct Report {
    seed: u64,
    pub(super) trials: Vec<Trial>,
}

/// One run of the scenario.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) mode: Mode,
    /// Where the process died, if it did.
    pub(super) point: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) findings: Findings,
    pub(super) journal: Ledger,
}

/// When flows are dropped from memory while they wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    AlwaysParking,
}

impl Mode {
    pub(super) fn parking(self) -> Parking {
        match self {
            Mode::Plain => Parking::Plain,
            Mode::AlwaysParking => Parking::Always,
        }
    }
}

#[derive(Clone)]
pub(super) enum Verdict {
    Same,
    /// It came to something else, having been told that an `at_most_once` body may have happened, or waits for a person who
    /// knows whether it has.
    Interrupted(String),
    Differs {
        expected: String,
        came: String,
    },
    /// The undisturbed run is no good already.
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

    /// How many deaths were tried.
    pub fn deaths(&self) -> usize {
        self.trials.iter().filter(|trial| trial.point.is_some()).count()
    }
}

impl Trial {
    /// What is wrong with it, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Findings { ran_again, ran_twice, diverged, unsteady, broken, .. } = &self.findings;
        let mut say = |fault: String| {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        };
        match &self.verdict {
            Verdict::Same | Verdict::Interrupted(_) => {}
            Verdict::NoGood(came) => say(format!("without any death it comes to {}", indented(came))),
            Verdict::Differs { expected, came } => say(format!(
                "it has another end\n       undisturbed: {}\n       now:         {}",
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
                "what `{checkpoint}` returns is in another order whenever it is read back, so that a call that is given it \
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
        writeln!(f, "{} deaths were tried, and {} runs are not as they should be", self.deaths(), failed.len())?;
        for trial in failed.iter().take(TOLD) {
            let place = trial.point.as_deref().unwrap_or("without any death");
            let mode = match trial.mode {
                Mode::Plain => "",
                Mode::AlwaysParking => " (with flows parked wherever they wait)",
            };
            writeln!(f, "\n  {place}{mode}")?;
            for fault in trial.faults() {
                writeln!(f, "     - {fault}")?;
            }
            writeln!(f, "     where everything stands after it:")?;
            trial.journal.to_string().lines().try_for_each(|line| writeln!(f, "       {line}"))?;
        }
        if failed.len() > TOLD {
            writeln!(f, "\n  and {} more:", failed.len() - TOLD)?;
            let more = failed.iter().skip(TOLD).filter_map(|trial| trial.point.as_deref());
            more.take(20).try_for_each(|place| writeln!(f, "     {place}"))?;
        }
        let mut interrupted = self.trials.iter().filter_map(|trial| match &trial.verdict {
            Verdict::Interrupted(came) => Some((trial.point.as_deref().unwrap_or_default(), came)),
            _ => None,
        });
        if let Some((place, came)) = interrupted.next() {
            let names = interrupted.count() + 1;
            writeln!(
                f,
                "\n  {names} deaths left it open whether an at_most_once body had happened, which is no mistake; one {place}, \
                 and it came to {}",
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

    fn report(mode: Mode, point: Option<&str>, verdict: Verdict, find: impl FnOnce(&mut Findings)) -> Report {
        let mut findings = Findings::default();
        find(&mut findings);
        let journal = Ledger::of(&House::new(1, Parking::Plain));
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
            (|found| found.unsteady.push("pay".into()), "what `pay` returns is in another order"),
            (|found| found.broken.push("a hole".into()), "- a hole"),
        ];
        for (find, said) in finds {
            let report = report(Mode::Plain, Some("before `pay`"), Verdict::Same, find);
            assert!(!report.is_clean() && report.to_string().contains(said), "{said}: {report}");
        }
    }

    #[test]
    fn report_of_another_end_is_not_clean_and_of_an_interrupted_body_it_is() {
        let nothing = |_: &mut Findings| {};
        let differs = Verdict::Differs { expected: "7".into(), came: "8".into() };
        let differs = report(Mode::AlwaysParking, Some("at `pay`"), differs, nothing);
        let said = differs.to_string();
        assert!(!differs.is_clean() && said.contains("undisturbed: 7") && said.contains("now:         8"), "{said}");
        assert!(said.contains("at `pay` (with flows parked wherever they wait)"), "{said}");
        assert!(!report(Mode::Plain, None, Verdict::NoGood("a panic".into()), nothing).is_clean());

        let interrupted = report(Mode::Plain, Some("in `pay`"), Verdict::Interrupted("an error".into()), nothing);
        assert!(interrupted.is_clean() && interrupted.to_string().contains("left it open whether"), "{interrupted}");
        let undisturbed = report(Mode::Plain, None, Verdict::Same, nothing);
        assert_eq!((interrupted.deaths(), undisturbed.deaths(), undisturbed.is_clean()), (1, 0, true));
    }
}
