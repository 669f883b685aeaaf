//! What a run was given, and what becomes of it when the run breaks: an equal run of the same flow continues it.
//!
//! Owns the answers by what was asked, and the list of broken runs. Must not know who asks.
//!
//! Nothing of this is recorded by itself. A replay goes through the broken run again, from its records, and finds the same;
//! the record of a turn that is one checkpoint holds what was given in it.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kitaru_core::Error;
use kitaru_core::dynamic::agents::Granularity;
use kitaru_core::dynamic::{CallIdentity, Question};
use serde::{Deserialize, Serialize};

use super::agreement::Approval;
use super::bill::Noted;
use super::error::RunError;
use super::told::Told;
use crate::agent::Identity;
use crate::budget::Budget;
use crate::error::{AgentError, ToolError};
use crate::message::{History, ModelResponse};
use crate::usage::Usage;

/// An answer that a run was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Given {
    Response(ModelResponse),
    Instructions(String),
    Tool {
        told: Told,
        /// What runs in its body have spent.
        #[serde(default, skip_serializing_if = "Noted::is_nothing")]
        spent: Noted,
    },
    /// A call that may run once has failed: it is not made again.
    Failed(ToolError),
    Approval(Approval),
}

/// What became of one question.
#[derive(Clone, Default)]
enum Slot {
    /// It was asked, and has no answer.
    #[default]
    Open,
    Given(Given),
    /// The call failed. A later call does its work once more.
    Failed(CallIdentity),
}

/// What became of the questions of a run, in the order in which equal ones were asked.
type Slots = HashMap<Question, Vec<Slot>>;

/// The answers of a turn, as its record keeps them.
pub(super) type Answers = Vec<(Question, Vec<Option<Given>>)>;

/// What a run was given so far. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    slots: Slots,
    /// How often each question was asked by this run.
    asked: HashMap<Question, usize>,
    /// What the run was given that a broken run has paid for.
    repeated: Usage,
    /// The budget, if the broken run was counted in the same one.
    counted: Option<Budget>,
}

/// One question of a run.
pub(super) struct Place {
    question: Option<Question>,
    nth: usize,
    earlier: Slot,
}

impl Place {
    /// The answer that the broken run was given.
    pub(super) fn given(&self) -> Option<Given> {
        match &self.earlier {
            Slot::Given(given) => Some(given.clone()),
            Slot::Open | Slot::Failed(_) => None,
        }
    }

    /// The call that failed in the broken run.
    pub(super) fn failed(&self) -> Option<CallIdentity> {
        match &self.earlier {
            Slot::Failed(identity) => Some(*identity),
            Slot::Open | Slot::Given(_) => None,
        }
    }
}

impl Progress {
    /// Begins where a broken run stopped. What that one was counted for in `budget` is not counted there again.
    pub(super) fn after(broken: BrokenRun, budget: Option<&Budget>) -> Self {
        let counted = broken.budget.filter(|known| budget.is_some_and(|budget| budget.is_same(known)));
        Progress(Arc::new(Mutex::new(State { slots: broken.slots, counted, ..State::default() })))
    }

    /// The run asks this next. A question that cannot be told from others has a place of its own.
    pub(super) fn place(&self, question: Result<Question, Error>) -> Place {
        let Ok(question) = question else { return Place { question: None, nth: 0, earlier: Slot::Open } };
        let mut state = self.state();
        let asked = state.asked.entry(question).or_default();
        let nth = mem::replace(asked, *asked + 1);
        let slots = state.slots.entry(question).or_default();
        if slots.len() <= nth {
            slots.resize(nth + 1, Slot::Open);
        }
        Place { question: Some(question), nth, earlier: slots[nth].clone() }
    }

    pub(super) fn gave(&self, place: &Place, given: Given) {
        self.set(place, Slot::Given(given));
    }

    pub(super) fn failed(&self, place: &Place, call: Option<CallIdentity>) {
        self.set(place, call.map_or(Slot::Open, Slot::Failed));
    }

