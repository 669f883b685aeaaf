//! The outcomes of a run, and what happens to them when the run breaks: an equal run of the same flow continues it.
//!
//! Owns the outcomes by their questions, and the list of broken runs. Must not know who asks.
//!
//! None of this is recorded separately. A replay goes through the broken run again, from its records, and finds the same
//! outcomes. If a turn is one checkpoint, its record contains the outcomes in it.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kitaru_core::Error;
use kitaru_core::dynamic::agents::Granularity;
use kitaru_core::dynamic::{CallIdentity, CallKey};
use serde::{Deserialize, Serialize};

use super::agreement::Approval;
use super::bill::Noted;
use super::error::RunError;
use super::tool_reply::ToolReply;
use crate::agent::Identity;
use crate::budget::Budget;
use crate::error::{AgentError, ToolError};
use crate::message::{History, ModelResponse};
use crate::prompt::Prompt;
use crate::usage::Usage;

/// An outcome that a run received.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Given {
    Response(ModelResponse),
    Instructions(String),
    Tool {
        told: ToolReply,
        /// The cost of the runs in its body.
        #[serde(default, skip_serializing_if = "Noted::is_nothing")]
        spent: Noted,
    },
    /// A call that must run at most once has failed: it is not repeated.
    Failed(ToolError),
    Approval(Approval),
}

/// The state of one question.
#[derive(Clone, Default)]
enum Slot {
    /// It was asked, and has no outcome.
    #[default]
    Open,
    Given(Given),
    /// The call failed. A later call does its work again.
    Failed(CallIdentity),
}

/// The states of a run's questions, in the order in which equal ones were asked.
type Slots = HashMap<CallKey, Vec<Slot>>;

/// The outcomes of a turn, as its record keeps them.
pub(super) type Answers = Vec<(CallKey, Vec<Option<Given>>)>;

/// The outcomes of a run so far. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    slots: Slots,
    /// How often this run asked each question.
    asked: HashMap<CallKey, usize>,
    /// The cost of this run's outcomes for which a broken run has paid.
    repeated: Usage,
    /// The budget, if it already contains the cost of the broken run.
    counted: Option<Budget>,
}

/// One question of a run.
pub(super) struct Place {
    question: Option<CallKey>,
    nth: usize,
    earlier: Slot,
}

impl Place {
    /// The outcome that the broken run received.
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
    /// Begins where a broken run stopped. The cost that `budget` already contains is not added again.
    pub(super) fn after(broken: BrokenRun, budget: Option<&Budget>) -> Self {
        let counted = broken.budget.filter(|known| budget.is_some_and(|budget| budget.is_same(known)));
        Progress(Arc::new(Mutex::new(State { slots: broken.slots, counted, ..State::default() })))
    }

    /// The run asks this next. A question that cannot be compared with others has a place of its own.
    pub(super) fn place(&self, question: Result<CallKey, Error>) -> Place {
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

    /// The run received an outcome for which a broken run has paid. Returns whether the budget already contains its cost.
    pub(super) fn repeats(&self, usage: Usage) -> bool {
        let mut state = self.state();
        state.repeated += usage;
        let counted = state.counted.clone();
        drop(state);
        counted.iter().for_each(|budget| budget.credit(usage));
        counted.is_some()
    }

    /// The cost of this run's outcomes for which a broken run has paid.
    pub(super) fn repeated(&self) -> Usage {
        self.state().repeated
    }

    /// Whether the run's budget contains the cost of the broken run.
    pub(super) fn is_counted(&self) -> bool {
        self.state().counted.is_some()
    }

    /// The part of a repeated usage that the run's budget already contains.
    pub(super) fn counted_before(&self, repeated: Usage) -> Usage {
        if self.is_counted() { repeated } else { Usage::default() }
    }

    /// The outcomes, for the record of a turn.
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

/// The subject of a run. A run continues a broken run with an equal subject.
#[derive(PartialEq)]
pub(super) struct Subject {
    pub(super) agent: Identity,
    pub(super) version: String,
    pub(super) granularity: Granularity,
    pub(super) prompt: Prompt,
    pub(super) history: History,
}

/// A run that returned an error to its flow, and that no run has continued.
pub(super) struct BrokenRun {
    slots: Slots,
    /// How often it broke because the model made too many mistakes.
    wrong: u32,
    /// The call of the turn, if that is one checkpoint.
    turn: Option<CallIdentity>,
    budget: Option<Budget>,
}

impl BrokenRun {
    pub(super) fn new(progress: Progress, budget: Option<Budget>) -> Self {
        let slots = mem::take(&mut progress.state().slots);
        BrokenRun { slots, wrong: 0, turn: None, budget }
    }

    /// A turn that was one checkpoint, with the outcomes in its record.
    pub(super) fn of_turn(answers: Answers, turn: Option<CallIdentity>, budget: Option<Budget>) -> Self {
        let slot = |given: Option<Given>| given.map_or(Slot::Open, Slot::Given);
        let slots = answers.into_iter().map(|(question, given)| (question, given.into_iter().map(slot).collect()));
        BrokenRun { slots: slots.collect(), wrong: 0, turn, budget }
    }

    /// The same run, which ended in `error` after it continued a run with so many mistakes.
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

    /// Takes the oldest one about `subject`. No other run continues it from now on.
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
