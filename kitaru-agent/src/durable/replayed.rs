//! What of a run's cost comes from records.
//!
//! Owns the count, which the checkpoints of a run share. Must not know what was paid for: that is what nobody adds here.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Budget, Usage};

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
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) += usage;
        if let Some(budget) = &self.budget {
            budget.add_replayed(usage);
        }
    }

    pub(super) fn usage(&self) -> Usage {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