    fn set(&self, place: &Place, slot: Slot) {
        let Some(question) = place.question else { return };
        self.state().slots.entry(question).or_default()[place.nth] = slot;
    }

    /// The run was given something that a broken run has paid for. Whether the budget knows of that.
    pub(super) fn repeats(&self, usage: Usage) -> bool {
        let mut state = self.state();
        state.repeated += usage;
        let counted = state.counted.clone();
        drop(state);
        counted.iter().for_each(|budget| budget.credit(usage));
        counted.is_some()
    }

    /// What the run was given that a broken run has paid for.
    pub(super) fn repeated(&self) -> Usage {
        self.state().repeated
    }

    /// Whether what the broken run cost is in the run's budget.
    pub(super) fn is_counted(&self) -> bool {
        self.state().counted.is_some()
    }

    /// What of a usage that repeats a broken run's is in the run's budget already.
    pub(super) fn counted_before(&self, repeated: Usage) -> Usage {
        if self.is_counted() { repeated } else { Usage::default() }
    }

    /// The answers, for the record of a turn.
    pub(super) fn answers(&self) -> Answers {
        let given = |slot: &Slot| match slot {
            Slot::Given(given) => Some(given.clone()),
            Slot::Open | Slot::Failed(_) => None,
        };
        let mut answers: Answers =
            self.state().slots.iter().map(|(question, slots)| (*question, slots.iter().map(given).collect())).collect();
        answers.sort_by_key(|(question, _)| *question);
        answers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run is about. Runs that are equal in this continue each other.
#[derive(PartialEq)]
pub(super) struct Subject {
    pub(super) agent: Identity,
    pub(super) version: String,
    pub(super) granularity: Granularity,
    pub(super) prompt: String,
    pub(super) history: History,
}

/// A run that has given its flow an error, and that no run has continued.
pub(super) struct BrokenRun {
    slots: Slots,
    /// How often it broke because the model got something wrong too many times.
    wrong: u32,
    /// The call of the turn, where that is one checkpoint.
    turn: Option<CallIdentity>,
    budget: Option<Budget>,
}

impl BrokenRun {
    pub(super) fn new(progress: Progress, budget: Option<Budget>) -> Self {
        let slots = mem::take(&mut progress.state().slots);
        BrokenRun { slots, wrong: 0, turn: None, budget }
    }

    /// A turn that was one checkpoint, with the answers that its record holds.
    pub(super) fn of_turn(answers: Answers, turn: Option<CallIdentity>, budget: Option<Budget>) -> Self {
        let slot = |given: Option<Given>| given.map_or(Slot::Open, Slot::Given);
        let slots = answers.into_iter().map(|(question, given)| (question, given.into_iter().map(slot).collect()));
        BrokenRun { slots: slots.collect(), wrong: 0, turn, budget }
    }

    /// The same run, which ended in `error` and had continued one that was so often wrong.
    pub(super) fn ended_in(self, error: &RunError, earlier: u32) -> Self {
        let wrong = u32::from(matches!(error, RunError::Agent(AgentError::TooManyRetries { .. })));
        BrokenRun { wrong: earlier.saturating_add(wrong), ..self }
    }

    pub(super) fn wrong(&self) -> u32 {
        self.wrong
    }

    pub(super) fn turn(&self) -> Option<CallIdentity> {
        self.turn
    }
}

/// The broken runs of a flow, the oldest first.
#[derive(Default)]
pub(super) struct BrokenRuns(Mutex<Vec<(Subject, BrokenRun)>>);

impl BrokenRuns {
    pub(super) fn push(&self, subject: Subject, broken: BrokenRun) {
        self.runs().push((subject, broken));
    }

    /// The oldest one about `subject`, which nobody else continues from now on.
    pub(super) fn take(&self, subject: &Subject) -> Option<BrokenRun> {
        let mut runs = self.runs();
        let nth = runs.iter().position(|(known, _)| known == subject)?;
        Some(runs.remove(nth).1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs().is_empty()
    }

    fn runs(&self) -> MutexGuard<'_, Vec<(Subject, BrokenRun)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
