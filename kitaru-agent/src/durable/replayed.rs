//! The part of a run's cost that comes from records.
//!
//! Owns the count, which the checkpoints of a run share. Must not know what this run paid for: that is never added here.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use kitaru_core::dynamic::Origin;

use crate::budget::{Budget, Hold};
use crate::usage::Usage;

/// The usage that was paid for before, counted for a run and for the budget that it shares. Clones share the count.
#[derive(Clone, Default)]
pub(super) struct Replayed {
    run: Arc<Mutex<Usage>>,
    budget: Option<Budget>,
}

impl Replayed {
    pub(super) fn of(budget: Option<&Budget>) -> Self {
        Replayed { run: Arc::default(), budget: budget.cloned() }
    }

    pub(super) fn add(&self, usage: Usage) {
        self.add_to_run(usage);
        if let Some(budget) = &self.budget {
            budget.add_replayed(usage);
        }
    }

    /// As [`add`](Self::add), for a cost that the budget already contains from a broken run.
    pub(super) fn add_to_run(&self, usage: Usage) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) += usage;
    }

    /// Begins a call whose bodies may take from the budget.
    pub(super) fn hold(&self) -> BodyHold {
        BodyHold(self.budget.as_ref().map(Budget::hold))
    }

    /// Counts what a body took from the budget, once its record is released, in addition to its own run's count.
    pub(super) fn settle(&self, spent: Usage, origin: Origin) {
        let Some(budget) = &self.budget else { return };
        budget.add(spent);
        if origin == Origin::Replayed {
            budget.add_replayed(spent);
        }
    }

    pub(super) fn usage(&self) -> Usage {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the bodies of a call have taken from the budget, if there is one.
#[derive(Default)]
pub(super) struct BodyHold(Option<Hold>);

impl BodyHold {
    /// Runs a body, and returns what it and the bodies before it have taken.
    pub(super) async fn around<F: Future>(&self, body: F) -> (F::Output, Usage) {
        match &self.0 {
            Some(hold) => hold.around(body).await,
            None => (body.await, Usage::default()),
        }
    }
}
